"""Random weights with the names of the published DINOv2, of a small network that is known by its name."""

import numpy as np

from analysis.features import dinov2_weights
from analysis.features.dinov2_net import Architecture
from analysis.features.file_hash import sha256
from tests.analysis.torch_files import write_state_dict

SMALL = Architecture(width=128, depth=3)  # two heads


def random_weights(seed=0):
    """{the authors' name: float32 array}, mask token too; every kind of array matters to what comes out."""
    rng = np.random.default_rng(seed)
    raw = {}
    for name, shape in dinov2_weights.shapes(SMALL).items():
        if name.endswith("bias"):
            raw[name] = rng.normal(0, 0.3, shape)
        elif len(shape) == 1:
            raw[name] = rng.uniform(0.5, 1.5, shape)
        else:
            raw[name] = rng.normal(0, 2 / np.prod(shape[1:]) ** 0.5 if "weight" in name else 0.5, shape)
    raw["mask_token"] = rng.normal(size=(1, SMALL.width))
    return {name: value.astype(np.float32) for name, value in raw.items()}


def publish(monkeypatch, folder, name="dinov2"):
    """Makes the small network, in a file of `folder`, the published one; gives the file's path."""
    path = folder / f"{name}.pth"
    write_state_dict(path, random_weights())
    monkeypatch.setitem(dinov2_weights.ARCHITECTURES, name, SMALL)
    monkeypatch.setitem(dinov2_weights.SHA256, name, sha256(path))
    return path
