"""Centre and scale of the training pixels: measured, never assumed."""

import sys

import numpy as np

from data.options import DataOptions


class Moments:
    """Mean and standard deviation of pixels in [-1, 1], per channel, in one pass (exact integer sums)."""

    def __init__(self, channels: int):
        self._n, self._maximum, self._darkest, self._brightest = 0, 1, 1 << 16, 0
        self._sum, self._square = [0] * channels, [0] * channels

    def add(self, stored: np.ndarray) -> None:
        self._maximum = int(np.iinfo(stored.dtype).max)
        wide = stored.reshape(-1, stored.shape[-1]).astype(np.uint64)
        self._n += len(wide)
        self._darkest = min(self._darkest, int(stored.min()))
        self._brightest = max(self._brightest, int(stored.max()))
        for c in range(wide.shape[-1]):
            self._sum[c] += int(wide[:, c].sum())
            self._square[c] += int(wide[:, c] @ wide[:, c])

    @property
    def mean(self) -> tuple[float, ...]:
        return tuple(2 * s / max(1, self._n) / self._maximum - 1 for s in self._sum)

    @property
    def std(self) -> tuple[float, ...]:
        n = max(1, self._n)
        variances = ((q * n - s * s) / n**2 for s, q in zip(self._sum, self._square, strict=True))
        return tuple(2 * v**0.5 / self._maximum for v in variances)

    def warn_if_narrow(self, options: DataOptions) -> None:
        """A 12-bit image in a 16-bit file would train as near black, or as one gray, unnoticed."""
        if (self._brightest - self._darkest) * 4 < self._maximum:
            dark, bright = self._darkest / self._maximum, self._brightest / self._maximum
            print(
                f"{options.name}: all training pixels lie between {dark:.1%} and {bright:.1%} of the way from "
                "black to white: set data.window=(low, high) to the values of black and white.",
                file=sys.stderr,
            )
