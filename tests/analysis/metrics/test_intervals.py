"""DeLong's interval and the jackknife against their definitions."""

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import roc_auc_score

from analysis.metrics.intervals import delong, jackknife_variance
from analysis.metrics.patients import student_95
from tests.analysis.metrics.coverage import cover_area


def test_jackknife_of_a_mean_is_its_variance():
    x = np.random.default_rng(0).normal(size=30)
    left = (x.sum() - x) / 29
    assert jackknife_variance(left) == pytest.approx(x.var(ddof=1) / 30)
    assert student_95(20) == pytest.approx(2.093024, rel=1e-6)


def test_delong_is_the_definition():
    rng = np.random.default_rng(0)
    a, b = rng.integers(3, 12, 12).astype(float), rng.integers(0, 9, 17).astype(float)  # with ties
    beats = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    variance = [beats.mean(1).var(ddof=1) / 12, beats.mean(0).var(ddof=1) / 17]
    freedom = sum(variance) ** 2 / (variance[0] ** 2 / 11 + variance[1] ** 2 / 16)
    area = beats.mean()
    half = special.stdtrit(freedom, 0.975) * sum(variance) ** 0.5 / (area * (1 - area))
    found = delong(a, b)
    assert found.value == pytest.approx(area)
    assert found.value == pytest.approx(roc_auc_score([1] * 12 + [0] * 17, np.concatenate([a, b])))
    assert (found.low, found.high) == pytest.approx(tuple(special.expit(special.logit(area) + np.array([-half, half]))))
    assert found.n == (12, 17)


def test_full_separation_leaves_doubt():
    """0.7^10 is the chance that ten pairs agree where the area is 0.7: it must not be excluded at 0.028."""
    up, down = np.arange(10.0, 20), np.arange(30.0) / 10
    found = delong(up, down)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025**0.1)
    assert delong(down, up).high == pytest.approx(1 - 0.025**0.1)
    assert delong(down, up).value == delong(down, up).low == 0


def test_one_of_a_kind_says_nothing():
    found = delong(np.array([2.0]), np.arange(5.0))
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0, 1))
    with pytest.raises(ValueError, match="at least one of each"):
        delong(np.array([]), np.arange(5.0))
    with pytest.raises(ValueError, match="not finite"):
        delong(np.array([np.nan, 1]), np.arange(5.0))


def test_scores_that_are_all_equal():
    found = delong(np.ones(4), np.ones(6))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("area", "n"), [(0.5, (10, 10)), (0.7, (20, 80)), (0.9, (50, 50)), (0.97, (200, 200))])
def test_interval_covers_the_truth(area, n):
    """At 95 %, 400 repetitions cover it 368 to 391 times; few scores make it wider."""
    share, mean, _ = cover_area(area, n, 400)
    assert 0.92 <= share <= 0.995
    assert mean == pytest.approx(area, abs=0.02)
