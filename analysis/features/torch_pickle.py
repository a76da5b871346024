"""Arrays out of a file that `torch.save` wrote before PyTorch 1.6, without torch and without running anything in it."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
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
        size = self.storage.dtype.itemsize
        steps = [stride * size for stride in self.strides]
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
        kind, dtype, key, _, _, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"{kind} {view} is not supported")
        return self.storages.setdefault(key, _Storage(dtype))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """{name: array} of a state dict.

    Raises:
      ValueError: another kind of file, or one that is cut off.
    """
    with path.open("rb") as file:
        try:
            if _Unpickler(file).load() != MAGIC:
                raise ValueError(f"{path} is no file of torch.save's old format")
            for _ in range(2):  # version, facts about the machine
                _Unpickler(file).load()
            main = _Unpickler(file)
            tree = main.load()
            for key in _Unpickler(file).load():
                storage = main.storages[key]
                n = int(np.frombuffer(file.read(8), "<i8")[0])
                storage.values = np.frombuffer(file.read(n * storage.dtype.itemsize), storage.dtype)
                if len(storage.values) != n:
                    raise ValueError(f"{path} is cut off")
        except (pickle.UnpicklingError, EOFError, IndexError) as error:
            raise ValueError(f"{path}: {error}") from error
    return {name: value.array() for name, value in tree.items()}
