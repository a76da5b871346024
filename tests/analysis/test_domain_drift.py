"""Distances of factors: closed forms, independent implementations, and intervals that hold the truth."""

import numpy as np
import pytest
from scipy import stats

from analysis.domain.determination import determination
from analysis.domain.drift import correlation_difference, wasserstein
from analysis.metrics.shares import share


def test_wasserstein_is_scipys_in_units_of_the_real_deviation():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 2, (70, 3)), rng.normal(0, 3, (110, 3))
    columns, mean = wasserstein(a, b)
    expected = [stats.wasserstein_distance(x, y) / y.std() for x, y in zip(a.T, b.T, strict=True)]
    assert [c.value for c in columns] == pytest.approx(expected, rel=1e-9)
    assert mean.value == pytest.approx(np.mean(expected), rel=1e-9) and mean.n == (70, 110)


def test_a_shift_of_the_same_numbers_is_its_size():
    b = np.random.default_rng(1).normal(size=(200, 1))
    (column,), _ = wasserstein(b + 0.5 * b.std(), b)
    assert column.value == pytest.approx(0.5, rel=1e-9) and column.low < 0.5 < column.high
    (same,), _ = wasserstein(b, b)
    assert same.value == pytest.approx(0.0, abs=1e-12) and same.low == 0.0
    (flat,), _ = wasserstein(np.full((5, 1), 2.0), np.ones((5, 1)))
    assert flat.value == pytest.approx(1.0)  # a real column that does not vary keeps its own unit


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_interval_holds_the_truth(shift):
    """Of 240 columns of independent normal numbers; a percentile bootstrap never holds 0."""
    held = []
    for seed in range(6):
        rng = np.random.default_rng([seed, 3])
        columns, _ = wasserstein(rng.normal(shift, 1, (60, 40)), rng.normal(0, 1, (80, 40)), seed)
        held += [c.low <= shift <= c.high for c in columns]
    assert np.mean(held) >= 0.9
    assert shift or np.mean(held) < 1.0


def test_correlations():
    rng = np.random.default_rng(2)
    plain = rng.normal(size=(400, 3))
    bound = np.stack([plain[:, 0], plain[:, 0], plain[:, 2]], 1)
    expected = np.abs(np.corrcoef(bound.T) - np.corrcoef(plain.T))[np.triu_indices(3, 1)].mean()
    far = correlation_difference(bound, plain)
    assert far.value == pytest.approx(expected, rel=1e-9) and far.low > 0.2
    near = correlation_difference(rng.normal(size=(400, 3)), plain)
    assert near.low == 0.0 < near.value < 0.1
    flat = plain * np.array([1.0, 0.0, 1.0])
    assert np.isfinite(correlation_difference(flat, plain).value)


def test_determination():
    rng = np.random.default_rng(4)
    true = rng.normal(size=(300, 2))
    read = true + rng.normal(size=(300, 2)) * np.array([0.5, 2.0])
    good, bad = determination(read, true)
    assert good.value == pytest.approx(1 - np.square(read - true).mean(0)[0] / true.var(0)[0])
    left = [determination(np.delete(read, i, 0), np.delete(true, i, 0))[0].value for i in range(300)]
    width = stats.t.ppf(0.975, 299) * np.sqrt(299 / 300 * np.square(left - np.mean(left)).sum())
    assert good.high - good.value == pytest.approx(width, rel=1e-6)
    assert good.low < 0.75 < good.high and bad.value < 0
    rare = np.zeros((50, 1))
    rare[7] = 1.0
    assert determination(rare * 0.9, rare)[0].low is None


def test_exact_interval_of_a_share():
    by_hand = share(np.arange(10) < 0)
    assert (by_hand.value, by_hand.low) == (0.0, 0.0) and by_hand.high == pytest.approx(1 - 0.025 ** (1 / 10))
    some = share(np.arange(20) < 7)
    assert some.low == pytest.approx(stats.beta.ppf(0.025, 7, 14)) and some.high == pytest.approx(
        stats.beta.ppf(0.975, 8, 13)
    )
