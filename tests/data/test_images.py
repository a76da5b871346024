import io
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from data import DataOptions, UserError, images
from data import png16 as png16_reader
from tests.data.layouts import picture


def encode(pixels, kind="PNG", **kwargs) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, kind, **kwargs)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("pixels", [picture(0), picture(1, colour=True), picture(2, top=65535)])
def test_lossless_files_come_back_as_they_were(kind, pixels):
    decoded = images.decode(encode(pixels, kind), "a")
    assert decoded.dtype == pixels.dtype
    np.testing.assert_array_equal(decoded, pixels)


def test_other_modes_become_gray_or_rgb():
    gray, rgb = Image.fromarray(picture(0)), Image.fromarray(picture(1, colour=True))
    np.testing.assert_array_equal(images.decode(encode(gray.convert("LA")), "a"), gray)
    np.testing.assert_array_equal(images.decode(encode(rgb.convert("RGBA")), "a"), rgb)
    assert images.decode(encode(rgb.quantize(8)), "a").shape == (20, 20, 3)
    assert images.decode(encode(gray.convert("P")), "a").shape == (20, 20)  # a palette of grays is gray
    assert images.decode(encode(gray.convert("1")), "a").max() == 255
    assert images.decode(encode(gray, "JPEG"), "a").shape == (20, 20)


def test_a_turned_photograph_is_put_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    assert images.decode(encode(picture(0, 20, 30), "JPEG", exif=exif), "a").shape == (30, 20)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_whose_zero_is_white_is_inverted(bits):
    stored = picture(0, top=2**bits - 1)
    file = encode(stored, "TIFF")
    black_is_zero, white_is_zero = (struct.pack("<HHII", 262, 3, 1, kind) for kind in (1, 0))
    assert file.count(black_is_zero) == 1  # PhotometricInterpretation, as Pillow writes it
    inverted = images.decode(file.replace(black_is_zero, white_is_zero), "a")
    assert inverted.dtype == stored.dtype
    np.testing.assert_array_equal(inverted, 2**bits - 1 - stored)


