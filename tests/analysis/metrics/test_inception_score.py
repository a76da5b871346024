"""Inception score: known values, and the order of the images."""

import numpy as np
import pytest

from analysis.metrics.inception_score import inception_score


def test_sure_and_diverse_gives_the_number_of_classes():
    found = inception_score(np.eye(8)[np.arange(800) % 8], splits=1, logits=False)
    assert (found.mean, found.std, found.splits, found.n) == pytest.approx((8, 0, 1, 800))
    assert inception_score(np.full((100, 8), 1 / 8), logits=False).mean == pytest.approx(1)
    assert inception_score(np.eye(8)[np.zeros(100, int)], logits=False).mean == pytest.approx(1)


def test_value_is_the_definition():
    p = np.random.default_rng(0).dirichlet(np.ones(5), 30)
    parts = [p[:10], p[10:20], p[20:]]
    scores = [np.exp(np.mean([(row * np.log(row / part.mean(0))).sum() for row in part])) for part in parts]
    found = inception_score(p, splits=3, logits=False, seed=None)
    assert (found.mean, found.std) == pytest.approx((np.mean(scores), np.std(scores)))


def test_logits_are_their_probabilities():
    logits = np.random.default_rng(0).normal(0, 50, (40, 1008)).astype(np.float32)
    p = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    assert inception_score(logits).mean == pytest.approx(inception_score(p, logits=False).mean)
    assert inception_score(logits + 1000).mean == pytest.approx(inception_score(logits).mean, rel=1e-3)


def test_samples_in_the_order_of_their_class_are_shuffled():
    p = np.eye(10)[np.arange(2000) // 200]
    assert inception_score(p, logits=False, seed=None).mean == pytest.approx(1)
    assert inception_score(p, logits=False).mean > 9


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="do not fill 10 splits"):
        inception_score(np.zeros((9, 4)))
    for wrong in (np.ones((20, 4)), np.full((20, 4), np.nan), np.tile([1.5, -0.5], (20, 1))):
        with pytest.raises(ValueError, match="add to 1"):
            inception_score(wrong, logits=False)
