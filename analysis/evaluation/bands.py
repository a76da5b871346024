"""The subgroups of patients that an attribute makes."""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np

from data.attributes import OLDEST, VALUES

AGES = (40, 60)  # years at which an age band ends and the next begins
MARGIN = 1e-4
STEP = 0.25  # between the codes of an attribute, at least


def bands(attribute: str) -> list[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """[(name, function of values [n] -> bool [n])]: the values of an attribute, or bands of years."""
    if attribute == "age":
        edges = itertools.pairwise((0, *AGES, OLDEST + 1))
        return [(f"{a} to {b - 1}", partial(_between, low=a / 100, high=b / 100)) for a, b in edges]
    return [(name, partial(_between, low=code, high=code + STEP)) for name, code in VALUES[attribute].items()]


def _between(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """low <= x < high; the unknown is below all. Stored in float32, hence the margin."""
    return (x > low - MARGIN) & (x < high - MARGIN)
