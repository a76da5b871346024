"""The size that a compressed image itself says it has.

Decoders believe it, not the DICOM header: a few hundred bytes that say 60,000 x 60,000 take gigabytes, and some of the
decoders written in C++ end the process. So it is compared with the header before any of them sees the image.

Source: ISO/IEC 10918-1 B.2.2 (JPEG frame header), ISO/IEC 14495-1 C.2.2 (JPEG-LS), ISO/IEC 15444-1 A.5.1 (JPEG 2000).
"""

import struct

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}  # SOF0 to SOF15 without DHT, JPG, DAC; SOF55 of JPEG-LS
_SIZ = b"\xff\x4f\xff\x51"  # start of a JPEG 2000 codestream, and the marker of its size


def size(encoded: bytes) -> tuple[int, int]:
    """(height, width) in pixels of a JPEG, JPEG-LS or JPEG 2000 codestream. ValueError where it does not say it."""
    try:
        return _jpeg(encoded) if encoded[:2] == b"\xff\xd8" else _jpeg2000(encoded)
    except (struct.error, IndexError, ValueError) as error:
        raise ValueError("its compressed pixels do not say their size") from error


def _jpeg2000(encoded: bytes) -> tuple[int, int]:
    at = encoded.index(_SIZ) + len(_SIZ) + 4  # after its length and capabilities
    right, bottom, left, top = struct.unpack_from(">4I", encoded, at)
    return bottom - top, right - left


def _jpeg(encoded: bytes) -> tuple[int, int]:
    at = 2  # after the start of the image
    while encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker in _FRAMES:
            return struct.unpack_from(">2H", encoded, at + 5)
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2 + struct.unpack_from(">H", encoded, at + 2)[0]
    raise ValueError("no frame header")
