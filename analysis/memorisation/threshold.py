"""When an image is too close to a training image: closer than real images that the model has not seen are."""

import numpy as np
from scipy import stats

QUANTILE = 0.01  # share of unseen real images that may be called too close


def threshold(closeness: np.ndarray) -> tuple[float, float]:
    """(value, share of unseen real images expected below it) from the closeness [n] of unseen real images.

    The value is their k-th smallest, k = `rank(n)`. Of another image of their distribution the chance to be closer is
    k / (n + 1), whatever the distribution.

    Raises:
      ValueError: no images.
    """
    n = len(closeness)
    if not n:
        raise ValueError("a threshold needs the closeness of at least one unseen image")
    return float(np.partition(closeness, rank(n) - 1)[rank(n) - 1]), rank(n) / (n + 1)


def rank(n: int) -> int:
    """Which of n unseen images in order of closeness is the threshold: QUANTILE (n + 1) rounded down, but at least 1.

    With n below 1 / QUANTILE - 1, more than the share QUANTILE of unseen images is then expected below.
    """
    return max(int(QUANTILE * (n + 1) + 1e-9), 1)


def band(samples: int, n: int) -> tuple[float, float]:
    """Shares of the samples between which at least 95 % of generators lie whose samples are as the n unseen images are.

    Two generators beside one threshold lie in it together: it is that of the threshold's own chance above all.
    """
    k = rank(n)
    low, high = stats.betabinom(samples, k, n + 1 - k).ppf([0.025, 0.975]) / samples
    return float(low), float(high)


def smallest(samples: int, n: int, p: float) -> float:
    """The least share of the samples for which `p_below` is under p: fewer copies are not suspected; inf if none is."""
    counts = np.arange(samples + 1)
    found = counts[[p_below(int(count), samples, n) < p for count in counts]]
    return float(found[0] / samples) if len(found) else float("inf")


def p_below(count: int, samples: int, n: int) -> float:
    """Chance that so many of the samples, or more, lie below the threshold of n unseen images, were all of one kind.

    The number below the k-th smallest of n is beta-binomial with parameters k and n + 1 - k, whatever the distribution:
    each sample falls between two of them in order with the same chance. That the threshold is a chance one is in it.
    """
    k = rank(n)
    # The sum, since SciPy's tail is 1 less the rest and ends at 1e-13.
    return float(min(stats.betabinom(samples, k, n + 1 - k).pmf(np.arange(count, samples + 1)).sum(), 1.0))
