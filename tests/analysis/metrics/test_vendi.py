"""Vendi score of sets whose number of different images is known."""

import tracemalloc

import numpy as np
import pytest

from analysis.metrics.vendi import vendi_score


@pytest.mark.parametrize("width", [12, 200])  # less and more than the 60 images
@pytest.mark.parametrize("k", [1, 4, 10])
def test_clusters_of_copies_count_once(k, width):
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(width, k)))[0].T
    scale = np.random.default_rng(1).uniform(0.1, 10, (60, 1))
    assert vendi_score(directions[np.arange(60) % k if 60 % k == 0 else 0] * scale) == pytest.approx(k)


def test_unequal_clusters_count_by_their_entropy():
    p = np.array([0.7, 0.2, 0.1])
    x = np.repeat(np.eye(3), (p * 50).astype(int), 0)
    assert vendi_score(x) == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_two_directions_at_an_angle():
    """The cosine kernel of two has the eigenvalues 1 +- cos."""
    cos = 0.6
    p = np.array([1 + cos, 1 - cos]) / 2
    found = vendi_score(np.array([[1.0, 0, 0], [cos, (1 - cos**2) ** 0.5, 0]]))
    assert found == pytest.approx(np.exp(-(p * np.log(p)).sum()))


@pytest.mark.parametrize("shape", [(3000, 4), (4, 3000)])
def test_the_smaller_gram_matrix_is_used(shape):
    x = np.random.default_rng(0).normal(size=shape)
    tracemalloc.start()
    assert vendi_score(x) > 3
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20, peak  # the other one would take 69 MiB


def test_bad_features_are_named():
    for wrong in (np.zeros((0, 4)), np.full((3, 4), np.nan)):
        with pytest.raises(ValueError, match="finite ones"):
            vendi_score(wrong)


@pytest.mark.parametrize("d", [2, 40])
def test_features_of_no_direction_are_one_kind(d):
    """Two of length 0, two of a first direction and two of another: three kinds, whichever Gram matrix is taken."""
    x = np.zeros((6, d))
    x[2:4, 0], x[4:, 1] = (1, 3), 2
    assert vendi_score(x) == pytest.approx(3)
    assert vendi_score(np.zeros((5, d))) == pytest.approx(1)
