"""How often the 95 % intervals hold the truth, where it is known.

    .venv/bin/python -m tests.analysis.metrics.coverage

prints the tables of docs/metrics.md.
"""

import itertools
from collections.abc import Callable

import numpy as np
from scipy import linalg, stats

from analysis.metrics.frechet import frechet_infinity
from analysis.metrics.intervals import Estimate, delong, mean_95
from analysis.metrics.kid import kid
from analysis.metrics.shares import share

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
    """(coverage, mean estimate, truth) of `kid` for white Gaussians at 0 and at a shift along the first axis."""
    means = np.zeros(d), shift * np.eye(d)[0]
    truth = kid_of_gaussians(*means)
    both = [(mean, np.eye(d)) for mean in means]
    return *covered(lambda rng: kid(draw(rng, both[0], n[0]), draw(rng, both[1], n[1])), truth, repeats), truth


def kid_of_gaussians(one: np.ndarray, other: np.ndarray) -> float:
    """KID of two white Gaussians with these means [d].

    E (x . y / d + 1)^3 needs moments of u = x . y up to the third; given y, u is normal with mean m . y and variance
    |y|^2.
    """
    d = len(one)

    def mean_kernel(m: np.ndarray, k: np.ndarray) -> float:
        a, b, mm, kk = m @ k, m @ m, m @ m, k @ k
        second = a**2 + b + d + kk
        third = a**3 + 3 * a * mm + 3 * a * (d + kk) + 6 * a
        return third / d**3 + 3 * second / d**2 + 3 * a / d + 1

    return mean_kernel(one, one) + mean_kernel(other, other) - 2 * mean_kernel(one, other)


def cover_area(area: float, n: tuple[int, int], repeats: int) -> tuple[float, float, float]:
    """(coverage, mean estimate, truth) of `delong` for two normals of deviation 1."""
    gap = stats.norm.ppf(area) * 2**0.5
    return *covered(lambda rng: delong(rng.normal(gap, 1, n[0]), rng.normal(size=n[1])), area, repeats), area


def of_patients(rng: np.random.Generator, sizes: np.ndarray, d: int, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """(white Gaussian features [n, d] of patients with `sizes` images, whose correlation is `alike`; [n] whose)."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    own, shared = rng.normal(size=(len(groups), d)), rng.normal(size=(len(sizes), d))[groups]
    return alike**0.5 * shared + (1.0 - alike) ** 0.5 * own, groups


def cover_patients(metric: str, sizes: np.ndarray, alike: float, repeats: int, known: bool = True) -> tuple:
    """(coverage, mean estimate, truth) where the real images are of patients with `sizes` images each.

    Args:
      alike: correlation of the features, or scores, of one patient's images.
      known: whether the interval is told of the patients.
    """

    def estimate(rng: np.random.Generator) -> Estimate:
        real, groups = of_patients(rng, sizes, WIDTH[metric], alike)
        told = groups if known else None
        if metric == "kid":
            return kid(rng.normal(0.3, 1, (100, WIDTH[metric])), real, (None, told))
        if metric == "fd_infinity":
            return frechet_infinity(rng.normal(0.3, 1, real.shape), real, groups=(None, told))
        score = real[:, 0]
        if metric == "mean":
            return mean_95(score, told)
        if metric == "share":
            return share(score > PLACE, told)
        kind = np.arange(len(score)) % 2 == 0  # a patient has images of both
        both = (None, None) if told is None else (told[kind], told[~kind])
        return delong(score[kind] + 1.0, score[~kind], both)

    return *covered(estimate, PATIENTS_TRUTH[metric](), repeats), PATIENTS_TRUTH[metric]()


PATIENTS = {
    "30 x 4": np.full(30, 4),
    "49, 79 images": np.array([6, 5, 4, 4, 3, 3, 3] + [2] * 9 + [1] * 33),
    "12 x 10": np.full(12, 10),
}
WIDTH = {"kid": 16, "fd_infinity": 16, "mean": 1, "share": 1, "auc": 1}
PLACE = 1.0  # above which a score counts
PATIENTS_TRUTH = {
    "kid": lambda: kid_of_gaussians(0.3 * np.ones(16), np.zeros(16)),
    "fd_infinity": lambda: 16 * 0.3**2,
    "mean": lambda: 0.0,
    "share": lambda: float(stats.norm.sf(PLACE)),
    "auc": lambda: float(stats.norm.cdf(0.5**0.5)),
}


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
    print(table_of_patients(repeats))


def table_of_patients(repeats: int) -> str:
    """Coverage where patients have several images each, told of them and not."""
    lines = ["| patients x images | alike | " + " | ".join(WIDTH) + " |", "| --- |" + " --- |" * (len(WIDTH) + 1)]
    for sizes, alike in itertools.product(PATIENTS.items(), (0.0, 0.5, 0.9)):
        cells = [[cover_patients(metric, sizes[1], alike, repeats, known)[0] for known in (True, False)]
                 for metric in WIDTH]  # fmt: skip
        words = " | ".join(f"{told:.3f} ({untold:.3f})" for told, untold in cells)
        lines.append(f"| {sizes[0]} | {alike} | {words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
