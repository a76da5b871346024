"""How much a NIfTI file says stands between its header and its voxels.

nibabel believes it and reads all of that with the header: a few kilobytes of gzip that promise an extension of
gigabytes unpack to them. So what the file says is looked at before nibabel opens it.

Source: nifti1.h and nifti2.h (nifti.nimh.nih.gov): a flag of 4 bytes after the header, then extensions of `esize`
bytes each, up to `vox_offset`.
"""

import struct
from pathlib import Path
from typing import BinaryIO

MAX_OFFSET = 1 << 23  # bytes before the voxels (8 MiB); what scanners and tools note there takes kilobytes


def check(path: Path) -> None:
    """Looks at the header and at the sizes of the extensions, and reads MAX_OFFSET bytes at most.

    Raises:
        ValueError: a header that is cut short, voxels that begin beyond MAX_OFFSET, or an extension that does not end
            before they begin.
        Exception: what gzip raises on a damaged file.
    """
    from nibabel.openers import ImageOpener

    with ImageOpener(path) as file:
        offset, order = _offset(file)
        if not 0 <= offset <= MAX_OFFSET:
            raise ValueError(f"it says its voxels begin at byte {offset:.0f}; {MAX_OFFSET:,} is the most that is read")
        if file.read(4)[:1] not in (b"", b"\0"):
            room = int(offset) - file.tell()
            if room < 0:
                raise ValueError("it says it has extensions, and its voxels begin before there could be any")
            _check_sizes(file.read(room), order)


def _offset(file: BinaryIO) -> tuple[float, str]:
    """(vox_offset, byte order as struct writes it); the file is left behind its header."""
    from nibabel import Nifti1Header, Nifti2Header

    raw = file.read(Nifti1Header.sizeof_hdr)
    if Nifti1Header.may_contain_header(raw):
        header = Nifti1Header(raw, check=False)
    else:
        header = Nifti2Header(raw + file.read(Nifti2Header.sizeof_hdr - len(raw)), check=False)
    return float(header["vox_offset"]), header.endianness


def _check_sizes(extensions: bytes, order: str) -> None:
    at = 0
    while len(extensions) - at >= 16:
        size = struct.unpack_from(f"{order}i", extensions, at)[0]
        if not 8 <= size <= len(extensions) - at:
            raise ValueError(f"it has an extension of {size:,} bytes, of which {len(extensions) - at:,} are there")
        at += size
