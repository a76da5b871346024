"""From an encoded file to a square of the run's size: decode, check, one channel or three, resize.

Nothing here clips or stretches intensities by a guess: the full range of the file's type is kept
unless a window is given. Refuses what cannot be a picture of something (constant, NaN, truncated).
"""

import io
import threading

import numpy as np
from PIL import Image, ImageOps

from data import png16
from data.errors import CorruptImage, UserError

MAX_PIXELS = 100_000_000  # refuse more: a few kilobytes can unpack to gigabytes
MAX_BYTES = 4 * MAX_PIXELS  # of a decoded image; 16-bit colour alone takes more than 4 a pixel, and threads decode four
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_NPY = b"\x93NUMPY"  # how the bytes of `encode_array` begin
_PARSING = threading.Lock()  # numpy parses their header with ast, which threads break (CPython issue 106905)
_WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # Pillow's modes above 8 bits


def decode(encoded: bytes, name: str, bits: int = 8, blank: bool = False) -> np.ndarray:
    """Pixels of one PNG, JPEG or TIFF.

    Args:
        encoded: the file's bytes.
        name: the file, for messages.
        bits: 16 asks for 16-bit colour where the file has it (Pillow alone would drop to 8).
        blank: whether an image may show nothing, one value everywhere.

    Returns:
        [h, w] gray or [h, w, 3] RGB; uint8, uint16, int32 or float32 as stored.

    Raises:
        CorruptImage: truncated, not an image, too large, several pages, not finite, or blank.
    """
    return check(_read(encoded, name, bits), name, blank)


def _read(encoded: bytes, name: str, bits: int) -> np.ndarray:
    try:
        if encoded[:6] == _NPY:
            return _array(encoded)
        if bits == 16 and png16.is_colour16(encoded):
            return png16.decode(encoded, MAX_BYTES)
        return _pixels(encoded, bits)
    except Exception as error:  # on a damaged file Pillow raises nearly anything, TypeError included
        raise CorruptImage(f"{name} cannot be read ({error}){WAY_OUT}") from error


WAY_OUT = ': replace it, or set data.on_error="skip" to leave such images out.'


def check(pixels: np.ndarray, name: str, blank: bool = False) -> np.ndarray:
    """The same pixels; CorruptImage when they are not finite or, unless they may be `blank`, all alike."""
    low, high = pixels.min(), pixels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise CorruptImage(f"{name} holds values that are not finite (NaN or infinite){WAY_OUT}")
    if low == high and not blank:
        raise CorruptImage(f"{name} shows nothing: every pixel is {low}{WAY_OUT}")
    return pixels


def decode_mask(encoded: bytes, name: str) -> np.ndarray:
    """A mask as uint8 {0, 1}: foreground is what is not zero (a JPEG: above half, for its ringing).

    [h, w] of a picture, whatever its channels; of an array (`encode_array`) the shape it has, [h, w] or [h, w, m].
    """
    pixels = _read(encoded, name, bits=8)
    if encoded[:6] == _NPY:
        return (pixels > 0).astype(np.uint8)
    threshold = 127 if encoded[:2] == b"\xff\xd8" else 0
    return ((pixels if pixels.ndim == 2 else pixels.max(-1)) > threshold).astype(np.uint8)


def _pixels(encoded: bytes, bits: int) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} is more than {MAX_PIXELS:,} pixels")
        if image.format == "TIFF":
            _check_tiff(image, bits)
        image.load()
        if image.format == "JPEG":
            image = ImageOps.exif_transpose(image)
        if image.mode in _WIDE:
            array = np.asarray(image)
            array = array.astype(array.dtype.newbyteorder("="))
            return _white_is_high(array, image) if image.format == "TIFF" else array
        gray = image.mode in ("1", "L", "LA") or (image.mode == "P" and _gray_palette(image))
        return np.asarray(image.convert("L" if gray else "RGB"))


def _white_is_high(pixels: np.ndarray, image: Image.Image) -> np.ndarray:
    """Wide pixels of a TIFF whose zero is white, inverted, which Pillow does for 8 bits alone."""
    if image.tag_v2.get(262) != 0:  # PhotometricInterpretation: WhiteIsZero
        return pixels
    if pixels.dtype != np.uint16:
        raise ValueError(f"its zero is white, which is read of 8 and 16 bits, and it has {pixels.dtype}")
    return np.uint16(2 ** image.tag_v2[258][0] - 1) - pixels


