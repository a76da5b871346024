"""Random orders and coins that are functions of what they are for, so that no generator's state is kept.

Hashes and not numpy's generators, whose streams may change with numpy's version.
"""

import functools
import hashlib

import numpy as np

TURNS = 1000  # in which several sources have had their shares


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


class Turns:
    """Endless shuffling of several groups of rows that take turns, each in orders of its own."""

    def __init__(self, groups: list[np.ndarray], seed: int, turns: np.ndarray | None = None):
        """turns: whose turn it is, int [t], over and over; each group must have one. None: one after the other."""
        self._groups, self._turns = groups, np.arange(len(groups)) if turns is None else turns
        self._orders = [Orders(len(rows), mix(seed, i)) for i, rows in enumerate(groups)]
        mine = self._turns == np.arange(len(groups))[:, None]
        self._a_round = mine.sum(1)  # turns of each group in a round
        self._before = (mine.cumsum(1) - 1)[self._turns, np.arange(len(self._turns))]  # and before each of its turns

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The rows at consecutive positions [b]."""
        rounds, within = np.divmod(positions, len(self._turns))
        which, index = self._turns[within], np.empty_like(positions)
        for i, (rows, orders) in enumerate(zip(self._groups, self._orders, strict=True)):
            mine = which == i
            if mine.any():
                index[mine] = rows[orders.at(rounds[mine] * self._a_round[i] + self._before[within[mine]])]
        return index


def turns(weights: np.ndarray, length: int = TURNS) -> np.ndarray:
    """Whose turn it is, int [length], so that at any time each has had its share, to about one turn.

    Args:
        weights: [n] above 0, sum 1; below 1 / length a group has no turn.
    """
    had, order = np.zeros(len(weights)), []
    for turn in range(1, length + 1):
        order.append(int(np.argmax(weights * turn - had)))  # who is furthest behind
        had[order[-1]] += 1
    return np.array(order)
