"""How far two sets' factors lie apart, one by one and in their correlations, with intervals that hold at 0 too.

Distances of two samples exceed those of their distributions: they are above 0 where both are one. Their percentile
bootstrap adds that excess once more, and never holds 0. Both distances here are L1 norms of a difference of estimates,
so that by the triangle inequality |distance - truth| <= N, the norm of that difference's error, with equality where
the distributions are one. The bootstrap estimates the law of N (of Wasserstein-1: del Barrio, Gine and Matran 1999),
and the interval is the distance -+ the 95 % quantile of N, cut at 0: exact in the limit at 0, wider than needed
elsewhere.
"""

import numpy as np

from analysis.metrics.intervals import Estimate

REPEATS = 300


def wasserstein(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[list[Estimate], Estimate]:
    """Wasserstein-1 distance of each column, in standard deviations of b, and the mean over columns.

    Integral |F - G| of the columns' distribution functions (Vallender 1974). Images are drawn again as wholes, so that
    the mean's interval knows how the columns depend on each other.

    Args:
      a, b: [n, k] and [m, k], k >= 1; b is the real one. A column of b that does not vary stays in its own unit.
    """
    weights = (np.full((1, len(a)), 1 / len(a)), np.full((1, len(b)), 1 / len(b)))
    drawn = _shares(len(a), len(b), seed)
    errors = [again - once for again, once in zip(drawn, weights, strict=True)]
    scale = np.where(b.std(0) > 0, b.std(0), 1.0)
    values = np.array([_areas(x, y, *weights)[0] for x, y in zip(a.T, b.T, strict=True)]) / scale
    noise = np.stack([_areas(x, y, *errors) for x, y in zip(a.T, b.T, strict=True)], 1) / scale
    n = (len(a), len(b))
    columns = [_estimate(value, error, n) for value, error in zip(values, noise.T, strict=True)]
    return columns, _estimate(values.mean(), noise.mean(1), n)


def correlation_difference(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Estimate:
    """Mean |difference| of the correlations of all pairs of columns of a [n, k] and b [m, k], k >= 2.

    A column that does not vary has correlation 0 with all.
    """
    upper = np.triu_indices(a.shape[1], 1)

    def difference(weight_a, weight_b):
        return _correlations(a, weight_a)[upper] - _correlations(b, weight_b)[upper]

    plain = difference(np.full(len(a), 1 / len(a)), np.full(len(b), 1 / len(b)))
    drawn = [difference(*pair) for pair in zip(*_shares(len(a), len(b), seed), strict=True)]
    noise = np.abs(np.stack(drawn) - plain).mean(1)
    return _estimate(np.abs(plain).mean(), noise, (len(a), len(b)))


def _shares(n: int, m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of images drawn again, [REPEATS, n] and [REPEATS, m]; each row adds to 1."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    return tuple(rng.multinomial(size, np.full(size, 1 / size), REPEATS) / size for size in (n, m))


def _areas(x: np.ndarray, y: np.ndarray, weight_x: np.ndarray, weight_y: np.ndarray) -> np.ndarray:
    """Integral |F - G| [r] of x [n] weighted [r, n] and y [m] weighted [r, m]."""
    pooled = np.concatenate([x, y])
    order = np.argsort(pooled)
    steps = np.concatenate([weight_x, -weight_y], 1)[:, order]
    return np.abs(np.cumsum(steps, 1)[:, :-1]) @ np.diff(pooled[order])


def _correlations(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    centred = values - weight @ values
    covariance = (centred * weight[:, None]).T @ centred
    std = np.sqrt(np.diag(covariance))
    std = np.where(std > 1e-12, std, np.inf)
    return covariance / np.outer(std, std)


def _estimate(value: float, noise: np.ndarray, n: tuple[int, int]) -> Estimate:
    half = np.quantile(noise, 0.95)
    return Estimate(float(value), float(max(value - half, 0.0)), float(value + half), n)
