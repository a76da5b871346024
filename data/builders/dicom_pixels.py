"""From the stored values of a DICOM file to what it shows: rescaling, windows, polarity, palettes.

All of these are functions of one stored value (of at most 16 bits), so they are worked out once for each value there
can be, with pydicom, and then looked up: quick, and without float copies of the image.

Images whose pixels are not square are then resampled to such as are.

Source: DICOM PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT and windows), C.7.6.3.1.2 (photometric interpretation),
C.7.6.3.1.7 and 10.7.1 (aspect ratio and spacing).
"""

from pathlib import Path

import numpy as np
from PIL import Image

from data.builders import dicom_codestream
from data.builders.dicom_files import quiet, unreadable
from data.images import MAX_PIXELS

_KEYWORDS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPresentation",
    "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "PixelData",
)  # fmt: skip
# Where enhanced objects keep, frame by frame, what others have at their top level (PS3.3 C.7.6.16.2).
_FUNCTIONAL_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence")
SQUARE = 0.01  # relative difference of a pixel's sides up to which it counts as square


def read(path: Path, window: tuple[float, ...] = ()) -> np.ndarray:
    """The pixels of one image.

    Args:
        path: a DICOM file of one frame, at most 16 bits a value.
        window: (low, high) in rescaled units (CT: Hounsfield units), which the caller applies; (): the first VOI LUT
            or window of the file is applied, and where it has none the whole range that BitsStored allows is kept.

    Returns:
        [h, w] gray or [h, w, 3] RGB; white is high, MONOCHROME1 is inverted. Without `window` uint16, black 0 and
        white 65535. With it rescaled values, int16, uint16 or float32, MONOCHROME1 mirrored about the window's
        centre; colours, which have no such units, fill the window.

    Raises:
        CorruptImage: damaged or truncated pixels, a wrong length of them, a window or a size of a pixel that is none,
            or bits that are not the lowest.
    """
    import pydicom

    try:
        with quiet():
            dataset = pydicom.dcmread(path, specific_tags=list(_KEYWORDS))
            _lift_groups(dataset)
            _drop_empty(dataset)
            stored = _stored(dataset)
            shown = _table(dataset, stored.dtype, window)[stored.view(f"u{stored.itemsize}")]
            return _square(shown, _sides(dataset))
    except Exception as error:  # on a damaged file pydicom and its decoders raise nearly anything
        raise unreadable(path, str(error) or type(error).__name__) from error


def _lift_groups(dataset) -> None:
    """Copies to the top level what an enhanced object of one frame says of it in its functional groups."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in list(dataset.get(groups) or ())[:1]:
            for name in _FUNCTIONAL_GROUPS:
                for part in list(item.get(name) or ())[:1]:
                    dataset.update({element.tag: element for element in part if element.keyword in _KEYWORDS})


def _drop_empty(dataset) -> None:
    """An element without a value says as much as one that is not there, but pydicom would compute with it."""
    for element in list(dataset):
        if element.is_empty:
            del dataset[element.tag]


def _stored(dataset) -> np.ndarray:
    """Stored values [h, w] or, as RGB, [h, w, 3]."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if dataset.get("HighBit", dataset.BitsStored - 1) != dataset.BitsStored - 1:  # as editions before 2014 allowed
        raise ValueError(
            f"its {dataset.BitsStored} bits end at bit {dataset.HighBit}, where bit {dataset.BitsStored - 1} is read"
        )
    (_check_codestream if syntax.is_encapsulated else _check_length)(dataset)
    pixels, decoded = get_decoder(syntax).as_array(dataset)
    if pixels.ndim == 3 and decoded["photometric_interpretation"] != "RGB":
        raise ValueError(f"its colours are {decoded['photometric_interpretation']}, which is not read")
    return pixels


def _check_length(dataset) -> None:
    from pydicom.pixels.utils import get_expected_length

    expected, found = get_expected_length(dataset), len(dataset.PixelData)
    if found not in (expected, expected + expected % 2):
        raise ValueError(f"it holds {found:,} bytes of pixels where its header says {expected:,}")


def _check_codestream(dataset) -> None:
    from pydicom import encaps, uid

    if dataset.file_meta.TransferSyntaxUID == uid.RLELossless:
        return  # says no size of its own, and pydicom checks what comes out
    encoded = encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    height, width = dicom_codestream.size(encoded)
    if (height, width) != (dataset.Rows, dataset.Columns):
        raise ValueError(
            f"its compressed pixels are {width}x{height} where its header says {dataset.Columns}x{dataset.Rows}"
        )


