"""Arrays out of a file that `torch.save` wrote, without torch and without running anything in it.

Both formats are read: the zip archive of PyTorch 1.6 and later, and the sequence of pickles before it.
"""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # begins a file of the old format
DTYPES = {
    "FloatStorage": np.float32, "DoubleStorage": np.float64, "HalfStorage": np.float16, "LongStorage": np.int64,
    "IntStorage": np.int32, "ShortStorage": np.int16, "CharStorage": np.int8, "ByteStorage": np.uint8,
}  # fmt: skip


class _Storage:
    """The place of a tensor's numbers, filled in after the pickle is read."""

    def __init__(self, dtype):
        self.dtype, self.values = np.dtype(dtype), None


class _Tensor:
    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or last >= len(self.storage.values):
            raise ValueError("a tensor reaches beyond its numbers")  # as_strided would read foreign memory
        steps = [stride * self.storage.dtype.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(self.storage.values[self.offset :], self.shape, steps).copy()


class _Unpickler(pickle.Unpickler):
    """Knows tensors, their storages and OrderedDict; refuses every other name."""

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a file of weights")

    def persistent_load(self, pid):
        kind, dtype, key, _, _, *view = pid  # only the old format has a view
        if kind != "storage" or any(part is not None for part in view):
            raise pickle.UnpicklingError(f"{kind} {view} is not supported")
        return self.storages.setdefault(key, _Storage(dtype))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """{name: array} of a state dict.

    Raises:
      ValueError: another kind of file, or one that is cut off or damaged.
    """
    with path.open("rb") as file:
        try:
            tree = _read_zip(file) if zipfile.is_zipfile(file) else _read_old(file)
            return {name: value.array() for name, value in tree.items()}
        except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, LookupError, TypeError, AttributeError,
                ValueError) as error:  # fmt: skip
            raise ValueError(f"{path}: {error}") from error


def _read_zip(file: BinaryIO) -> dict[str, _Tensor]:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("no archive of torch.save")
        root = names[0].removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("written on a big-endian machine")
        with archive.open(names[0]) as member:
            unpickler = _Unpickler(member)
            tree = unpickler.load()
        for key, storage in unpickler.storages.items():
            storage.values = np.frombuffer(archive.read(f"{root}data/{key}"), storage.dtype)
    return tree


def _read_old(file: BinaryIO) -> dict[str, _Tensor]:
    file.seek(0)
    if _Unpickler(file).load() != MAGIC:
        raise ValueError("no file of torch.save")
    for _ in range(2):  # version, facts about the machine
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    tree = unpickler.load()
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        n = int(np.frombuffer(file.read(8), "<i8")[0])
        storage.values = np.frombuffer(file.read(n * storage.dtype.itemsize), storage.dtype)
        if len(storage.values) != n:
            raise ValueError("it is cut off")
    return tree
