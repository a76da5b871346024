"""Arrays streamed out of an .npz archive. Nothing is unpickled; nothing is believed that is not there."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.errors import UserError

SLICE_BYTES = 1 << 26  # read at once, unless one row is more: zeros unpack to a thousand times what they take


def headers(path: Path, keys: tuple[str, ...]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array, read from its header alone.

    Raises:
        UserError: not an archive, a key is missing, encrypted, pickled objects, or fewer bytes than the shape says.
    """
    with _opened(path) as archive:
        found = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = [key for key in keys if key not in found]
        if missing:
            raise UserError(
                f"{path} has no array {missing[0]!r}; it has {', '.join(found)}: {', '.join(keys)} needed."
            )
        return {key: _header(path, archive, key) for key in keys}


def _header(path: Path, archive: zipfile.ZipFile, key: str) -> tuple[tuple[int, ...], np.dtype]:
    if archive.getinfo(f"{key}.npy").flag_bits & 1:
        raise UserError(f"{path}: {key} is encrypted, which is not read: save the file without a password.")
    with archive.open(f"{key}.npy") as member:
        shape, fortran, dtype = _read_header(member)
        size = archive.getinfo(f"{key}.npy").file_size - member.tell()
    if dtype.hasobject:
        raise UserError(f"{path}: {key} holds pickled objects, which are not read: save it as numbers.")
    if fortran and len(shape) > 1:
        raise UserError(f"{path}: {key} is in Fortran order: save it with numpy.ascontiguousarray.")
    if int(np.prod(shape, dtype=object)) * dtype.itemsize != size:
        raise UserError(f"{path}: {key} says it has shape {shape} but holds {size} bytes: download it again.")
    return shape, dtype


def _read_header(member) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(
        version
    )
    if reader is None:
        raise ValueError(f"unknown .npy version {version}")
    return reader(member)


def load(path: Path, key: str) -> np.ndarray:
    """One whole array (for labels; images are streamed)."""
    return np.concatenate(list(stream(path, key, 1 << 16)))


def stream(path: Path, key: str, rows: int) -> Iterator[np.ndarray]:
    """Slices of an array along its first axis, at most `rows` long and SLICE_BYTES large; UserError when damaged."""
    with _opened(path) as archive, archive.open(f"{key}.npy") as member:
        shape, _, dtype = _read_header(member)
        row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
        rows = max(1, min(rows, SLICE_BYTES // max(1, row_bytes)))
        for at in range(0, max(1, shape[0]), rows):  # an empty array gives one empty slice
            count = min(rows, shape[0] - at)
            raw = member.read(count * row_bytes)  # the last read also checks the member's CRC
            if len(raw) < count * row_bytes:
                raise EOFError(f"{key} is cut short")
            yield np.ndarray((count, *shape[1:]), dtype, raw)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise UserError(f"{path} is not an intact .npz archive ({error}): download it again.") from error
