"""Shares of images that have a property: exact intervals, and a test of two of them."""

import numpy as np
from scipy import stats

from analysis.metrics.intervals import Estimate
from analysis.metrics.patients import Groups, number, student_95, variance_of_sum


def share(has: np.ndarray, groups: Groups = None) -> Estimate:
    """Share of the entries of a boolean array [n] that are true, with the interval of Clopper and Pearson (1934).

    It holds the truth in at least 95 %, whatever the share and n; without entries it is [0, 1]. Where several entries
    are of one patient, the interval is that of as many independent ones as would tell the share as well (Korn and
    Graubard 1998), of the number of patients where all entries are alike.
    """
    count, n = int(np.sum(has)), len(has)
    value = count / n if n else 0.0
    worth = _worth(has, value, groups) if n else 0.0
    low = float(stats.beta.ppf(0.025, value * worth, (1.0 - value) * worth + 1.0)) if count else 0.0
    high = float(stats.beta.ppf(0.975, value * worth + 1.0, (1.0 - value) * worth)) if count < n else 1.0
    return Estimate(value, low, high, (n,))


def _worth(has: np.ndarray, value: float, groups: Groups) -> float:
    """How many independent entries tell the share as well: at most n."""
    n = len(has)
    patients = number(groups, n)
    if patients in (1, n) or value in (0.0, 1.0):
        return patients
    variance = variance_of_sum((has - value) / n, groups)
    return min(value * (1.0 - value) / variance * (student_95(n) / student_95(patients)) ** 2, n) if variance else n


def p_more_often(one: np.ndarray, other: np.ndarray, groups: Groups = None) -> float:
    """P of at least so many true entries in `one`, were both boolean arrays of one kind (Fisher's exact test).

    Where several entries of `other` are of one patient, the greater of that and of P where a patient counts once, with
    an entry that is true if he has any.
    """
    found = _fisher(one, other)
    if number(groups, len(other)) == len(other):
        return found
    of = np.unique(groups, return_inverse=True)[1]
    return max(found, _fisher(one, np.bincount(of, other) > 0))


def _fisher(one: np.ndarray, other: np.ndarray) -> float:
    table = [[int(np.sum(a)), int(np.sum(~a))] for a in (one, other)]
    return float(stats.fisher_exact(table, "greater").pvalue)
