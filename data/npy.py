"""A .npy file written row by row, so that memory does not grow with the dataset."""

from pathlib import Path

import numpy as np

_HEADER = 128  # bytes; room for any shape that occurs


class NpyWriter:
    """Appends rows; their number is filled in at the end. Read with `np.load(path, mmap_mode="r")`."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype):
        self._row_shape, self._dtype, self.rows = tuple(row_shape), np.dtype(dtype), 0
        self._file = open(path, "wb")  # noqa: SIM115 - closed by `close`
        self._file.write(bytes(_HEADER))

    def append(self, rows: np.ndarray) -> None:
        """rows: [n, *row_shape] of the file's dtype."""
        if rows.shape[1:] != self._row_shape or rows.dtype != self._dtype:
            raise ValueError(
                f"expected rows {self._row_shape} {self._dtype}, got {rows.shape[1:]} {rows.dtype}"
            )
        self._file.write(np.ascontiguousarray(rows).data)
        self.rows += len(rows)

    def close(self) -> None:
        """Writes the header (NPY format 1.0, padded to a fixed length) and closes the file."""
        shape = (self.rows, *self._row_shape)
        text = repr({"descr": self._dtype.str, "fortran_order": False, "shape": shape}).encode()
        header = (
            b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + text.ljust(_HEADER - 11) + b"\n"
        )
        if len(header) != _HEADER:
            raise ValueError(f"the header of a .npy file of shape {shape} does not fit")
        self._file.seek(0)
        self._file.write(header)
        self._file.close()

    def __enter__(self) -> "NpyWriter":
        return self

    def __exit__(self, kind, *_) -> None:
        self._file.close() if kind else self.close()
