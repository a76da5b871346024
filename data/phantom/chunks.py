"""Drawing a few examples at a time, so that their arrays stay in the cache."""

from collections.abc import Callable

import numpy as np


def in_chunks(draw: Callable, seed: int, indices: np.ndarray, size: int, length: int) -> dict[str, np.ndarray]:
    """What draw(seed, indices, size) returns, a dict of arrays [n, ...], of at most `length` examples a call."""
    indices = np.asarray(indices)
    starts = range(0, len(indices), length)
    parts = [{k: narrow(v) for k, v in draw(seed, indices[i : i + length], size).items()} for i in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def narrow(array: np.ndarray) -> np.ndarray:
    """What was computed in double precision as float32; masks as they are."""
    return array.astype(np.float32) if array.dtype == np.float64 else array