def encode_array(pixels: np.ndarray) -> bytes:
    """An array [h, w] or [h, w, c] as the bytes of an .npy file, for sources whose images are no pictures."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(pixels), allow_pickle=False)
    return file.getvalue()


def _array(encoded: bytes) -> np.ndarray:
    """What `encode_array` was given."""
    with _PARSING:
        return np.load(io.BytesIO(encoded), allow_pickle=False)


def _check_tiff(image: Image.Image, bits: int) -> None:
    if image.n_frames > 1:
        raise ValueError(f"it holds {image.n_frames} pages: save each as a file of its own")
    if bits == 16 and image.mode.startswith("RGB") and 16 in image.tag_v2.get(258, ()):  # BitsPerSample
        raise ValueError("16-bit colour is read from PNG only: save it as PNG, or set data.bits=8")


def _gray_palette(image: Image.Image) -> bool:
    red, green, blue = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3).T
    return bool((red == green).all() and (green == blue).all())


def to_size(pixels: np.ndarray, options, name: str) -> np.ndarray:
    """Pixels as the run stores them.

    Args:
        pixels: [h, w] or [h, w, c]; uint8, uint16, int16, int32 or float.
        options: DataOptions: image_size, channels, bits, resize, window.
        name: the file, for messages.

    Returns:
        uint8 or uint16 [image_size, image_size, channels].

    Raises:
        UserError: int16, int32 or float pixels beyond [0, 65535] or [0, 1] without a window; channels that do not fit.
    """
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    found, maximum = 1 if pixels.ndim == 2 else pixels.shape[-1], 2**options.bits - 1
    if found not in (1, options.channels) and (found, options.channels) != (3, 1):
        raise UserError(f"{name} has {found} channels, not {options.channels}: set data.channels={found}.")
    picture = found in (1, 3) and options.channels in (1, 3)
    if picture and pixels.dtype == np.uint8 and maximum == 255 and not options.window:
        planes = _match_channels(Image.fromarray(pixels), options.channels)
        return np.asarray(_fit(planes, options)).reshape(options.image_size, options.image_size, -1)
    unit = _unit(pixels, options.window, name)
    if unit.ndim == 3 and options.channels == 1:
        unit = unit @ np.float32([0.299, 0.587, 0.114])  # ITU-R BT.601 luminance, as Pillow's
    planes = [unit] if unit.ndim == 2 else list(np.moveaxis(unit, -1, 0))
    planes = [np.asarray(_fit(Image.fromarray(plane), options)) for plane in planes]
    stacked = np.stack(planes * (options.channels // len(planes)), axis=-1)
    return np.rint(stacked.clip(0, 1) * maximum).astype(np.uint16 if options.bits == 16 else np.uint8)


def _match_channels(image: Image.Image, channels: int) -> Image.Image:
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _unit(pixels: np.ndarray, window: tuple, name: str) -> np.ndarray:
    """float32 with black at 0 and white at 1."""
    if window:
        low, high = window
    else:
        low, high = 0, {"uint8": 255, "uint16": 65535, "int16": 65535, "int32": 65535}.get(str(pixels.dtype), 1)
        if pixels.min() < low or pixels.max() > high:
            raise UserError(
                f"{name} holds values from {pixels.min():g} to {pixels.max():g}: "
                "set data.window=(low, high) to say which are black and white."
            )
    return ((pixels.astype(np.float32) - np.float32(low)) / np.float32(high - low)).clip(0, 1)


def _fit(image: Image.Image, options, method=Image.Resampling.LANCZOS) -> Image.Image:
    """A square of options.image_size, by the aspect policy."""
    size, (w, h) = options.image_size, image.size
    if (w, h) == (size, size):
        return image
    if options.resize == "crop":
        side = min(w, h)
        box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
        return image.resize((size, size), method, box=box)
    if options.resize == "stretch":
        return image.resize((size, size), method)
    scale = size / max(w, h)
    inner = (max(1, round(w * scale)), max(1, round(h * scale)))
    canvas = Image.new(image.mode, (size, size))
    canvas.paste(image.resize(inner, method), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas


def mask_to_size(mask: np.ndarray, options) -> np.ndarray:
    """A mask [h, w] or [h, w, m] in {0, 1} at the run's size: 1 where more than half of the pixel's area is.

    Returns:
        uint8 [image_size, image_size, m].
    """
    if mask.shape[:2] == (options.image_size, options.image_size):
        return mask.reshape(*mask.shape[:2], -1)
    planes = [mask] if mask.ndim == 2 else list(np.moveaxis(mask, -1, 0))
    fitted = [_fit(Image.fromarray(p.astype(np.float32)), options, Image.Resampling.BOX) for p in planes]
    return np.stack([np.asarray(p) > 0.5 + 1e-6 for p in fitted], axis=-1).astype(np.uint8)
