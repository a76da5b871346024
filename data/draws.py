"""Random orders and coins that are functions of what they are for, so that no generator's state is kept.

Hashes and not numpy's generators, whose streams may change with numpy's version.
"""

import functools
import hashlib

import numpy as np


def mix(*numbers: int) -> int:
    """A 64-bit number of which each bit depends on all the integers given (SHA-256)."""
    text = repr([int(n) for n in numbers]).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def scramble(key: int, counters: np.ndarray) -> np.ndarray:
    """uint64 noise, one for each counter: SplitMix64 (Steele et al., OOPSLA 2014) from the state `key`."""
    x = counters.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def coins(seed: int, step: int, ids: np.ndarray) -> np.ndarray:
    """Fair coins, bool [b], each a function of (seed, step, id)."""
    return (scramble(mix(seed, step), ids) >> np.uint64(63)).astype(bool)


def uniforms(seed: int, step: int, ids: np.ndarray, count: int) -> np.ndarray:
    """`count` numbers in [0, 1) for each id, float64 [b, count], each row a function of (seed, step, id)."""
    counters = ids.astype(np.int64)[:, None] * count + np.arange(count)
    return (scramble(mix(seed, step, count), counters) >> np.uint64(11)) / 2.0**53


class Orders:
    """Endless shuffling: positions 0 to n - 1 are epoch 0, the next n epoch 1; each has its own order."""

    def __init__(self, n: int, seed: int):
        self._n, self._seed = n, seed
        self._order = functools.lru_cache(maxsize=4)(
            self._draw
        )  # a batch may straddle epochs; threads run ahead

    def _draw(self, epoch: int) -> np.ndarray:
        return np.argsort(scramble(mix(self._seed, epoch), np.arange(self._n)), kind="stable")

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The indices, in [0, n), at consecutive positions [b]."""
        epochs, within = np.divmod(positions, self._n)
        if epochs[0] == epochs[-1]:
            return self._order(int(epochs[0]))[within]
        index = np.empty_like(within)
        for epoch in np.unique(epochs):
            index[epochs == epoch] = self._order(int(epoch))[within[epochs == epoch]]
        return index
