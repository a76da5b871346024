"""How often the 95 % intervals of the factors' metrics hold the truth, where it is known.

    .venv/bin/python -m tests.analysis.domain_coverage

prints the tables of docs/domain_metrics.md.
"""

from collections.abc import Callable

import numpy as np

from analysis.domain.determination import determination
from analysis.domain.drift import correlation_difference, wasserstein
from tests.analysis.metrics.coverage import covered, table

Draw = Callable[[np.random.Generator, int], np.ndarray]


def rare(rng: np.random.Generator, n: int, share: float = 0.2) -> np.ndarray:
    """Two values, blurred as a regressor blurs them."""
    return (rng.uniform(size=n) < share) + 0.05 * rng.normal(size=n)


DEVIATION = np.sqrt(0.2 * 0.8 + 0.05**2)  # of `rare`
DISTRIBUTIONS: dict[str, tuple[Draw, Draw, float, float]] = {  # generated, real, distance, deviation of the real
    "normal, same": (lambda r, n: r.normal(size=n), lambda r, n: r.normal(size=n), 0.0, 1.0),
    "normal, moved by 0.2": (lambda r, n: r.normal(0.2, 1, n), lambda r, n: r.normal(size=n), 0.2, 1.0),
    "normal, 1.2 as wide": (lambda r, n: r.normal(0, 1.2, n), lambda r, n: r.normal(size=n),
                            0.2 * np.sqrt(2 / np.pi), 1.0),
    "exponential, same": (lambda r, n: r.exponential(size=n), lambda r, n: r.exponential(size=n), 0.0, 1.0),
    "two values, same": (rare, rare, 0.0, DEVIATION),
    "two values, 0.3 for 0.2": (lambda r, n: rare(r, n, 0.3), rare, 0.1, DEVIATION),
}  # fmt: skip


def cover_wasserstein(name: str, n: tuple[int, int], repeats: int) -> tuple[float, float, float]:
    """(coverage, mean estimate, truth)."""
    x, y, distance, deviation = DISTRIBUTIONS[name]

    def estimate(rng):
        return wasserstein(x(rng, n[0])[:, None], y(rng, n[1])[:, None], int(rng.integers(2**31)))[0][0]

    return *covered(estimate, distance / deviation, repeats), distance / deviation


def cover_correlations(rho: float, k: int, n: tuple[int, int], repeats: int) -> tuple[float, float, float]:
    """Of k normal columns, of which the generated ones have correlation rho and the real ones none."""
    root = np.linalg.cholesky(np.full((k, k), rho) + (1 - rho) * np.eye(k))

    def estimate(rng):
        a, b = rng.normal(size=(n[0], k)) @ root.T, rng.normal(size=(n[1], k))
        return correlation_difference(a, b, int(rng.integers(2**31)))

    return *covered(estimate, rho, repeats), rho


def cover_determination(r2: float, n: int, repeats: int) -> tuple[float, float, float]:
    """Of the best reading of a normal number, whose error has variance 1 - r2."""

    def estimate(rng):
        read = r2**0.5 * rng.normal(size=(n, 1))
        return determination(read, read + (1 - r2) ** 0.5 * rng.normal(size=(n, 1)))[0]

    return *covered(estimate, r2, repeats), r2


def main(repeats: int = 500):
    sizes = [(50, 50), (300, 1000), (1000, 1000)]
    columns = [f"n = {n}, {m}" for n, m in sizes]
    rows = [(name, [cover_wasserstein(name, n, repeats) for n in sizes]) for name in DISTRIBUTIONS]
    print(table("Wasserstein-1, in deviations", columns, rows))
    rows = [(f"correlation {r:g}", [cover_correlations(r, 20, n, repeats // 5) for n in sizes]) for r in (0.0, 0.1)]
    print(table("difference of correlations, 20 columns", columns, rows))
    rows = [(f"{r2:g}", [cover_determination(r2, n, 2 * repeats) for n in (50, 1000)]) for r2 in (0.3, 0.9)]
    print(table("R^2", ["n = 50", "n = 1000"], rows))


if __name__ == "__main__":
    main()
