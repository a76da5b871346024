"""The tree of metrics beside scikit-learn, and its intervals beside formulas and coverage."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn import metrics

from analysis.downstream.measures import measure
from analysis.downstream.predictions import Predictions, load, thresholds
from analysis.metrics.patients import patient_groups
from data import UserError


def predictions(n: int, exclusive: bool, seed: int = 0, patients: int = 0, k: int = 3) -> Predictions:
    rng = np.random.default_rng(seed)
    label = np.eye(k, dtype=np.float32)[rng.integers(k, size=n)]
    if not exclusive:
        label = (rng.uniform(size=(n, k)) < 0.3).astype(np.float32)
    logit = (rng.normal(size=(n, k)) + label).astype(np.float32)
    group = rng.integers(patients, size=n) if patients else np.arange(n)
    limits = np.full(k, np.nan) if exclusive else np.full(k, 0.6)
    names = tuple("abcdefgh"[:k])
    return Predictions(logit, label, np.arange(n).astype("S8"), patient_groups(group), limits, names, exclusive)


def value(tree, name, metric):
    return tree[name][metric]["value"]


def test_findings_are_measured_as_sklearn_does():
    made = predictions(300, exclusive=False)
    made.label[:20, 1] = -1
    tree, p = measure(made, 20), made.probability
    for j, name in enumerate(made.classes):
        known = made.label[:, j] >= 0
        y, q = made.label[known, j], p[known, j]
        assert value(tree, name, "auroc") == pytest.approx(metrics.roc_auc_score(y, q))
        assert value(tree, name, "auprc") == pytest.approx(metrics.average_precision_score(y, q))
        assert value(tree, name, "accuracy") == pytest.approx(metrics.accuracy_score(y, q >= 0.5))
        assert value(tree, name, "balanced_accuracy") == pytest.approx(metrics.balanced_accuracy_score(y, q >= 0.6))
        assert value(tree, name, "brier") == pytest.approx(metrics.brier_score_loss(y, q))
        assert value(tree, name, "nll") == pytest.approx(metrics.log_loss(y, q))
    for metric in tree["a"]:
        assert value(tree, "all", metric) == pytest.approx(np.mean([value(tree, c, metric) for c in made.classes]))
    json.dumps(tree, allow_nan=False)


def test_exclusive_classes_are_measured_as_sklearn_does():
    made = predictions(300, exclusive=True)
    tree, p, true = measure(made, 20), made.probability, made.label.argmax(1)
    called = p.argmax(1)
    assert value(tree, "all", "auroc") == pytest.approx(metrics.roc_auc_score(true, p, multi_class="ovr"))
    assert value(tree, "all", "auprc") == pytest.approx(metrics.average_precision_score(made.label, p))
    assert value(tree, "all", "accuracy") == pytest.approx(metrics.accuracy_score(true, called))
    assert value(tree, "all", "balanced_accuracy") == pytest.approx(metrics.balanced_accuracy_score(true, called))
    assert value(tree, "all", "nll") == pytest.approx(metrics.log_loss(true, p))
    assert value(tree, "all", "brier") == pytest.approx(metrics.brier_score_loss(true, p, scale_by_half=False))
    assert value(tree, "b", "sensitivity") == pytest.approx(metrics.recall_score(true, called, average=None)[1])


def test_a_class_without_positives_is_left_out_of_the_mean():
    made = predictions(100, exclusive=False)
    made.label[:, 2] = 0
    tree = measure(made, 50)
    assert tree["c"]["auroc"] == {"value": None, "low": None, "high": None} and tree["c"]["brier"]["value"] is not None
    assert value(tree, "all", "auroc") == pytest.approx((value(tree, "a", "auroc") + value(tree, "b", "auroc")) / 2)
    made.label[:] = 0
    with pytest.raises(UserError, match="use a larger split"):
        measure(made, 50)


def test_the_interval_of_a_share_is_the_normal_one():
    made = predictions(2000, exclusive=True)
    row = measure(made, 1000)["all"]["accuracy"]
    half = 1.96 * (row["value"] * (1 - row["value"]) / 2000) ** 0.5
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=0.1)


def test_images_of_a_patient_are_drawn_together():
    made = predictions(200, exclusive=True)
    again = [np.repeat(getattr(made, name), 4, axis=0) for name in ("logit", "label", "key", "group")]
    four = dataclasses.replace(made, **dict(zip(("logit", "label", "key", "group"), again, strict=True)))
    one, many = (measure(p, 300)["all"]["auroc"] for p in (made, four))
    for part in ("value", "low", "high"):  # four copies of an image say no more than one
        assert many[part] == pytest.approx(one[part], abs=1e-12)
    alone = dataclasses.replace(four, group=np.arange(800))
    row = measure(alone, 300)["all"]["auroc"]
    assert row["high"] - row["low"] < 0.7 * (one["high"] - one["low"])


def test_intervals_hold_the_truth():
    """AUROC of one finding whose scores are normal, d = 1: the truth is Phi(1 / sqrt 2)."""
    from scipy import stats

    truth, held, sets = stats.norm.cdf(1 / 2**0.5), 0, 100
    for seed in range(sets):
        row = measure(predictions(150, exclusive=False, seed=seed, k=1), 200)["a"]["auroc"]
        held += row["low"] <= truth <= row["high"]
    assert stats.binom.cdf(held, sets, 0.95) > 1e-3 and held < sets


def test_intervals_of_the_calibration_error_hold_its_expectation():
    """Of a calibrated classifier: its error is 0 and what n images show of it is not."""
    from analysis.downstream.scores import calibration_error

    def calibrated(seed):
        made = predictions(150, exclusive=False, seed=seed, k=1)
        made.label[:] = np.random.default_rng(seed + 10_000).uniform(size=(150, 1)) < made.probability
        return made

    one = np.ones((1, 150))
    expected = np.mean([
        calibration_error(made.probability[:, 0], made.label[:, 0] == 1, one)[0] for made in map(calibrated, range(500))
    ])  # fmt: skip
    rows = [measure(calibrated(1000 + seed), 200)["a"]["ece"] for seed in range(80)]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert np.mean([row["low"] <= expected <= row["high"] for row in rows]) > 0.85


def test_predictions_come_back_whole(tmp_path):
    made = predictions(50, exclusive=False, patients=20)
    made.save(tmp_path / "scores.npz")
    back = load(tmp_path / "scores.npz")
    for field in dataclasses.fields(made):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(made, field.name))
    assert back.truth_sha256() == made.truth_sha256() and isinstance(back.exclusive, bool)
    with pytest.raises(UserError, match="holds no predictions"):
        load(tmp_path / "none.npz")


def test_groups_and_thresholds():
    np.testing.assert_array_equal(patient_groups(np.array([7, -1, 7, -1, 2])), [1, 2, 1, 3, 0])
    logit = np.array([[-3.0, 0], [-2, 0], [1, 0], [2, 0]])
    label = np.array([[0.0, 0], [0, 0], [1, 0], [-1, 0]])
    found = thresholds(logit, label, exclusive=False)
    np.testing.assert_allclose(found, [1 / (1 + np.exp(-1)), 0.5])
    assert np.isnan(thresholds(logit, label, exclusive=True)).all()
