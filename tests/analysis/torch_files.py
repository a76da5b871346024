"""Writes what `torch.save` writes, without torch: the zip archive of PyTorch 1.6 and later, of a state dict."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np


class _Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class _Tensor:
    def __init__(self, storage):
        self.storage = storage


class _Pickler(pickle._Pickler):
    """Names torch's classes without having them; the Python pickler lets itself be told what it saves."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, _Tensor):
            array = obj.storage.array
            strides = tuple(step // array.itemsize for step in array.strides)
            self.write(pickle.GLOBAL + b"torch._utils\n_rebuild_tensor_v2\n")
            super().save((obj.storage, 0, array.shape, strides, False, OrderedDict()))
            self.write(pickle.REDUCE)
        elif isinstance(obj, _Storage):
            self.write(pickle.MARK)
            super().save("storage")
            self.write(pickle.GLOBAL + b"torch\nFloatStorage\n")
            for part in (obj.key, "cpu", obj.array.size):
                super().save(part)
            self.write(pickle.TUPLE + pickle.BINPERSID)
        else:
            super().save(obj, save_persistent_id)


def write_state_dict(path, arrays):
    """{name: float32 array} as a file of weights."""
    tensors = {name: _Tensor(_Storage(str(i), np.ascontiguousarray(a))) for i, (name, a) in enumerate(arrays.items())}
    main = io.BytesIO()
    _Pickler(main, 2).dump(OrderedDict(tensors))
    write_archive(path, main.getvalue(), {t.storage.key: t.storage.array.tobytes() for t in tensors.values()})


def write_archive(path, main, storages):
    """The archive of a pickle and its storages {key: bytes}."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", main)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", b"3\n")
