"""16-bit colour PNG, which Pillow reads at 8 bits only.

Source: PNG specification (W3C, third edition), sections 7.3 and 9 (scanline filters).
"""

import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_colour16(encoded: bytes) -> bool:
    """True for a PNG of 16 bits a channel with three or four channels."""
    return encoded[:8] == _SIGNATURE and len(encoded) > 26 and encoded[24] == 16 and encoded[25] in (2, 6)


def decode(encoded: bytes, max_bytes: int) -> np.ndarray:
    """uint16 [h, w, 3]; alpha is dropped. ValueError for a damaged, interlaced or oversized file.

    max_bytes: of the pixels as the file has them, alpha included; about five times as much is held for a moment.
    """
    width, height = struct.unpack(">II", encoded[16:24])
    bpp = 6 if encoded[25] == 2 else 8  # bytes a pixel
    if not 0 < width * height * bpp <= max_bytes:
        raise ValueError(f"{width}x{height} is nothing, or more than {max_bytes:,} bytes at {bpp} a pixel")
    if encoded[28]:
        raise ValueError("interlaced 16-bit colour PNG is not supported: save it without interlacing")
    rows = _inflate(_chunks(encoded), height, 1 + width * bpp)
    pixels = _unfilter(rows[:, 0], rows[:, 1:].reshape(height, width, bpp))
    return np.ascontiguousarray(pixels).view(">u2")[..., :3].astype(np.uint16)


def _chunks(encoded: bytes) -> bytes:
    """The IDAT chunks, joined; each checked against its CRC."""
    parts, at = [], 8
    while at + 12 <= len(encoded):
        size, kind = struct.unpack(">I4s", encoded[at : at + 8])
        body = encoded[at + 8 : at + 8 + size]
        if encoded[at + 8 + size : at + 12 + size] != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError(f"damaged or truncated at byte {at}")
        if kind == b"IDAT":
            parts.append(body)
        if kind == b"IEND":
            return b"".join(parts)
        at += 12 + size
    raise ValueError("truncated: no end marker")


def _inflate(packed: bytes, height: int, stride: int) -> np.ndarray:
    try:
        raw = zlib.decompressobj().decompress(packed, height * stride)  # bounded: a bomb unpacks no further
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(raw) < height * stride:
        raise ValueError("truncated pixel data")
    return np.frombuffer(raw, np.uint8).reshape(height, stride)


def _unfilter(kinds: np.ndarray, filtered: np.ndarray) -> np.ndarray:
    """Undoes the scanline filters along anti-diagonals, each of which depends on the two before alone.

    Args:
        kinds: [h] filter of each row: none, sub, up, average, Paeth.
        filtered: uint8 [h, w, bpp].
    """
    if kinds.max(initial=0) > 4:
        raise ValueError("unknown PNG filter")
    height, width, bpp = filtered.shape
    out = np.zeros((height + 1, width + 1, bpp), np.int16)  # a border of zeros above and to the left
    for diagonal in range(height + width - 1):
        y = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        x = diagonal - y
        left, up, corner = out[y + 1, x], out[y, x + 1], out[y, x]
        kind = kinds[y][:, None]
        guess = np.select(
            [kind == 1, kind == 2, kind == 3, kind == 4],
            [left, up, (left + up) // 2, _paeth(left, up, corner)],
            0,
        )
        out[y + 1, x + 1] = (filtered[y, x] + guess) & 255
    return out[1:, 1:].astype(np.uint8)


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    estimate = left + up - corner
    to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    nearest_up = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest_up)
