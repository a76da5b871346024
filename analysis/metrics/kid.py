"""Kernel inception distance: how far two sets of features are apart, unbiased, with a jackknife interval.

The squared maximum mean discrepancy under the kernel (x . y / d + 1)^3 (Binkowski et al. 2018, section 4). The interval
is the delete-one jackknife of both samples: the bootstrap of this statistic, and its spread over subsets, do not cover.
What the jackknife counts twice, the variance that no single element explains (Efron and Stein 1981), is taken off: it
is all of the variance where both samples are of one distribution.

Where several elements are of one patient, pairs of them are left out of a sample's own term, as an element's pair with
itself is: they are alike and would make the distance too large. What patients add to the variance is put on.
"""

from typing import NamedTuple

import numpy as np

from analysis.metrics.intervals import Estimate, jackknife_variance
from analysis.metrics.patients import LEAST, Groups, added_variance, number, quantile_95

ROWS, COLUMNS = 1024, 8192  # of a kernel matrix in memory at once: 64 MiB, whatever the size of the samples


def kid(x: np.ndarray, y: np.ndarray, groups: tuple[Groups, Groups] = (None, None)) -> Estimate:
    """Distance of features x [m, d] and y [n, d]; 0 is expected of two samples of one distribution.

    Args:
      groups: the patient of each of x [m] and of y [n]. With fewer than three patients their pairs are all counted,
        and the ends are nan.

    Raises:
      ValueError: fewer than three of either, or features of different length or not finite.
    """
    if min(len(x), len(y)) < 3 or x.shape[1:] != y.shape[1:]:
        raise ValueError(f"kid of {x.shape} and {y.shape}: at least three of each, of one length, are needed")
    sums = _Sums.of(x, y)
    mates = _all_mates(x, y, groups)
    left_out, value = _left_out(sums, mates)
    if not np.isfinite(value):  # one such feature is enough for that
        raise ValueError("kid of features that are not all finite")
    variance = _variance(_without_mates(sums, mates), sum(map(jackknife_variance, left_out)))
    for values, of in zip(left_out, groups, strict=True):
        variance += added_variance(_influence(values) / len(values), of)
    half = variance**0.5 * max(quantile_95(len(a), of) for a, of in zip((x, y), groups, strict=True))
    return Estimate(value, value - half, value + half, (len(x), len(y)))


def kid_influence(
    x: np.ndarray, y: np.ndarray, groups: tuple[Groups, Groups] = (None, None)
) -> tuple[np.ndarray, np.ndarray]:
    """What each element adds to the distance, [m] and [n], in the jackknife's sense; each sums to 0.

    KID of resampled elements is KID plus the means of their influences, to first order. So the interval of a mean or a
    difference of several distances, which may share elements, can be had without the features (Efron and Tibshirani
    1993, section 11.5: (m - 1) (mean of the statistics with one left out - that without this one)). Their spread is the
    plain jackknife's, so that of distances near 0 it is up to 1.4 times too large.
    """
    left_out, _ = _left_out(_Sums.of(x, y), _all_mates(x, y, groups))
    return tuple(map(_influence, left_out))


def _influence(left_out: np.ndarray) -> np.ndarray:
    return (len(left_out) - 1) * (left_out.mean() - left_out)


class _Sums(NamedTuple):
    """Sums of the kernel, and of its square: within x [m] and y [n] (no element with itself), across, [m] and [n]."""

    within: tuple[np.ndarray, np.ndarray]
    across: tuple[np.ndarray, np.ndarray]
    squares: tuple[float, float, float]  # within x, within y, across

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> "_Sums":
        within, squares = [], []
        for a in (x, y):
            rows, _, square = _sums(a, a)
            own = _diagonal(a)
            within.append(rows - own)
            squares.append(square - np.square(own).sum())
        rows, columns, square = _sums(x, y)
        return cls(tuple(within), (rows, columns), (*squares, square))


class _Mates(NamedTuple):
    """Of each element of a sample the others of its patient: how many with itself, and their kernels' sum, [m] both.

    And the sum of these kernels' squares, of all of them.
    """

    number: np.ndarray
    sums: np.ndarray
    squares: float

    @classmethod
    def of(cls, x: np.ndarray, groups: Groups) -> "_Mates":
        sums, squares = np.zeros(len(x)), 0.0
        if groups is None or number(groups, len(x)) < LEAST:
            return cls(np.ones(len(x)), sums, squares)
        order = np.argsort(groups, kind="stable")
        several = (rows for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(rows) > 1)
        for rows in several:
            own = _diagonal(x[rows])
            kernels, _, square = _sums(x[rows], x[rows])
            sums[rows], squares = kernels - own, squares + square - np.square(own).sum()
        return cls(np.bincount(groups)[groups].astype(float), sums, squares)

    @property
    def pairs(self) -> float:
        """How many ordered pairs are of two patients."""
        return len(self.number) ** 2 - self.number.sum()


def _all_mates(x: np.ndarray, y: np.ndarray, groups: tuple[Groups, Groups]) -> tuple[_Mates, _Mates]:
    return tuple(_Mates.of(a, of) for a, of in zip((x, y), groups, strict=True))


