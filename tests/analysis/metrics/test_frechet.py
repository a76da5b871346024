"""Frechet distance: closed forms, sets that are too small, and the limit of many images."""

import numpy as np
import pytest

from analysis.metrics.frechet import Moments, frechet_distance, frechet_infinity, moments_of
from analysis.metrics.intervals import jackknife_variance
from tests.analysis.metrics.coverage import NAMES, cover_frechet, draw, frechet_by_sqrtm, gaussians


def exact(mean, covariance, n=10**6) -> Moments:
    """Moments of a set with just this mean and covariance."""
    moments = Moments(len(mean))
    moments.n, moments.mean, moments.scatter = n, np.asarray(mean, float), np.asarray(covariance) * (n - 1.0)
    return moments


def test_moments_of_parts_are_those_of_all():
    x = np.random.default_rng(0).normal(1e4, 1, (50, 6)).astype(np.float32)  # far from 0: digits would cancel
    streamed = Moments(6).add(x[:7]).add(x[7:7]).add(x[7:20]).merge(moments_of(x[20:]))
    for moments in (streamed, moments_of(np.concatenate([x, x[:9] ** 2])).without(moments_of(x[:9] ** 2))):
        assert moments.n == 50
        np.testing.assert_allclose(moments.mean, x.mean(0, dtype=np.float64), rtol=1e-10)
    np.testing.assert_allclose(streamed.covariance, np.cov(x.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-12)
    y = np.random.default_rng(1).normal(3, 2, (30, 6))
    rest = moments_of(y).without(moments_of(y[:5]))
    np.testing.assert_allclose(rest.covariance, np.cov(y[5:], rowvar=False), rtol=1e-12)


def test_bad_features_are_named():
    with pytest.raises(ValueError, match=r"\[n, 4\] is needed"):
        Moments(4).add(np.zeros((3, 5)))
    with pytest.raises(ValueError, match="not finite"):
        moments_of(np.array([[1.0, np.nan], [0, 0]]))
    with pytest.raises(ValueError, match="at least two"):
        frechet_distance(moments_of(np.zeros((1, 2))), moments_of(np.zeros((5, 2))))
    with pytest.raises(ValueError, match="length 2 and 3"):
        frechet_distance(moments_of(np.zeros((5, 2))), moments_of(np.zeros((5, 3))))


def test_closed_form_of_axis_aligned_gaussians():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.25])
    found = frechet_distance(exact([0, 0, 0], np.diag(a)), exact([1, 2, 2], np.diag(b)))
    assert found.value == pytest.approx(9 + 1 + 1 + 2.5**2, rel=1e-12)
    assert found.n == (10**6, 10**6) and not found.singular


@pytest.mark.parametrize("name", ["1/k turned", "1/k and white", "1.5 as wide", "moved by 3"])
def test_any_gaussians_against_a_matrix_root(name):
    x, y = gaussians(name, 24)
    assert frechet_distance(exact(*x), exact(*y)).value == pytest.approx(frechet_by_sqrtm(x, y), rel=1e-9)


def test_covariances_of_rank_one():
    """tr (v v' w w')^(1/2) = |v . w|."""
    v, w = np.random.default_rng(0).normal(size=(2, 40))
    found = frechet_distance(exact(np.zeros(40), np.outer(v, v)), exact(np.zeros(40), np.outer(w, w)))
    assert found.value == pytest.approx(v @ v + w @ w - 2 * abs(v @ w), rel=1e-6)
    aside = frechet_distance(exact([0, 0], np.diag([1.0, 0])), exact([0, 0], np.diag([0, 1.0])))
    assert aside.value == pytest.approx(2, rel=1e-12)


def test_fewer_images_than_features():
    """tr (S1 S2)^(1/2) is the sum of the singular values of X1 X2' over ((n1 - 1) (n2 - 1))^(1/2)."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 50)), rng.normal(0.2, 1.3, size=(30, 50))
    a, b = x - x.mean(0), y - y.mean(0)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum() / (19 * 29) ** 0.5
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.square(a).sum() / 19 + np.square(b).sum() / 29 - 2 * root
    found = frechet_distance(moments_of(x), moments_of(y))
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert found.singular
    assert not frechet_distance(*[moments_of(rng.normal(size=(51, 50))) for _ in range(2)]).singular


@pytest.mark.parametrize("n", [20, 200])
def test_a_set_has_no_distance_to_itself(n):
    moments = moments_of(np.random.default_rng(0).normal(size=(n, 50)))
    assert frechet_distance(moments, moments).value == pytest.approx(0, abs=1e-6 * np.trace(moments.covariance))


def test_the_limit_is_a_line_over_one_over_n():
    """Through the distance of all 60 and the mean of those of 57, at 1 / n = 0; the interval is a jackknife."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 12)), rng.normal(0.3, 1, size=(60, 12))
    found = frechet_infinity(x, y, seed=5)
    order = np.random.Generator(np.random.Philox(key=5))
    x, y = x[order.permutation(60)], y[order.permutation(60)]
    of = lambda a, b: frechet_distance(moments_of(a), moments_of(b)).value  # noqa: E731
    left = [of(*(np.delete(a, np.s_[g::20], 0) for a in (x, y))) for g in range(20)]
    assert found.at_n == pytest.approx(of(x, y))
    assert found.value == pytest.approx(np.polyfit([1 / 60, 1 / 57], [of(x, y), np.mean(left)], 1)[1])
    half = 2.093024 * jackknife_variance(np.array(left)) ** 0.5  # Student, 19 degrees of freedom
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    assert found.n == (60, 60) and not found.singular


def test_the_larger_set_is_cut_to_the_smaller():
    rng = np.random.default_rng(0)
    found = frechet_infinity(rng.normal(size=(60, 8)), rng.normal(size=(500, 8)))
    assert found.n == (60, 60)
    with pytest.raises(ValueError, match="at least two in each of 20 parts"):
        frechet_infinity(rng.normal(size=(39, 8)), rng.normal(size=(500, 8)))


def test_limit_is_right_where_the_distance_is_mostly_bias():
    """n = 1.25 d: the distance of 40 is near 15 above the truth, the limit is unbiased and its interval holds it."""
    share, mean, truth = cover_frechet("moved by 3", 32, (40, 40), 100)
    x, y = gaussians("moved by 3", 32)
    rng = np.random.default_rng(0)
    at_n = np.mean([frechet_infinity(draw(rng, x, 40), draw(rng, y, 40)).at_n for _ in range(10)])
    assert at_n > truth + 10
    assert mean == pytest.approx(truth, abs=0.6)
    assert share >= 0.92


def test_interval_of_too_few_images_reaches_down_to_a_bound():
    """n = 0.5 d: the limit is far too high; the interval is wide and holds the truth nevertheless."""
    share, mean, truth = cover_frechet("same, white", 80, (40, 40), 40)
    assert mean > truth + 5
    assert share >= 0.92
    rng = np.random.default_rng(0)
    found = frechet_infinity(rng.normal(size=(40, 80)), rng.normal(2, 1, size=(40, 80)))
    assert found.singular and 250 < found.low < 80 * 4 < found.high  # the bound sees the means apart


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("d", "n"), [(80, 40), (32, 40), (32, 64), (32, 256)])
def test_interval_covers_the_truth(name, d, n):
    share, _, _ = cover_frechet(name, d, (n, n), 300)
    assert share >= 0.90
    if n > d and not name.startswith("same"):  # of one distribution the jackknife counts the variance twice
        assert share <= 0.993
