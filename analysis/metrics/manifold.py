"""How much of one set of features lies within the other: precision and recall, density and coverage.

A set is taken as the union of balls, one around each of its features, that reach to its k-th nearest neighbour in the
same set; the feature itself is not counted as a neighbour.
"""

from collections.abc import Iterator

import numpy as np

ROWS, COLUMNS = 1024, 8192  # of distances in memory at once: 64 MiB an array, whatever the size of the sets


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> tuple[float, float]:
    """(share of generated features within the real set, share of real ones within the generated set).

    Features [m, d] and [n, d]. A feature on the surface of a ball is within (Kynkaanniemi et al. 2019, eq. 1 and 2).

    Raises:
      ValueError: k or fewer of either, features of different length, or features that are not finite.
    """
    _check(real, generated, k)
    reach_real, reach_generated = _reach(real, k), _reach(generated, k)
    precise, recalled = np.zeros(len(generated), bool), np.zeros(len(real), bool)
    for rows, columns, distance in _blocks(real, generated):
        precise[columns] |= (distance <= reach_real[rows, None]).any(0)
        recalled[rows] |= (distance <= reach_generated[None, columns]).any(1)
    return float(precise.mean()), float(recalled.mean())


def density_coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> tuple[float, float]:
    """(mean number of real balls around a generated feature, over k; share of real balls with one inside).

    Features [m, d] and [n, d]. A feature on the surface of a ball is outside, so that the density of a set with itself
    is 1 (Naeem et al. 2020, section 3, and the authors' code). Density may exceed 1. The coverage expected of two
    samples of one distribution is 1 - (m - 1) ... (m - k) / ((m + n - 1) ... (m + n - k)), 0.97 for k = 5.

    Raises:
      ValueError: k or fewer of either, features of different length, or features that are not finite.
    """
    _check(real, generated, k)
    reach = _reach(real, k)
    inside, covered = 0, np.zeros(len(real), bool)
    for rows, _, distance in _blocks(real, generated):
        within = distance < reach[rows, None]
        inside += int(within.sum())
        covered[rows] |= within.any(1)
    return inside / (k * len(generated)), float(covered.mean())


def _check(real: np.ndarray, generated: np.ndarray, k: int) -> None:
    if min(len(real), len(generated)) <= k or real.shape[1:] != generated.shape[1:]:
        shapes = f"{real.shape} and {generated.shape}"
        raise ValueError(f"features of shape {shapes}: more than k = {k} of each, of one length, are needed")
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        raise ValueError("features are not finite")


def _reach(x: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each feature to its k-th nearest neighbour, [n]."""
    nearest = np.full((len(x), k + 1), np.inf)
    for rows, columns, distance in _blocks(x, x):
        own = np.arange(rows.start, rows.stop)
        own = own[(own >= columns.start) & (own < columns.stop)]
        distance[own - rows.start, own - columns.start] = -1.0  # before any other, whatever the rounding
        both = np.concatenate([nearest[rows], distance], 1)
        nearest[rows] = np.partition(both, k, 1)[:, : k + 1]
    return nearest.max(1)


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """(rows of x, rows of y, their squared distances) of all parts in turn."""
    centre = x.mean(0, dtype=np.float64)  # of smaller numbers fewer digits cancel
    rounding = x.shape[1] * np.finfo(np.float64).eps
    for i in range(0, len(x), ROWS):
        rows = slice(i, min(i + ROWS, len(x)))
        a = x[rows] - centre
        for j in range(0, len(y), COLUMNS):
            columns = slice(j, min(j + COLUMNS, len(y)))
            b = y[columns] - centre
            size = np.square(a).sum(1)[:, None] + np.square(b).sum(1)
            distance = size - 2.0 * (a @ b.T)
            distance[distance < rounding * size] = 0.0  # copies are at no distance
            yield rows, columns, distance
