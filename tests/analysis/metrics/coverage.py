"""How often the 95 % intervals hold the truth, where it is known.

    .venv/bin/python -m tests.analysis.metrics.coverage

prints the tables of docs/metrics.md.
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


def table(of: str, columns: list[str], rows: list[tuple[str, list[tuple[float, float, float]]]]) -> str:
    """Each row's truth and, at each size, its coverage and in brackets the mean estimate."""
    lines = [f"| {of} | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, found in rows:
        cells = [f"{share:.3f} ({mean:.3f} of {truth + 0:.3f})" for share, mean, truth in found]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(repeats: int = 500):
    sizes = [(80, (40, 40)), (80, (60, 60)), (32, (40, 40)), (32, (64, 64)), (32, (256, 256)), (32, (48, 192))]
    columns = [f"d = {d}, n = {n[0]}, {n[1]}" for d, n in sizes]
    rows = [(name, [cover_frechet(name, d, n, repeats) for d, n in sizes]) for name in NAMES]
    print(table("Frechet distance at infinity", columns, rows))
    sizes = [(8, (60, 60)), (64, (60, 60)), (64, (40, 200)), (64, (250, 250))]
    columns = [f"d = {d}, n = {n[0]}, {n[1]}" for d, n in sizes]
    rows = [(f"moved by {s:g}", [cover_kid(s, d, n, repeats) for d, n in sizes]) for s in (0.0, 0.5, 2.0)]
    print(table("KID, white Gaussians", columns, rows))
    pairs = [(10, 10), (50, 50), (20, 80), (15, 300), (200, 200)]
    rows = [(str(area), [cover_area(area, n, 2 * repeats) for n in pairs]) for area in (0.5, 0.7, 0.9, 0.97)]
    print(table("AUC", [f"n = {m}, {n}" for m, n in pairs], rows))


if __name__ == "__main__":
    main()