def _without_mates(sums: _Sums, mates: tuple[_Mates, _Mates]) -> _Sums:
    """The same sums with the mean kernel of two patients in place of that of each pair of one patient."""
    within, squares = [], []
    for rows, square, own in zip(sums.within, sums.squares, mates, strict=False):
        others = own.number - 1.0
        usual = (rows - own.sums).sum() / own.pairs
        within.append(rows - own.sums + others * usual)
        squares.append(square - own.squares + others.sum() * usual**2)
    return _Sums(tuple(within), sums.across, (*squares, sums.squares[2]))


def _left_out(sums: _Sums, mates: tuple[_Mates, _Mates]) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """((the statistic with each of x left out [m], with each of y [n]), the statistic)."""
    within = [rows - own.sums for rows, own in zip(sums.within, mates, strict=True)]
    inner = [rows.sum() / own.pairs for rows, own in zip(within, mates, strict=True)]
    across, (m, n) = sums.across, map(len, within)
    value = inner[0] + inner[1] - 2.0 * across[0].sum() / (m * n)
    left_out = (
        _without_one(within[0], mates[0], across[0], n, inner[1]),
        _without_one(within[1], mates[1], across[1], m, inner[0]),
    )
    return left_out, float(value)


def _variance(sums: _Sums, jackknife: float) -> float:
    """The jackknife's less what it counts twice, and at least the variance that pairs alone explain."""
    of_pairs, counted = _of_pairs(sums)
    return max(jackknife - counted + of_pairs, of_pairs)


def _of_pairs(sums: _Sums) -> tuple[float, float]:
    """(the variance that pairs explain and no single element, what the jackknife expects in its place).

    With h the kernel less its mean given either element (Hoeffding), a sample's own term has the variance
    2 E h^2 / (m (m - 1)) from pairs, for which the jackknife has 4 E h^2 / (m (m - 2)); the term across has
    4 E h^2 / (m n), for which either sample's jackknife has as much.
    """
    m, n = map(len, sums.within)
    of_pairs = counted = 0.0
    for rows, squares in zip(sums.within, sums.squares, strict=False):
        k, h = len(rows), _pairs_within(rows, squares)
        of_pairs += 2.0 * h / (k * (k - 1))
        counted += 4.0 * h / (k * (k - 2))
    h = _pairs_across(*sums.across, sums.squares[2])
    return of_pairs + 4.0 * h / (m * n), counted + 8.0 * h / (m * n)


def _pairs_within(rows: np.ndarray, squares: float) -> float:
    """E h^2 within a sample, unbiased but for being cut at 0 (Szekely and Rizzo 2014, eq. 2.3 to 2.5: U-centring)."""
    k, total = len(rows), rows.sum()
    if k < 4:
        return 0.0
    centred = squares - 2.0 * np.square(rows).sum() / (k - 2) + total**2 / ((k - 1) * (k - 2))
    return max(float(centred) / (k * (k - 3)), 0.0)


def _pairs_across(rows: np.ndarray, columns: np.ndarray, squares: float) -> float:
    """The same across the samples: what is left of a table of m x n without its rows' and columns' means."""
    m, n, total = len(rows), len(columns), rows.sum()
    left = squares - np.square(rows).sum() / n - np.square(columns).sum() / m + total**2 / (m * n)
    return max(float(left) / ((m - 1) * (n - 1)), 0.0)


def _sums(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Sums of the kernel of x [m, d] and y [n, d] over y, [m], and over x, [n]; and the sum of its square."""
    rows, columns, squares = np.zeros(len(x)), np.zeros(len(y)), 0.0
    for i in range(0, len(x), ROWS):
        a = x[i : i + ROWS].astype(np.float64)
        for j in range(0, len(y), COLUMNS):
            kernel = a @ y[j : j + COLUMNS].astype(np.float64).T
            kernel /= x.shape[1]
            kernel += 1.0
            kernel *= kernel * kernel  # NumPy's power takes ten times as long
            rows[i : i + ROWS] += kernel.sum(1)
            columns[j : j + COLUMNS] += kernel.sum(0)
            squares += float(np.einsum("ij,ij->", kernel, kernel))
    return rows, columns, squares


def _diagonal(x: np.ndarray) -> np.ndarray:
    return (np.einsum("nd,nd->n", x, x, dtype=np.float64) / x.shape[1] + 1.0) ** 3


def _without_one(within: np.ndarray, mates: _Mates, across: np.ndarray, other: int, other_inner: float) -> np.ndarray:
    """The statistic with each element of one sample left out in turn, [m].

    Args:
      within: [m] sums of the kernel with the elements of its own sample that are of other patients.
      across: [m] sums with the `other` elements of the other sample.
      other_inner: the other sample's own term.
    """
    m = len(within)
    inner = (within.sum() - 2.0 * within) / (mates.pairs - 2.0 * (m - mates.number))
    return inner + other_inner - 2.0 * (across.sum() - across) / ((m - 1) * other)
