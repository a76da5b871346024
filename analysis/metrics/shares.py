"""Shares of images that have a property: exact intervals, and a test of two of them."""

import numpy as np
from scipy import stats

from analysis.metrics.intervals import Estimate


def share(has: np.ndarray) -> Estimate:
    """Share of the entries of a boolean array [n] that are true, with the interval of Clopper and Pearson (1934).

    It holds the truth in at least 95 %, whatever the share and n; without entries it is [0, 1].
    """
    count, n = int(np.sum(has)), len(has)
    low = float(stats.beta.ppf(0.025, count, n - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(0.975, count + 1, n - count)) if count < n else 1.0
    return Estimate(count / n if n else 0.0, low, high, (n,))


def p_more_often(one: np.ndarray, other: np.ndarray) -> float:
    """P of at least so many true entries in `one`, were both boolean arrays of one kind (Fisher's exact test)."""
    table = [[int(np.sum(a)), int(np.sum(~a))] for a in (one, other)]
    return float(stats.fisher_exact(table, "greater").pvalue)