def png16(pixels: np.ndarray, kinds) -> bytes:
    """A 16-bit RGB or RGBA PNG whose row i uses filter kinds[i], byte by byte as the specification says."""
    height, width, channels = pixels.shape
    bpp = 2 * channels
    raw = pixels.astype(">u2").tobytes()
    stride = width * bpp
    out, above = b"", bytes(stride)
    for y in range(height):
        row = raw[y * stride : (y + 1) * stride]
        out += bytes([kinds[y]])
        for i in range(stride):
            a, b = row[i - bpp] if i >= bpp else 0, above[i]
            c = above[i - bpp] if i >= bpp else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            out += bytes([(row[i] - (0, a, b, (a + b) // 2, nearest)[kinds[y]]) % 256])
        above = row
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(out)), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_png_keeps_its_bits(channels):
    pixels = np.random.default_rng(0).integers(0, 65536, (11, 7, channels)).astype(np.uint16)
    pixels[4:] //= 300  # smooth parts, where the predictors differ from each other
    encoded = png16(pixels, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 4])
    np.testing.assert_array_equal(images.decode(encoded, "a", bits=16), pixels[..., :3])
    np.testing.assert_array_equal(images.decode(encoded, "a", bits=8), pixels[..., :3] >> 8)
    checksum = len(encoded) - 18  # of the pixels, before the last chunk; 26 is in the header
    for broken in (encoded[:-30], *(encoded[:i] + b"\7" + encoded[i + 1 :] for i in (26, 60, checksum))):
        with pytest.raises(UserError, match="cannot be read"):
            images.decode(broken, "a", bits=16)
    with pytest.raises(UserError, match="0x11 is nothing"):
        images.decode(encoded[:16] + bytes(4) + encoded[20:], "a", bits=16)


@pytest.mark.parametrize(("channels", "side"), [(3, 8165), (4, 7072)])
def test_16_bit_colour_is_bounded_by_its_bytes(monkeypatch, channels, side):
    monkeypatch.setattr(png16_reader, "_inflate", lambda *_: pytest.fail("it was unpacked"))
    encoded = png16(np.zeros((1, 1, channels), np.uint16), [0])
    header = encoded[12:16] + struct.pack(">II", side, side) + encoded[24:29]
    large = encoded[:12] + header + struct.pack(">I", zlib.crc32(header)) + encoded[33:]
    with pytest.raises(UserError, match=f"more than 400,000,000 bytes at {2 * channels} a pixel"):
        images.decode(large, "a", bits=16)


def test_16_bit_colour_tiff_is_not_cut_to_8_bits_in_silence():
    with pytest.raises(UserError, match="save it as PNG"):
        images.decode(tiff16(), "a", bits=16)
    assert images.decode(tiff16(), "a", bits=8).dtype == np.uint8


def tiff16() -> bytes:
    """An uncompressed 16-bit RGB TIFF of 2x2 pixels."""
    data = (5000 * np.arange(12, dtype="<u2")).tobytes()
    tags = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 3, 8 + len(data)), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 8), (277, 3, 1, 3), (278, 3, 1, 2), (279, 4, 1, len(data))]
    bits = struct.pack("<HHH", 16, 16, 16)
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data) + len(bits)) + data + bits + ifd


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("encoded", "says"),
    [
        (encode(picture(0))[:200], "cannot be read"),
        (b"", "cannot be read"),
        (b"not an image at all", "cannot be read"),
        (encode(np.zeros((9, 9), np.uint8)), "every pixel is 0"),
        (encode(np.full((9, 9), 7, np.uint16)), "every pixel is 7"),
        (encode(np.full((9, 9), np.nan, np.float32), "TIFF"), "not finite"),
        (encode(np.float32([[0, 1], [np.inf, 0]]), "TIFF"), "not finite"),
        (encode(Image.new("1", (20_000, 20_000))), "cannot be read"),  # 50 kB that unpack to 400 MB
        (encode(Image.new("1", (10_000, 10_100))), "more than 100,000,000 pixels"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_way_out(encoded, says):
    with pytest.raises(UserError, match=says) as raised:
        images.decode(encoded, "ward/a.png")
    assert "ward/a.png" in str(raised.value) and "on_error" in str(raised.value)


@pytest.mark.filterwarnings("ignore")
def test_files_with_flipped_bytes_are_read_or_refused():
    rng = np.random.default_rng(0)
    deep = np.random.default_rng(1).integers(0, 65536, (5, 4, 3)).astype(np.uint16)
    whole = [encode(picture(0), kind) for kind in ("PNG", "JPEG", "TIFF")] + [png16(deep, [4] * 5), tiff16()]
    refused = 0
    for i in range(500):
        damaged = bytearray(whole[i % len(whole)])
        for at in rng.integers(0, min(len(damaged), 200), 2):
            damaged[at] = rng.integers(0, 256)
        try:
            images.decode(bytes(damaged), "a", bits=16)
        except UserError:
            refused += 1
    assert 200 < refused < 500


def test_a_stack_of_pages_is_refused():
    buffer = io.BytesIO()
    first, second = Image.fromarray(picture(0)), Image.fromarray(picture(1))
    first.save(buffer, "TIFF", save_all=True, append_images=[second])
    with pytest.raises(UserError, match="2 pages"):
        images.decode(buffer.getvalue(), "a")


def fitted(pixels, **options):
    return images.to_size(pixels, DataOptions(image_size=16, **options), "a")


def test_resize_policies_on_a_wide_image():
    wide = np.zeros((16, 64), np.uint8)
    wide[:, 24:40] = 200  # the centre square
    wide[:, :4] = 100
    np.testing.assert_array_equal(fitted(wide, resize="crop")[..., 0], np.full((16, 16), 200))
    padded = fitted(wide, resize="pad")[..., 0]
    assert padded[:6].max() == 0 and padded[10:].max() == 0 and padded[8].max() > 150
    stretched = fitted(wide, resize="stretch")[..., 0]
    assert (stretched[:, 7:9] > 150).all() and (stretched[:, 0] > 60).all()


def test_the_right_size_is_left_alone():
    pixels = picture(0, 16, 16)
    np.testing.assert_array_equal(fitted(pixels)[..., 0], pixels)
    np.testing.assert_array_equal(fitted(pixels, bits=16)[..., 0], pixels.astype(np.uint16) * 257)


def test_channels_and_bits():
    colour, deep = picture(0, 16, 16, colour=True), picture(1, 16, 16, top=65535)
    luminance = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(fitted(colour)[..., 0] - luminance).max() <= 1
    assert np.abs(fitted(colour, bits=16)[..., 0] / 257 - luminance).max() < 0.01
    np.testing.assert_array_equal(fitted(colour, channels=3), colour)
    np.testing.assert_array_equal(fitted(deep, channels=3, bits=16), np.stack([deep] * 3, -1))
    np.testing.assert_array_equal(fitted(deep)[..., 0], np.rint(deep / 257))


def test_lanczos_keeps_the_mean_and_does_not_wrap():
    deep = picture(1, 50, 50, top=65535)
    deep[:25] = 65535
    small = fitted(deep, bits=16)
    assert small[:6].min() > 60_000  # ringing beyond white is clipped, not wrapped to black
    assert abs(small.mean() - deep.mean()) < 500


def test_window_and_float_images():
    twelve = picture(0, 16, 16, top=4095)
    np.testing.assert_array_equal(fitted(twelve, window=(0, 4095))[..., 0], np.rint(twelve / 4095 * 255))
    hounsfield = np.float32(np.linspace(-2000, 2000, 256)).reshape(16, 16)
    soft = fitted(hounsfield, window=(-160, 240))[..., 0]
    assert soft.min() == 0 and soft.max() == 255
    chess = np.where(np.indices((32, 32)).sum(0) % 2, 240, -2000).astype(np.float32)
    assert abs(fitted(chess, window=(-160, 240)).mean() - 127.5) < 3  # clipped before it is averaged
    with pytest.raises(UserError, match=r"data\.window"):
        fitted(hounsfield)


def test_masks_keep_to_half_of_the_area():
    mask = np.zeros((32, 32), np.uint8)
    mask[:16, :15] = 1  # 7.5 pixels of the smaller grid
    mask[0, 31] = 1  # a quarter of one
    small = images.mask_to_size(mask, DataOptions(image_size=16))[..., 0]
    assert small[:8, :7].all() and small.sum() == 8 * 7
    large = images.mask_to_size(mask, DataOptions(image_size=64))[..., 0]
    np.testing.assert_array_equal(large, mask.repeat(2, 0).repeat(2, 1))


def test_a_mask_is_cut_as_its_image_is():
    pixels = np.full((20, 60), 10, np.uint8)
    pixels[4:12, 22:34] = 240
    for resize in ("crop", "pad", "stretch"):
        options = DataOptions(image_size=20, resize=resize)
        mask = images.mask_to_size((pixels > 100).astype(np.uint8), options)[..., 0]
        image = images.to_size(pixels, options, "a")[..., 0]
        assert ((image > 125) == mask).mean() > 0.97, resize


def test_masks_from_files():
    labels = np.zeros((9, 9), np.uint8)
    labels[2:5, 2:5], labels[6, 6] = 3, 200  # numbered instances
    np.testing.assert_array_equal(images.decode_mask(encode(labels), "m"), labels > 0)
    box = np.zeros((32, 32), np.uint8)
    box[9:23, 11:22] = 255  # off the grid of JPEG's blocks, so that it rings
    np.testing.assert_array_equal(images.decode_mask(encode(box, "JPEG", quality=90), "m"), box > 0)
    assert images.decode_mask(encode(np.zeros((9, 9), np.uint8)), "m").sum() == 0  # an empty mask is a mask


def test_masks_of_several_channels_are_decoded_from_arrays():
    mask = np.random.default_rng(0).integers(0, 2, (5, 4, 3)).astype(np.uint8)
    np.testing.assert_array_equal(images.decode_mask(images.encode_array(mask), "a"), mask)


def test_arrays_are_decoded_one_at_a_time(monkeypatch):
    """Python's parser, with which numpy reads a header, fails now and then when threads share it."""
    load, inside, most = np.load, [], []

    def watched(*args, **kwargs):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.001)
        inside.pop()
        return load(*args, **kwargs)

    monkeypatch.setattr(np, "load", watched)
    encoded = images.encode_array(picture(0))
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: images.decode(encoded, "a"), range(20)))) == 20
    assert max(most) == 1
