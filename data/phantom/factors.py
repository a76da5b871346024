"""What drawn images depend on: a table of named random numbers, and their values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CLIP = 2.2  # standard deviations at which normal factors end, so that no anatomy is impossible


@dataclass(frozen=True)
class Factor:
    """One random number an image depends on.

    kind: "normal" (a mean, b standard deviation, clipped at some of them, see `values`), "uniform" (a to b) or
    "bernoulli" (probability a of 1).
    """

    name: str
    kind: str
    a: float
    b: float
    doc: str


def names(table: Sequence[Factor]) -> tuple[str, ...]:
    """Names of the factors, in order."""
    return tuple(factor.name for factor in table)


def values(table: Sequence[Factor], normal: np.ndarray, uniform: np.ndarray, clip: float = CLIP) -> np.ndarray:
    """Values of the factors, float64 [..., f].

    normal, uniform: [..., f] standard normal and uniform numbers; a factor uses the one of its kind.
    clip: standard deviations at which normal factors end.
    """
    kinds = np.array([factor.kind for factor in table])
    a, b = (np.array([getattr(factor, end) for factor in table], float) for end in "ab")
    drawn = np.where(kinds == "normal", a + b * np.clip(normal, -clip, clip), a + (b - a) * uniform)
    return np.where(kinds == "bernoulli", uniform < a, drawn)
