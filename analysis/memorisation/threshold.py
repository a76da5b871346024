"""When an image is too close to a training image: closer than real images that the model has not seen are.

Of unseen images of which a patient has several, `patients` is how many these are. How alike the images of one are is
not known: they are taken for all alike, so that patients count, or for all different, whichever lets less be concluded.
"""

from typing import Any

import numpy as np
from scipy import stats

QUANTILE = 0.01  # share of unseen real images that may be called too close


def threshold(closeness: np.ndarray) -> tuple[float, float]:
    """(value, share of unseen real images expected below it) from the closeness [n] of unseen real images.

    Take `new` of them: a value of 0 would let every copy pass. The value is their k-th smallest, k = `rank(n)`. Of
    another image of their distribution the chance to be closer is k / (n + 1), whatever the distribution.

    Raises:
      ValueError: no images.
    """
    n = len(closeness)
    if not n:
        raise ValueError("a threshold needs the closeness of at least one unseen image")
    return float(np.partition(closeness, rank(n) - 1)[rank(n) - 1]), rank(n) / (n + 1)


def new(closeness: np.ndarray) -> np.ndarray:
    """Which unseen images can set a threshold, bool [n]: not those that are a training image, at a distance of 0."""
    return closeness > 0.0


def rank(n: int) -> int:
    """Which of n unseen images in order of closeness is the threshold: QUANTILE (n + 1) rounded down, but at least 1.

    With n below 1 / QUANTILE - 1, more than the share QUANTILE of unseen images is then expected below.
    """
    return max(int(QUANTILE * (n + 1) + 1e-9), 1)


def band(samples: int, n: int, patients: int | None = None) -> tuple[float, float]:
    """Shares of the samples between which at least 95 % of generators lie whose samples are as the n unseen images are.

    Two generators beside one threshold lie in it together: it is that of the threshold's own chance above all.
    """
    ends = np.array([below.ppf([0.025, 0.975]) for below in _below(samples, n, patients)]) / samples
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def smallest(samples: int, n: int, p: float, patients: int | None = None) -> float:
    """The least share of the samples for which `p_below` is under p: fewer copies are not suspected; inf if none is."""
    counts = np.arange(samples + 1)
    found = counts[[p_below(int(count), samples, n, patients) < p for count in counts]]
    return float(found[0] / samples) if len(found) else float("inf")


def p_below(count: int, samples: int, n: int, patients: int | None = None) -> float:
    """Chance that so many of the samples, or more, lie below the threshold of n unseen images, were all of one kind.

    That the threshold is a chance one is in it.
    """
    # The sum, since SciPy's tail is 1 less the rest and ends at 1e-13.
    more = np.arange(count, samples + 1)
    return float(min(max(below.pmf(more).sum() for below in _below(samples, n, patients)), 1.0))


def _below(samples: int, n: int, patients: int | None) -> list[Any]:
    """Distributions of the number of samples below the threshold of n unseen images of so many patients, n by default.

    Below the k-th smallest of n it is beta-binomial with parameters k and n + 1 - k, whatever the distribution: each
    sample falls between two of them in order with the same chance. Were all images of a patient alike, it would be
    below the k-th patient's of so many, with k in proportion.
    """
    patients = n if patients is None else patients
    orders = {(rank(n), n), (-(-rank(n) * patients // n), patients)}
    return [stats.betabinom(samples, k, m + 1 - k) for k, m in orders]
