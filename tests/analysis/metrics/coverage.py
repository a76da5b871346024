"""How often the 95 % intervals hold the truth, where it is known.

    .venv/bin/python -m tests.analysis.metrics.coverage

prints the tables of docs/evaluation.md.
"""

from collections.abc import Callable

import numpy as np
from scipy import linalg, stats

from analysis.metrics.frechet import frechet_infinity
from analysis.metrics.intervals import Estimate, delong
from analysis.metrics.kid import kid

NAMES = ("same, white", "same, 1/k", "moved by 3", "1.5 as wide", "1/k turned", "1/k and white")
Gaussian = tuple[np.ndarray, np.ndarray]  # mean [d], covariance [d, d]


def gaussians(name: str, d: int) -> tuple[Gaussian, Gaussian]:
    """Two Gaussians whose distance is known."""
    rng = np.random.default_rng(1)
    zero, one, turn = np.zeros(d), np.eye(d), linalg.qr(rng.normal(size=(d, d)))[0]
    decay = np.diag(d / np.arange(1, d + 1) / np.sum(1 / np.arange(1, d + 1)))
    return {
        "same, white": ((zero, one), (zero, one)),
        "same, 1/k": ((zero, decay), (zero, decay)),
        "moved by 3": ((zero, one), (3 * one[0], one)),
        "1.5 as wide": ((zero, one), (zero, 1.5 * one)),
        "1/k turned": ((zero, decay), (zero, turn @ decay @ turn.T)),
        "1/k and white": ((zero, decay), (one[0], one)),
    }[name]


def frechet_by_sqrtm(x: Gaussian, y: Gaussian) -> float:
    root = linalg.sqrtm(x[1] @ y[1])
    return float(np.square(x[0] - y[0]).sum() + np.trace(x[1] + y[1]) - 2 * np.trace(root).real)


def draw(rng: np.random.Generator, of: Gaussian, n: int) -> np.ndarray:
    values, vectors = linalg.eigh(of[1])
    return of[0] + rng.normal(size=(n, len(of[0]))) * np.sqrt(np.maximum(values, 0)) @ vectors.T


def covered(estimate: Callable[[np.random.Generator], Estimate], truth: float, repeats: int) -> tuple[float, float]:
    """(share of intervals that hold the truth, mean estimate)."""
    found = [estimate(np.random.default_rng([i, 7])) for i in range(repeats)]
    return float(np.mean([e.low <= truth <= e.high for e in found])), float(np.mean([e.value for e in found]))


def cover_frechet(name: str, d: int, n: tuple[int, int], repeats: int) -> tuple[float, float, float]:
    """(coverage, mean estimate, truth) of `frechet_infinity`."""
    x, y = gaussians(name, d)
    truth = frechet_by_sqrtm(x, y)
    return *covered(lambda rng: frechet_infinity(draw(rng, x, n[0]), draw(rng, y, n[1])), truth, repeats), truth


def cover_kid(shift: float, d: int, n: tuple[int, int], repeats: int) -> tuple[float, float, float]:
    """(coverage, mean estimate, truth) of `kid` for white Gaussians at 0 and at a shift along the first axis.

    E (x . y / d + 1)^3 needs moments of u = x . y up to the third; given y, u is normal with mean m . y and variance
    |y|^2.
    """
    means = np.zeros(d), shift * np.eye(d)[0]

    def mean_kernel(m: np.ndarray, k: np.ndarray) -> float:
        a, b, mm, kk = m @ k, m @ m, m @ m, k @ k
        second = a**2 + b + d + kk
        third = a**3 + 3 * a * mm + 3 * a * (d + kk) + 6 * a
        return third / d**3 + 3 * second / d**2 + 3 * a / d + 1

    truth = mean_kernel(means[0], means[0]) + mean_kernel(means[1], means[1]) - 2 * mean_kernel(*means)
    both = [(mean, np.eye(d)) for mean in means]
    return *covered(lambda rng: kid(draw(rng, both[0], n[0]), draw(rng, both[1], n[1])), truth, repeats), truth


def cover_area(area: float, n: tuple[int, int], repeats: int) -> tuple[float, float, float]:
    """(coverage, mean estimate, truth) of `delong` for two normals of deviation 1."""
    gap = stats.norm.ppf(area) * 2**0.5
    return *covered(lambda rng: delong(rng.normal(gap, 1, n[0]), rng.normal(size=n[1])), area, repeats), area


def main(repeats: int = 500):
    rows = []
    for name in NAMES:
        for d, n in ((80, 40), (80, 60), (32, 40), (32, 48), (32, 64), (32, 128), (32, 256)):
            rows.append((f"FD at infinity | {name}, d = {d} | {n}, {n}", cover_frechet(name, d, (n, n), repeats)))
        rows.append((f"FD at infinity | {name}, d = 32 | 48, 192", cover_frechet(name, 32, (48, 192), repeats)))
    for shift in (0.0, 0.5, 2.0):
        for d, n in ((8, (60, 60)), (64, (60, 60)), (64, (40, 200))):
            rows.append((f"KID | moved by {shift:g}, d = {d} | {n[0]}, {n[1]}", cover_kid(shift, d, n, repeats)))
    for area in (0.5, 0.7, 0.9, 0.97):
        for n in ((10, 10), (50, 50), (20, 80), (15, 300), (200, 200)):
            rows.append((f"AUC | {area} | {n[0]}, {n[1]}", cover_area(area, n, 2 * repeats)))
    print("| | of | n | truth | mean estimate | coverage |\n| --- | --- | --- | --- | --- | --- |")
    for words, (share, mean, truth) in rows:
        print(f"| {words} | {truth + 0:.3f} | {mean:.3f} | {share:.3f} |")


if __name__ == "__main__":
    main()
