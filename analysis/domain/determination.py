"""How much of what varies a regressor reads."""

import numpy as np

from analysis.domain.regressor import r_squared
from analysis.metrics.intervals import Estimate, jackknife_variance
from analysis.metrics.patients import student_95


def determination(read: np.ndarray, true: np.ndarray) -> list[Estimate]:
    """R^2 of each column of [n, k], n >= 3, with Student's interval of the jackknife over images.

    Where the variance of a column rests on one image, its R^2 has no interval: low and high are None.
    """
    n, values = len(true), r_squared(read, true)
    error, spread = np.square(read - true), np.square(true - true.mean(0))
    # Both sums without each row; the spread then is about the mean without it, hence n / (n - 1).
    error, spread = error.sum(0) - error, spread.sum(0) - spread * n / (n - 1)
    return [_estimate(value, e, s, n) for value, e, s in zip(values, error.T, spread.T, strict=True)]


def _estimate(value: float, error: np.ndarray, spread: np.ndarray, n: int) -> Estimate:
    if spread.min() <= 1e-12 * spread.max() or spread.max() == 0:
        return Estimate(float(value), None, None, (n,))
    half = student_95(n) * jackknife_variance(1.0 - error / spread) ** 0.5
    return Estimate(float(value), float(value - half), float(min(value + half, 1.0)), (n,))
