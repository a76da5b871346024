"""Kernel inception distance: how far two sets of features are apart, unbiased, with a jackknife interval.

The squared maximum mean discrepancy under the kernel (x . y / d + 1)^3 (Binkowski et al. 2018, section 4). The interval
is the delete-one jackknife of both samples: the bootstrap of this statistic, and its spread over subsets, do not cover.
"""

import numpy as np

from analysis.metrics.intervals import NORMAL_95, Estimate, jackknife_variance

ROWS, COLUMNS = 1024, 8192  # of a kernel matrix in memory at once: 64 MiB, whatever the size of the samples


def kid(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Distance of features x [m, d] and y [n, d]; 0 is expected of two samples of one distribution.

    Raises:
      ValueError: fewer than three of either, or features of different length or not finite.
    """
    if min(len(x), len(y)) < 3 or x.shape[1:] != y.shape[1:]:
        raise ValueError(f"kid of {x.shape} and {y.shape}: at least three of each, of one length, are needed")
    left_out, value = _left_out(x, y)
    if not np.isfinite(value):  # one such feature is enough for that
        raise ValueError("kid of features that are not all finite")
    half = NORMAL_95 * sum(map(jackknife_variance, left_out)) ** 0.5
    return Estimate(value, value - half, value + half, (len(x), len(y)))


def kid_influence(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each element adds to the distance, [m] and [n], in the jackknife's sense; each sums to 0.

    KID of resampled elements is KID plus the means of their influences, to first order. So the interval of a mean or a
    difference of several distances, which may share elements, can be had without the features (Efron and Tibshirani
    1993, section 11.5: (m - 1) (mean of the statistics with one left out - that without this one)).
    """
    left_out, _ = _left_out(x, y)
    return tuple((len(values) - 1) * (values.mean() - values) for values in left_out)


def _left_out(x: np.ndarray, y: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """((the statistic with each of x left out [m], with each of y [n]), the statistic)."""
    within = [_sums(a, a)[0] - _diagonal(a) for a in (x, y)]
    across, m, n = _sums(x, y), len(x), len(y)
    inner = [within[0].sum() / (m * (m - 1)), within[1].sum() / (n * (n - 1))]
    value = inner[0] + inner[1] - 2.0 * across[0].sum() / (m * n)
    left_out = (_without_one(within[0], across[0], n, inner[1]), _without_one(within[1], across[1], m, inner[0]))
    return left_out, float(value)


def _sums(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the kernel of x [m, d] and y [n, d] over y, [m], and over x, [n]."""
    rows, columns = np.zeros(len(x)), np.zeros(len(y))
    for i in range(0, len(x), ROWS):
        a = x[i : i + ROWS].astype(np.float64)
        for j in range(0, len(y), COLUMNS):
            kernel = a @ y[j : j + COLUMNS].astype(np.float64).T
            kernel /= x.shape[1]
            kernel += 1.0
            kernel *= kernel * kernel  # NumPy's power takes ten times as long
            rows[i : i + ROWS] += kernel.sum(1)
            columns[j : j + COLUMNS] += kernel.sum(0)
    return rows, columns


def _diagonal(x: np.ndarray) -> np.ndarray:
    return (np.einsum("nd,nd->n", x, x, dtype=np.float64) / x.shape[1] + 1.0) ** 3


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
