"""Precision, recall, density and coverage against their definitions, within bounded memory."""

import tracemalloc

import numpy as np
import pytest

from analysis.metrics import blocks
from analysis.metrics.manifold import density_coverage, precision_recall


def by_definition(real, generated, k):
    """(precision, recall, density, coverage) from all distances."""
    far = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=2)  # noqa: E731
    reach = lambda a: np.sort(far(a, a), 1)[:, k]  # noqa: E731  the 0th is the feature itself
    between = far(real, generated)
    inside = between < reach(real)[:, None]
    precision = (between <= reach(real)[:, None]).any(0).mean()
    recall = (between <= reach(generated)[None]).any(1).mean()
    return precision, recall, inside.sum() / (k * len(generated)), inside.any(1).mean()


@pytest.mark.parametrize("block", [(1024, 8192), (7, 5), (16, 3)])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_values_are_the_definition_whatever_the_blocks(k, block, monkeypatch):
    monkeypatch.setattr(blocks, "ROWS", block[0])
    monkeypatch.setattr(blocks, "COLUMNS", block[1])
    rng = np.random.default_rng(k)
    real, generated = rng.normal(100, 1, (40, 4)), rng.normal(100.5, 0.8, (33, 4))
    expected = by_definition(real, generated, k)
    assert (*precision_recall(real, generated, k), *density_coverage(real, generated, k)) == pytest.approx(expected)


def test_a_set_within_itself():
    x = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    assert precision_recall(x, x) == (1.0, 1.0)
    assert density_coverage(x, x) == pytest.approx((1.0, 1.0))


def test_the_surface_of_a_ball_counts_for_precision_and_not_for_density():
    real, generated = np.arange(10.0)[:, None], np.array([[-1.0], [10.0]])
    assert precision_recall(real, generated, 1)[0] == 1
    assert density_coverage(real, generated, 1) == (0, 0)


def test_sets_apart_share_nothing():
    x = np.random.default_rng(0).normal(size=(50, 8))
    assert precision_recall(x, x + 100) == (0.0, 0.0)
    assert density_coverage(x, x + 100) == (0.0, 0.0)


def test_a_dropped_mode_costs_recall_alone():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (200, 4)), rng.normal(50, 1, (200, 4))])
    generated = rng.normal(0, 0.9, (400, 4))
    precision, recall = precision_recall(real, generated)
    density, coverage = density_coverage(real, generated)
    assert precision > 0.9 and 0.4 < recall <= 0.5
    assert density > 0.9 and 0.4 < coverage <= 0.5


def test_copies_of_one_image():
    real = np.random.default_rng(0).normal(size=(60, 4))
    assert precision_recall(real, np.repeat(real[:1], 30, 0)) == (1.0, 1 / 60)


def test_expected_values_of_one_distribution():
    rng = np.random.default_rng(0)
    m, n, k = 40, 60, 3
    found = [density_coverage(rng.normal(size=(m, 3)), rng.normal(size=(n, 3)), k) for _ in range(200)]
    density, coverage = np.mean(found, 0)
    expected = 1 - np.prod([(m - i) / (m + n - i) for i in range(1, k + 1)])
    assert density == pytest.approx(1, abs=0.03)
    assert coverage == pytest.approx(expected, abs=0.01)


def test_memory_does_not_grow_with_the_square(monkeypatch):
    monkeypatch.setattr(blocks, "ROWS", 64)
    monkeypatch.setattr(blocks, "COLUMNS", 512)
    x = np.random.default_rng(0).normal(size=(3000, 2))
    tracemalloc.start()
    precision_recall(x, x + 0.1)
    density_coverage(x, x + 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20, peak  # all distances would take 69 MiB


def test_bad_input_is_named():
    x = np.zeros((4, 2))
    with pytest.raises(ValueError, match="more than k = 5"):
        density_coverage(x, x)
    with pytest.raises(ValueError, match="of one length"):
        precision_recall(x, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="not finite"):
        precision_recall(x, x + np.nan)
