"""Datasets in memory for the tests of domain metrics: what is in the image is known."""

from types import SimpleNamespace

import numpy as np


def corners(n: int, seed: int) -> dict[str, np.ndarray]:
    """Noise 16x16, with a bright corner for the first finding, a dark one for the second, nothing for the third."""
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=(n, 3)) < 0.4).astype(np.float32)
    x = rng.normal(128, 20, (n, 16, 16, 1))
    x[:, :5, :5] += 40 * labels[:, 0, None, None, None]
    x[:, 10:, 10:] -= 40 * labels[:, 1, None, None, None]
    return {"image": np.clip(x, 0, 255).astype(np.uint8), "label": labels, "patient": np.full(n, -1)}


def levels(n: int, seed: int, mean: float = 0.0) -> dict[str, np.ndarray]:
    """Noise 16x16 whose upper half is as bright as the first factor says; the second one is not in the image."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(mean, 1, (n, 2)).astype(np.float32)
    x = rng.normal(128, 10, (n, 16, 16, 1))
    x[:, :8] += 20 * factors[:, 0, None, None, None]
    return {"image": np.clip(x, 0, 255).astype(np.uint8), "factors": factors, "label": np.zeros((n, 0), np.float32)}


def dataset(make, train: int = 600, held: int = 300, **info) -> SimpleNamespace:
    """Three splits of what `make` draws, with the facts of an Info that these metrics ask for."""
    splits = {name: make(n, seed) for seed, (name, n) in enumerate((("train", train), ("val", held), ("test", held)))}
    facts = {"name": "made", "classes": (), "factors": (), "fingerprint": "0" * 16} | info
    return SimpleNamespace(info=SimpleNamespace(**facts), arrays=splits.get)
