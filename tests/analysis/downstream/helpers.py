"""A dataset in memory, samples of it, and a classifier that is known through and through."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from analysis.downstream.networks import Network, pooled_linear
from tests.analysis.domain_data import corners


def made(train: int = 80, held: int = 60, exclusive: bool = False, **info) -> SimpleNamespace:
    """`corners` in three splits, with what a Dataset says of itself; no patient is named."""

    def arrays(split):
        n, seed = {"train": (train, 0), "val": (held, 1), "test": (held, 2)}[split]
        found = corners(n, seed)
        if exclusive:
            found["label"] = np.stack([1 - found["label"][:, 0], found["label"][:, 0]], 1)
        names = np.array([f"{split}{i}" for i in range(n)], "S12")
        return found | {"key": names, "patient": np.full(n, -1, np.int32), "id": np.arange(n)}

    classes = ("dull", "bright") if exclusive else ("bright", "dark", "unasked")
    facts = {
        "name": "made", "classes": classes, "exclusive": exclusive, "image_shape": (16, 16, 1), "bits": 8,
        "fingerprint": "f" * 16, "patients": None, "mask_channels": (), "sizes": {"train": train},
    }  # fmt: skip
    return SimpleNamespace(info=SimpleNamespace(**facts | info), arrays=arrays)


def write_samples(folder, n: int = 100, names=("bright", "dark", "unasked"), **facts):
    """What analysis.sample writes, its images as bright as their place in the order."""
    from analysis.sample import write

    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 16, 16, 1))
    labels = np.tile(np.eye(len(names), dtype=np.float32), (n, 1))[:n]
    about = {"run": "gan", "step": 3, "label_names": names, "data": {"fingerprint": "f" * 16, "fraction": 1.0}}
    write(folder, np.ascontiguousarray(images), labels, [""] * n, about | facts)
    return folder


def linear(kernel: np.ndarray) -> tuple[Network, dict]:
    """(network, parameters) whose maps are the image [h, w, 1] times numbers [m], and whose head is `kernel` [m, k]."""
    network = Network("linear", 1e-2, None, lambda params, x: x * params["times"], pooled_linear)
    params = {"times": jnp.linspace(-1.0, 2.0, len(kernel))}
    return network, {"trunk": params, "head": {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(kernel.shape[1])}}
