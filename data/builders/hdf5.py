"""Arrays streamed out of an HDF5 file. No link is followed out of it; nothing is believed that is not there."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.errors import UserError

_CHUNK_BYTES = 64 << 20  # a chunk is unpacked whole and kept while it is read: refuse larger ones


def header(path: Path, key: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an array of the file's top group.

    Raises:
        UserError: not an intact HDF5 file, no such array, one that lies outside the file, or that is not all there.
    """
    with _opened(path, key) as array:
        return array.shape, array.dtype


def load(path: Path, key: str) -> np.ndarray:
    """One whole array (for labels; images are streamed)."""
    with _opened(path, key) as array:
        return array[()]


def stream(path: Path, key: str, rows: int) -> Iterator[np.ndarray]:
    """Consecutive slices of an array along its first axis, at most `rows` long; UserError when damaged."""
    with _opened(path, key) as array:
        for at in range(0, len(array), rows):
            yield array[at : at + rows]


@contextlib.contextmanager
def _opened(path: Path, key: str) -> Iterator:
    import h5py

    try:
        # No lock, which not every file system has.
        with h5py.File(path, "r", locking=False, rdcc_nbytes=_CHUNK_BYTES) as file:
            yield _array(file, path, key)
    except (OSError, KeyError, RuntimeError, ValueError) as error:  # what h5py raises on a damaged file
        reason = " ".join(str(error).split())[:150]
        raise UserError(f"{path} is not an intact HDF5 file ({reason}): download it again.") from error


def _array(file, path: Path, key: str):
    """The array behind a key, if it is numbers and all in this file."""
    import h5py

    link = file.get(key, getlink=True)
    if link is None:
        raise UserError(f"{path} has no array {key!r}; it has {', '.join(file) or 'nothing'}: download it again.")
    if not isinstance(link, h5py.HardLink) or not isinstance(file[key], h5py.Dataset):
        raise UserError(f"{path}: {key} is a link or a group, not an array: use the file as it was published.")
    array = file[key]
    if array.is_virtual or array.external:
        raise UserError(f"{path}: {key} lies in other files, which are not opened: use the file as it was published.")
    if array.dtype.kind not in "uif" or not array.shape:
        raise UserError(f"{path}: {key} is {array.dtype} {array.shape}, no array of numbers: download it again.")
    _check_there(array, path, key)
    return array


def _check_there(array, path: Path, key: str) -> None:
    """UserError for an array of which parts were never written: they would be read as zeros."""
    if array.chunks is None:
        there = array.id.get_storage_size() == array.nbytes
    else:
        if math.prod(array.chunks) * array.dtype.itemsize > _CHUNK_BYTES:
            raise UserError(
                f"{path}: {key} has chunks of {array.chunks}, too large to unpack: save it in smaller ones."
            )
        needed = math.prod(-(-side // chunk) for side, chunk in zip(array.shape, array.chunks, strict=True))
        there = array.id.get_num_chunks() == needed
    if not there:
        raise UserError(f"{path}: {key} says it has shape {array.shape} but is not all there: download it again.")
