"""What a DICOM file shows, against the formulas of the standard."""

import io
import math

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from data.builders import dicom_pixels
from data.errors import CorruptImage
from tests.data.dicoms import image, save
from tests.data.layouts import picture

EVERY = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # every 12-bit value once


def read(tmp_path, dataset, window=(), syntax=uid.ExplicitVRLittleEndian):
    return dicom_pixels.read(save(tmp_path / "image", dataset, syntax), window)


def shown(x: float, function: str, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2 with the output range 0 to 1."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(min(700, -4 * (x - c) / w)))  # beyond 700 no float holds the power
    if function == "LINEAR_EXACT":
        return 0 if x <= c - w / 2 else 1 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:
        return 0
    return 1 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("centre", "width"), [(1000, 800), (40, 400), (-600, 1500), (50.5, 1)])
def test_windows_of_the_file(tmp_path, function, centre, width):
    ct = image(
        0, EVERY, RescaleSlope="2", RescaleIntercept="-1024.5",
        WindowCenter=[centre, 7], WindowWidth=[width, 9], VOILUTFunction=function,
    )  # fmt: skip
    expected = [65535 * shown(2 * v - 1024.5, function or "LINEAR", centre, width) for v in range(4096)]
    found = read(tmp_path, ct)
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found.ravel(), expected, atol=0.51)


@pytest.mark.parametrize("signed", [False, True])
def test_without_a_window_the_stored_range_is_kept(tmp_path, signed):
    """A CT of 12 bits: -1024 to 3071 HU, whatever part of it the image uses."""
    stored = EVERY[20:40].astype(np.int16) - (2048 if signed else 0)
    stored = stored if signed else stored.astype(np.uint16)
    ct = image(0, stored, RescaleSlope=1, RescaleIntercept=1024 if signed else -1024)
    found = read(tmp_path, ct)
    np.testing.assert_array_equal(found, np.rint(EVERY[20:40] / 4095 * 65535))
    assert len(np.unique(found)) == 20 * 64


def test_rescaled_units_where_the_run_has_a_window(tmp_path):
    stored = EVERY.astype(np.int16) - 2048
    ct = image(0, stored, RescaleSlope=1, RescaleIntercept=-24, WindowCenter=40, WindowWidth=80)
    found = read(tmp_path, ct, (-1000, 400))
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, stored - 24)
    pet = image(0, EVERY, RescaleSlope="0.25", RescaleIntercept="1.5")
    found = read(tmp_path, pet, (0, 10))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, EVERY / 4 + 1.5)


def test_monochrome1_is_inverted(tmp_path):
    film = {"PhotometricInterpretation": "MONOCHROME1"}
    np.testing.assert_array_equal(read(tmp_path, image(0, EVERY, **film)), np.rint((4095 - EVERY) / 4095 * 65535))
    windowed = {"WindowCenter": 1000, "WindowWidth": 500}
    dark, light = read(tmp_path, image(0, EVERY, **film, **windowed)), read(tmp_path, image(0, EVERY, **windowed))
    assert np.abs(dark.astype(int) + light - 65535).max() <= 1 and dark[0, 0] == 65535
    given = read(tmp_path, image(0, EVERY, **film), (100, 3000))  # (x - 100) / 2900 is then 1 - (v - 100) / 2900
    np.testing.assert_array_equal(given, 3100 - EVERY.astype(int))


def lut(bits: int, first: int, values: np.ndarray) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values.tolist())
    return [item]


@pytest.mark.parametrize(("bits", "entries"), [(8, 256), (8, 1000), (12, 1000), (16, 4096)])
def test_lookup_tables_of_the_file(tmp_path, bits, entries):
    table = np.random.default_rng(0).integers(0, 2**bits, entries)
    table[0] = 0
    expected = np.rint(table[(EVERY.astype(int) - 100).clip(0, entries - 1)] / (2**bits - 1) * 65535)
    own = {"VOILUTSequence": lut(bits, 100, table), "WindowCenter": 5, "WindowWidth": 9}  # the table comes first
    np.testing.assert_array_equal(read(tmp_path, image(0, EVERY, **own)), expected)


