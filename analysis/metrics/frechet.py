"""Frechet distance of two sets of features taken as Gaussians, and what it tends to as the sets grow.

d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Dowson and Landau 1982; of Inception features, Heusel et al. 2017).
Its value at n images exceeds that at infinitely many by about a / n, where a grows with the number of features d:
numbers at different n are not comparable. `frechet_infinity` removes that.
"""

import dataclasses

import numpy as np

from analysis.metrics.intervals import Estimate, jackknife_variance
from analysis.metrics.patients import LEAST, Groups, folds, number, student_95


class Moments:
    """Number, mean [d] and covariance [d, d] of features that come in parts, in float64.

    Parts are joined by the update of Chan, Golub and LeVeque (1983), which subtracts no large numbers.
    """

    def __init__(self, width: int):
        self.n, self.mean, self.scatter = 0, np.zeros(width), np.zeros((width, width))

    def add(self, features: np.ndarray) -> "Moments":
        """Takes in features [n, d]; returns itself.

        Raises:
          ValueError: another length, or features that are not finite.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ValueError(f"features of shape {features.shape}: [n, {len(self.mean)}] is needed")
        if not len(features):
            return self
        part = Moments(len(self.mean))
        part.n, part.mean = len(features), features.mean(0, dtype=np.float64)
        if not np.isfinite(part.mean).all():
            raise ValueError("features are not finite")
        centred = features - part.mean
        part.scatter = centred.T @ centred
        return self.merge(part)

    def merge(self, other: "Moments") -> "Moments":
        """Takes in what another one has seen; returns itself."""
        n = self.n + other.n
        gap, share = other.mean - self.mean, other.n / max(n, 1)
        self.scatter = self.scatter + other.scatter + np.outer(gap, gap) * (self.n * share)
        self.n, self.mean = n, self.mean + gap * share
        return self

    def without(self, part: "Moments") -> "Moments":
        """What is left when a part that was taken in is taken out again; itself unchanged."""
        rest = Moments(len(self.mean))
        rest.n = self.n - part.n
        rest.mean = (self.n * self.mean - part.n * part.mean) / rest.n
        gap = part.mean - rest.mean
        rest.scatter = self.scatter - part.scatter - np.outer(gap, gap) * (rest.n * part.n / self.n)
        return rest

    @property
    def covariance(self) -> np.ndarray:
        """[d, d], divided by n - 1.

        Raises:
          ValueError: fewer than two features.
        """
        if self.n < 2:
            raise ValueError(f"{self.n} features have no covariance: at least two are needed")
        return self.scatter / (self.n - 1)


def moments_of(features: np.ndarray) -> Moments:
    """Moments of features [n, d]."""
    return Moments(features.shape[-1]).add(features)


@dataclasses.dataclass(frozen=True)
class Distance:
    """A Frechet distance, the sizes of both sets, and whether one is too small for a covariance of full rank."""

    value: float
    n: tuple[int, int]
    singular: bool


@dataclasses.dataclass(frozen=True)
class DistanceAtInfinity(Estimate):
    """The limit of the Frechet distance, with its value at n; `singular` as in Distance."""

    at_n: float
    singular: bool


def frechet_distance(x: Moments, y: Moments) -> Distance:
    """Frechet distance of two sets of features, given their moments.

    Where `singular` (n <= d), the value is mostly bias: it says how small the set is, not how far.

    Raises:
      ValueError: features of different length, or fewer than two.
    """
    if len(x.mean) != len(y.mean):
        raise ValueError(f"features of length {len(x.mean)} and {len(y.mean)} cannot be compared")
    a, b = x.covariance, y.covariance
    value = np.square(x.mean - y.mean).sum() + np.trace(a) + np.trace(b) - 2.0 * _trace_of_root(a, b)
    return Distance(float(value), (x.n, y.n), min(x.n, y.n) <= len(x.mean))


def _trace_of_root(a: np.ndarray, b: np.ndarray) -> float:
    """tr (a b)^(1/2) of covariances [d, d]: with a = f f', a b has the eigenvalues of the symmetric f' b f."""
    factor = _factor(a)
    # Rounding leaves eigenvalues a little below 0 where a covariance has not full rank.
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(factor.T @ b @ factor), 0.0, None)).sum())


def _factor(a: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:  # not of full rank
        values, vectors = np.linalg.eigh(a)
        return vectors * np.sqrt(np.clip(values, 0.0, None))


class TooFewPatients(ValueError):
    """So that parts of them would say nothing of the rest."""


def frechet_infinity(
    x: np.ndarray, y: np.ndarray, parts: int = 20, seed: int = 0, groups: tuple[Groups, Groups] = (None, None)
) -> DistanceAtInfinity:
    """Frechet distance of features x [m, d] and y [n, d] as their numbers go to infinity, with its interval.

    At equal numbers the distance is linear in 1 / n (Chong and Forsyth 2020), at unequal ones it is bent: the larger
    set is cut to the size of the smaller, at random. Both are split into parts of about one size, no patient in two;
    the line goes through the distance of all and the mean of those with one part of each left out, and its value at
    1 / n = 0 is the estimate. So close to n it holds down to n = d, where a line over sizes from n / 2 up is bent.
    The interval is the jackknife over the parts, of the distance of all. It may reach below 0, as KID's does.

    Where `singular` (n <= d) the distance bends below that line, so that the estimate is too high, and only the upper
    end of the interval is that of the estimate. The lower is that of a bound that needs no full rank,
    |m1 - m2|^2 + (tr(S1)^(1/2) - tr(S2)^(1/2))^2 <= d^2 (from tr (S1 S2)^(1/2) <= (tr S1 tr S2)^(1/2)).

    Args:
      parts: how many, or as many as there are patients where these are fewer.
      groups: the patient of each of x [m] and of y [n].

    Raises:
      ValueError: features of different length, or fewer than two a part.
      TooFewPatients: fewer than three of them among those that are compared.
    """
    n = min(len(x), len(y))
    if n < 2 * parts:
        raise ValueError(f"{len(x)} and {len(y)} features: at least two in each of {parts} parts are needed")
    rng = np.random.Generator(np.random.Philox(key=seed))
    rows = [rng.permutation(len(features))[:n] for features in (x, y)]
    sets = [features[order] for features, order in zip((x, y), rows, strict=True)]
    groups = [None if of is None else of[order] for of, order in zip(groups, rows, strict=True)]
    parts = min(parts, *(number(of, n) for of in groups))
    if parts < LEAST:
        raise TooFewPatients(f"{n} features of each, of {parts} patients: at least {LEAST} are needed")
    whole, inside = [moments_of(features) for features in sets], [folds(n, parts, of) for of in groups]
    full = frechet_distance(*whole)
    distances, bounds, shorter = [], [], []
    for g in range(parts):
        rest = [all_.without(moments_of(features[of == g]))
                for all_, features, of in zip(whole, sets, inside, strict=True)]  # fmt: skip
        distances.append(frechet_distance(*rest).value)
        bounds.append(_lower_bound(*rest))
        shorter.append(np.mean([1.0 / moments.n for moments in rest]))
    # From 1 / n to the mean of the others, and from 1 / n to 0; one less than there are parts where all are equal.
    ahead = 1.0 / (n * np.mean(shorter) - 1.0)
    value = full.value - ahead * (np.mean(distances) - full.value)
    half = student_95(parts) * jackknife_variance(np.array(distances)) ** 0.5
    low = value - half
    if full.singular:
        low = _lower_bound(*whole) - student_95(parts) * jackknife_variance(np.array(bounds)) ** 0.5
    return DistanceAtInfinity(float(value), float(low), float(value + half), full.n, full.value, full.singular)


def _lower_bound(x: Moments, y: Moments) -> float:
    traces = [np.trace(moments.covariance) for moments in (x, y)]
    gap = np.square(x.mean - y.mean).sum() - traces[0] / x.n - traces[1] / y.n  # unbiased
    return float(gap + (traces[0] ** 0.5 - traces[1] ** 0.5) ** 2)
