"""Kernel inception distance: how far two sets of features are apart, unbiased, with a jackknife interval.

The squared maximum mean discrepancy under the kernel (x . y / d + 1)^3 (Binkowski et al. 2018, section 4). The interval
is the delete-one jackknife of both samples: the bootstrap of this statistic, and its spread over subsets, do not cover.
"""

import numpy as np

from analysis.metrics.intervals import NORMAL_95, Estimate, jackknife_variance

ROWS = 1024  # of a kernel matrix in memory at once


def kid(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Distance of features x [m, d] and y [n, d]; 0 is expected of two samples of one distribution.

    Raises:
      ValueError: fewer than three of either, or features of different length.
    """
    if min(len(x), len(y)) < 3 or x.shape[1:] != y.shape[1:]:
        raise ValueError(f"kid of {x.shape} and {y.shape}: at least three of each, of one length, are needed")
    x, y = (np.asarray(a, np.float64) for a in (x, y))
    within = [_row_sums(a, a) - _diagonal(a) for a in (x, y)]
    across = [_row_sums(x, y), _row_sums(y, x)]
    m, n = len(x), len(y)
    inner = [within[0].sum() / (m * (m - 1)), within[1].sum() / (n * (n - 1))]
    value = inner[0] + inner[1] - 2.0 * across[0].sum() / (m * n)
    variance = sum(
        jackknife_variance(_without_one(within[i], across[i], other_size, inner[1 - i]))
        for i, other_size in ((0, n), (1, m))
    )
    half = NORMAL_95 * variance**0.5
    return Estimate(float(value), float(value - half), float(value + half), (m, n))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _row_sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.concatenate([_kernel(x[i : i + ROWS], y).sum(1) for i in range(0, len(x), ROWS)])


def _diagonal(x: np.ndarray) -> np.ndarray:
    return (np.square(x).sum(1) / x.shape[1] + 1.0) ** 3


def _without_one(within: np.ndarray, across: np.ndarray, other: int, other_inner: float) -> np.ndarray:
    """The statistic with each element of one sample left out in turn, [m].

    Args:
      within: [m] sums of the kernel with the other elements of its own sample.
      across: [m] sums with the `other` elements of the other sample.
      other_inner: the other sample's own term.
    """
    m = len(within)
    inner = (within.sum() - 2.0 * within) / ((m - 1) * (m - 2))
    return inner + other_inner - 2.0 * (across.sum() - across) / ((m - 1) * other)
