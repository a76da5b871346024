"""How much of one set of features lies within the other: precision and recall, density and coverage.

A set is taken as the union of balls, one around each of its features, that reach to its k-th nearest neighbour in the
same set; the feature itself is not counted as a neighbour.
"""

import numpy as np

from analysis.metrics.blocks import distance_blocks, nearest


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> tuple[float, float]:
    """(share of generated features within the real set, share of real ones within the generated set).

    Features [m, d] and [n, d]. A feature on the surface of a ball is within (Kynkaanniemi et al. 2019, eq. 1 and 2).

    Raises:
      ValueError: k or fewer of either, features of different length, or features that are not finite.
    """
    _check(real, generated, k)
    reach_real, reach_generated = _reach(real, k), _reach(generated, k)
    precise, recalled = np.zeros(len(generated), bool), np.zeros(len(real), bool)
    for rows, columns, distance in distance_blocks(real, generated):
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
    for rows, _, distance in distance_blocks(real, generated):
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
    return nearest(x, x, k, own=True)[0][:, -1]
