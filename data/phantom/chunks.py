"""Drawing a few examples at a time, so that their arrays stay in the cache."""

from collections.abc import Callable

import numpy as np


def in_chunks(draw: Callable, seed: int, indices: np.ndarray, size: int, length: int) -> dict[str, np.ndarray]:
    """What draw(seed, indices, size) returns, a dict of arrays [n, ...], of at most `length` examples a call."""
    indices = np.asarray(indices)
    parts = [draw(seed, indices[at : at + length], size) for at in range(0, len(indices), length)]
    return {name: narrow(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def narrow(array: np.ndarray) -> np.ndarray:
    """What was computed in double precision as float32; masks as they are."""
    return array.astype(np.float32) if array.dtype == np.float64 else array