def test_modality_table(tmp_path):
    table = np.random.default_rng(0).permutation(4096)
    dataset = image(0, EVERY, ModalityLUTSequence=lut(16, 0, table))
    np.testing.assert_array_equal(read(tmp_path, dataset, (0, 4095)).ravel(), table)
    np.testing.assert_array_equal(read(tmp_path, dataset).ravel(), np.rint(table / 4095 * 65535))


def test_bits_beyond_those_stored_are_not_shown(tmp_path):
    """PS3.5 8.1.1: retired overlays lie there."""
    np.testing.assert_array_equal(read(tmp_path, image(0, EVERY + np.uint16(0x8000))), read(tmp_path, image(0, EVERY)))


@pytest.mark.parametrize(
    "syntax",
    [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian, uid.RLELossless],
)
def test_transfer_syntaxes(tmp_path, syntax):
    dataset = image(0, EVERY)
    if syntax == uid.RLELossless:
        save(tmp_path / "plain", dataset)
        dataset.compress(syntax)
    elif syntax == uid.ExplicitVRBigEndian:
        dataset.PixelData = EVERY.byteswap().tobytes()
    np.testing.assert_array_equal(read(tmp_path, dataset, (0, 4095), syntax), EVERY)


def compressed(pixels: np.ndarray, kind: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return encapsulate([file.getvalue()])


def encapsulated(pixels, data, **elements):
    dataset = image(0, pixels, 8, PixelData=data, **elements)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


def test_jpeg_and_jpeg_2000(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    lossless = encapsulated(smooth, compressed(smooth, "JPEG2000", irreversible=False, no_jp2=True))
    np.testing.assert_array_equal(read(tmp_path, lossless, (0, 255), uid.JPEG2000Lossless), smooth)
    lossy = encapsulated(smooth, compressed(smooth, "JPEG", quality=95))
    found = read(tmp_path, lossy, (0, 255), uid.JPEGBaseline8Bit)
    assert found.shape == (64, 48) and np.abs(found - smooth.astype(int)).max() <= 3


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("JPEGLosslessProcess14_1", uid.JPEGLosslessSV1),
        ("JPEGLSLossless", uid.JPEGLSLossless),
        ("JPEG2000Lossless", uid.JPEG2000Lossless),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_compression_of_twelve_bits(tmp_path, name, syntax, signed):
    """What hospitals' archives hold most, as GDCM writes it."""
    gdcm = pytest.importorskip("gdcm", reason='needs pip install -e ".[dicom]"')
    stored = EVERY.astype(np.int16) - 2048 if signed else EVERY
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(save(tmp_path / "plain", image(0, stored))))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / "packed"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(tmp_path / "packed").file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(dicom_pixels.read(tmp_path / "packed", (-5000, 5000)), stored)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
def test_a_compressed_image_of_another_size_is_not_decoded(tmp_path, monkeypatch, kind):
    from pydicom.pixels.decoders.base import Decoder

    pixels = picture(0, 40, 30)
    syntax = {"JPEG": uid.JPEGBaseline8Bit, "JPEG2000": uid.JPEG2000Lossless}[kind]
    dataset = encapsulated(pixels, compressed(picture(0, 50, 30), kind, **({"no_jp2": True} if kind[4:] else {})))
    monkeypatch.setattr(Decoder, "as_array", lambda *args: pytest.fail("decoded"))
    with pytest.raises(CorruptImage, match="compressed pixels are 30x50 where its header says 30x40"):
        read(tmp_path, dataset, (), syntax)
    with pytest.raises(CorruptImage, match="do not say their size"):
        read(tmp_path, encapsulated(pixels, encapsulate([b"\xff\xd8\xff\xe0\x00"])), (), syntax)


def test_colours(tmp_path):
    rgb = picture(0, 8, 10, colour=True)
    full = rgb.astype(np.uint16) * 257
    np.testing.assert_array_equal(read(tmp_path, image(0, rgb, 8)), full)
    planar = image(0, rgb, 8, PlanarConfiguration=1, PixelData=np.moveaxis(rgb, -1, 0).tobytes())
    np.testing.assert_array_equal(read(tmp_path, planar), full)
    # a window in Hounsfield units does not touch colours: black and white stay where they are
    filled = read(tmp_path, image(0, rgb, 8), (-1000, 400))
    np.testing.assert_allclose((filled + 1000) / 1400, rgb / 255, atol=1e-6)


def test_luminance_and_chrominance_become_rgb(tmp_path):
    """PS3.3 C.7.6.3.1.2, solved for Y, CB and CR of the pure colours."""
    rgb = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]], np.uint8)
    forward = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    ybr = np.rint(rgb @ forward.T + [0, 128, 128]).clip(0, 255).astype(np.uint8)
    found = read(tmp_path, image(0, ybr, 8, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(found / 257 - rgb).max() <= 2
    with pytest.raises(CorruptImage, match="its colours are YBR_PARTIAL_420, which is not read"):
        read(tmp_path, image(0, ybr, 8, PhotometricInterpretation="YBR_PARTIAL_420"))


def test_palettes_become_rgb(tmp_path):
    pixels, palette = picture(0, 8, 10), picture(1, 256, 3)
    dataset = image(0, pixels, 8, PhotometricInterpretation="PALETTE COLOR")
    for column, colour in enumerate(("Red", "Green", "Blue")):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", palette[:, column].tobytes())
    np.testing.assert_array_equal(read(tmp_path, dataset), palette[pixels] * np.uint16(257))


def test_empty_elements_are_as_good_as_none(tmp_path):
    empty = {"WindowCenter": "", "WindowWidth": "", "RescaleSlope": "", "RescaleIntercept": ""}
    np.testing.assert_array_equal(read(tmp_path, image(0, EVERY, **empty)), np.rint(EVERY / 4095 * 65535))


def test_a_window_of_no_width_is_refused(tmp_path):
    with pytest.raises(CorruptImage, match="image cannot be read .*Window Width must be greater"):
        read(tmp_path, image(0, EVERY, WindowCenter=40, WindowWidth=0))


@pytest.mark.parametrize("groups", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_an_enhanced_object_is_read_by_its_functional_groups(tmp_path, groups):
    """The same pixels, rescaling, window and spacing, where classic and where enhanced objects keep them."""
    rescale, voi, measures = Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, -1024
    voi.WindowCenter, voi.WindowWidth = 40, 400
    measures.PixelSpacing = [1.5, 0.5]
    classic = image(0, EVERY, NumberOfFrames=1)
    for part in (rescale, voi, measures):
        classic.update(part)
    frame = Dataset()
    frame.PixelValueTransformationSequence, frame.FrameVOILUTSequence = [rescale], [voi]
    frame.PixelMeasuresSequence = [measures]
    enhanced = image(0, EVERY, NumberOfFrames=1)
    setattr(enhanced, groups, [frame])
    for window in ((), (-1000, 400)):
        expected = read(tmp_path, classic, window)
        np.testing.assert_array_equal(read(tmp_path, enhanced, window), expected)
    assert expected.shape == (192, 64) and expected.min() == -1024


@pytest.mark.parametrize("name", ["PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"])
def test_pixels_that_are_not_square_are_made_so(tmp_path, name):
    across = np.linspace(0, 4000, 40)[None].repeat(20, 0).astype(np.uint16)
    found = read(tmp_path, image(0, across, **{name: [2, 1]}), (0, 4095))
    assert found.shape == (40, 40) and found.dtype == np.int16
    np.testing.assert_array_equal(found, across.repeat(2, 0))
    nearly = [1, 1] if name == "PixelAspectRatio" else [1.005, 1]
    assert read(tmp_path, image(0, across, **{name: nearly})).shape == (20, 40)
    colours = np.stack([across // 16] * 3, -1).astype(np.uint8)
    assert read(tmp_path, image(0, colours, bits=8, **{name: [1, 3]})).shape == (20, 120, 3)
    with pytest.raises(CorruptImage, match=f"its {name} is 0"):
        read(tmp_path, image(0, across, **{name: [0, 1]}))


def test_bits_that_are_not_the_lowest_are_refused(tmp_path):
    with pytest.raises(CorruptImage, match="its 12 bits end at bit 15, where bit 11 is read"):
        read(tmp_path, image(0, EVERY << 4, HighBit=15))