def _table(dataset, dtype: np.dtype, window: tuple[float, ...]) -> np.ndarray:
    """What is shown for each stored value, by its bits as an unsigned number: [2**bits], of a palette [2**bits, 3]."""
    values = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype)
    kind = dataset.PhotometricInterpretation
    if kind.startswith("MONOCHROME"):
        units = _rescaled(values, dataset)
        if window:
            return _compact(sum(window) - units if kind == "MONOCHROME1" else units)
        shown = _windowed(units, dataset)
        shown = 1 - shown if kind == "MONOCHROME1" else shown
    else:
        shown = _palette(values, dataset) if kind == "PALETTE COLOR" else _span(_clipped(values, dataset))
    if window:
        return np.float32(window[0] + shown * (window[1] - window[0]))
    return np.rint(shown * 65535).astype(np.uint16)


def _clipped(values: np.ndarray, dataset) -> np.ndarray:
    """In the range of BitsStored; a compressed image may hold values beyond it."""
    bits = dataset.BitsStored
    low = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    return values.clip(low, low + 2**bits - 1)


def _rescaled(values: np.ndarray, dataset) -> np.ndarray:
    """float64, in units of the modality: Hounsfield units of CT."""
    from pydicom.pixels import apply_rescale

    return apply_rescale(_clipped(values, dataset), dataset).astype(np.float64)


def _windowed(units: np.ndarray, dataset) -> np.ndarray:
    """[0, 1] by the file's first VOI LUT, else by its first window, else from the least to the greatest value."""
    if "VOILUTSequence" in dataset:
        return _voi_lut(units, dataset)
    if "WindowCenter" in dataset and "WindowWidth" in dataset:
        return _window(units, dataset)
    return _span(units)


def _voi_lut(units: np.ndarray, dataset) -> np.ndarray:
    from pydicom.pixels import apply_voi

    item = dataset.VOILUTSequence[0]
    entries, first, bits = item.LUTDescriptor
    item.LUTDescriptor = [entries, first, 16]  # pydicom counts the entries of an 8-bit table in 8 bits
    index = np.rint(units).clip(first, first + (entries or 65536) - 1)
    return (apply_voi(index.astype(np.int64), dataset) / (2**bits - 1)).clip(0, 1)


def _window(units: np.ndarray, dataset) -> np.ndarray:
    from pydicom import Dataset
    from pydicom.pixels import apply_windowing

    own = Dataset()  # the window alone, so that it maps to 0 .. 65535 whatever the image's bits and rescaling
    own.PhotometricInterpretation, own.PixelRepresentation, own.BitsStored = "MONOCHROME2", 0, 16
    own.WindowCenter, own.WindowWidth = dataset.WindowCenter, dataset.WindowWidth
    own.VOILUTFunction = dataset.get("VOILUTFunction", "LINEAR")
    return apply_windowing(units, own) / 65535


def _palette(values: np.ndarray, dataset) -> np.ndarray:
    """RGB in [0, 1], [n, 3]."""
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(values, dataset)[:, :3]
    return colours / np.iinfo(colours.dtype).max


def _span(values: np.ndarray) -> np.ndarray:
    """[0, 1] from the least to the greatest of all values there can be."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros(values.shape)


def _sides(dataset) -> tuple[float, float]:
    """Height and width of a pixel, in any one unit."""
    for name in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):  # where the first is, the others are not
        if name in dataset:
            height, width = (float(side) for side in dataset[name].value)
            if not (0 < height < np.inf and 0 < width < np.inf):
                raise ValueError(f"its {name} is {height:g}\\{width:g}, which cannot be")
            return height, width
    return 1.0, 1.0


def _square(pixels: np.ndarray, sides: tuple[float, float]) -> np.ndarray:
    """The same image [h, w] or [h, w, 3] of square pixels as fine as the finer side, by Lanczos, in its own range."""
    scale = [side / min(sides) for side in sides]
    if max(scale) <= 1 + SQUARE:
        return pixels
    height, width = (round(n * s) for n, s in zip(pixels.shape, scale, strict=False))
    if height * width > MAX_PIXELS:
        raise ValueError(f"with square pixels it has {width}x{height}, more than {MAX_PIXELS:,}")
    planes = [
        np.asarray(Image.fromarray(np.float32(plane)).resize((width, height), Image.Resampling.LANCZOS))
        for plane in np.moveaxis(np.atleast_3d(pixels), -1, 0)
    ]
    shown = np.stack(planes, -1).clip(pixels.min(), pixels.max()).reshape(height, width, *pixels.shape[2:])
    return shown if pixels.dtype == np.float32 else np.rint(shown).astype(pixels.dtype)


def _compact(units: np.ndarray) -> np.ndarray:
    """The same values in 16 bits where they are whole and fit, else float32."""
    for dtype in (np.int16, np.uint16):
        limits = np.iinfo(dtype)
        if limits.min <= units.min() and units.max() <= limits.max and (units == np.rint(units)).all():
            return units.astype(dtype)
    return units.astype(np.float32)
