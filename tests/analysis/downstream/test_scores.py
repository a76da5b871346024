"""The metrics of predictions beside scikit-learn, weighted as a bootstrap weights them, and in closed form."""

import numpy as np
import pytest
from sklearn import metrics

from analysis.downstream import scores


@pytest.fixture
def drawn():
    """Scores with ties, findings, and three weightings, the first of them even."""
    rng = np.random.default_rng(0)
    positive = rng.uniform(size=200) < 0.3
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1), 2)
    return score, positive, np.stack([np.ones(200), *rng.multinomial(200, np.full(200, 1 / 200), 2)])


def test_areas_are_those_of_sklearn(drawn):
    score, positive, weight = drawn
    areas, precisions = scores.auroc(score, positive, weight), scores.auprc(score, positive, weight)
    for w, area, precision in zip(weight, areas, precisions, strict=True):
        assert area == pytest.approx(metrics.roc_auc_score(positive, score, sample_weight=w), abs=1e-12)
        assert precision == pytest.approx(metrics.average_precision_score(positive, score, sample_weight=w), abs=1e-12)


def test_accuracies_are_those_of_sklearn(drawn):
    score, positive, weight = drawn
    called = score >= 0.5
    found = scores.balanced_accuracy(called, positive, weight), scores.mean(called == positive, weight)
    for w, balanced, plain in zip(weight, *found, strict=True):
        assert balanced == pytest.approx(metrics.balanced_accuracy_score(positive, called, sample_weight=w))
        assert plain == pytest.approx(metrics.accuracy_score(positive, called, sample_weight=w))


def test_calibration_error_is_that_of_every_bin(drawn):
    score, positive, weight = drawn
    for w, found in zip(weight, scores.calibration_error(score, positive, weight), strict=True):
        total = 0.0
        for b in range(scores.BINS):
            here = (score > b / scores.BINS) & (score <= (b + 1) / scores.BINS)
            here |= (score == 0) & (b == 0)
            if w[here].sum():
                gap = np.average(positive[here], weights=w[here]) - np.average(score[here], weights=w[here])
                total += w[here].sum() / w.sum() * abs(gap)
        assert found == pytest.approx(total, abs=1e-12)


def test_calibration_error_in_closed_form():
    confidence, one = np.array([0.9, 0.9, 0.9, 0.9, 0.3]), np.ones((1, 5))
    hit = np.array([True, True, True, False, False])
    assert scores.calibration_error(confidence, hit, one)[0] == pytest.approx((4 * 0.15 + 0.3) / 5)


def test_the_threshold_of_youden_is_that_of_the_roc_curve(drawn):
    score, positive, _ = drawn
    false, true, limits = metrics.roc_curve(positive, score, drop_intermediate=False)
    assert scores.youden(score, positive) == pytest.approx(limits[np.argmax(true - false)])


def test_what_does_not_exist_is_nan():
    one, positive = np.ones((2, 3)), np.array([True, True, True])
    one[1] = 0
    assert np.isnan(scores.auroc(np.arange(3.0), positive, one)).all()
    assert scores.auprc(np.arange(3.0), positive, one)[0] == 1 and np.isnan(scores.mean(np.arange(3.0), one)[1])
