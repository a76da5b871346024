"""Shares with exact intervals against their definition, and Fisher's test against the hypergeometric sum."""

from math import comb

import numpy as np
import pytest
from scipy import stats

from analysis.metrics.shares import p_more_often, share


@pytest.mark.parametrize(("count", "n"), [(0, 7), (7, 7), (1, 20), (37, 100)])
def test_ends_are_where_the_binomial_tails_are_a_fortieth(count, n):
    found = share(np.arange(n) < count)
    assert found.value == count / n and found.n == (n,)
    at_least = stats.binom.sf(count - 1, n, found.low) if count else 0.025
    at_most = stats.binom.cdf(count, n, found.high) if count < n else 0.025
    assert (at_least, at_most) == pytest.approx((0.025, 0.025), abs=1e-9)
    assert found.low > 0 if count else found.low == 0
    assert found.high < 1 if count < n else found.high == 1


def test_nothing_says_nothing():
    assert (share(np.zeros(0, bool)).low, share(np.zeros(0, bool)).high) == (0, 1)


def test_p_is_the_hypergeometric_tail():
    one, other = np.arange(12) < 5, np.arange(30) < 2
    expected = sum(comb(7, k) * comb(35, 12 - k) for k in range(5, 8)) / comb(42, 12)
    assert p_more_often(one, other) == pytest.approx(expected)
    assert p_more_often(other, one) > 0.9
    assert p_more_often(one, other, np.arange(len(other))) == p_more_often(one, other)


def test_a_patient_counts_once_where_that_says_less():
    one = np.arange(20) < 6
    for other, patient, counted in (
        (np.zeros(60, bool), np.arange(60) // 4, np.zeros(15, bool)),  # none of 15 patients
        (np.arange(60) < 4, np.arange(60) // 4, np.arange(15) < 1),
        (np.arange(60) % 4 == 0, np.arange(60) // 4, np.ones(15, bool)),
    ):
        alone, alike = p_more_often(one, other), p_more_often(one, counted)
        assert p_more_often(one, other, patient) == max(alone, alike) == alike > alone
    assert p_more_often(one, np.ones(4, bool), np.zeros(4, int)) == 1.0
