"""The random numbers of one example."""

from collections.abc import Callable, Iterable

import numpy as np


class Stream:
    """A counter-based stream keyed by (seed, index), so that an example is the same whatever is drawn beside it.

    Numbers are drawn in single precision, which is quick, and returned in double: with what NumPy's libraries round
    differently from one kind of CPU to another ten digits below a gray level, images are the same on all of them.
    """

    def __init__(self, seed: int, index: int):
        self._rng = np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal numbers, float64 of that shape."""
        return self._rng.standard_normal(shape, np.float32).astype(np.float64)

    def uniform(self, *shape: int) -> np.ndarray:
        """Uniform numbers in [0, 1), float64 of that shape."""
        return self._rng.random(shape, np.float32).astype(np.float64)

    def complex_normal(self, *shape: int) -> np.ndarray:
        """Complex numbers, complex128 of that shape; real and imaginary parts standard normal."""
        return self.normal(*shape[:-1], 2 * shape[-1]).view(np.complex128)


def stacked(seed: int, indices: Iterable[int], draw: Callable[[Stream], tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """What `draw` takes from the stream of each of n examples, one array [n, ...] for each of its results."""
    rows = [draw(Stream(seed, index)) for index in indices]
    return [np.stack(column) for column in zip(*rows, strict=True)]
