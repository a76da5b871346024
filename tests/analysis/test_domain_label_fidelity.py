"""The classifier of requested findings on images where the answer is known."""

import numpy as np
import pytest

from analysis.auroc import auroc
from analysis.domain import classifier
from analysis.domain import findings as findings_module
from analysis.domain.findings import findings
from tests.analysis.domain_data import corners, dataset


def test_right_and_wrong_samples_are_told_apart(monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 150)
    real = dataset(corners, classes=("bright", "dark", "unasked"))
    samples = corners(300, 5)
    labels = np.stack([samples["label"][:, 0], np.random.default_rng(3).integers(0, 2, 300), np.zeros(300)], 1)
    found = findings(real, samples["image"], labels.astype(np.float32))["label_fidelity"]
    assert found["bright"]["real"]["auroc"] > 0.97 and found["dark"]["real"]["auroc"] > 0.97
    assert found["bright"]["samples"]["auroc"] > 0.97
    assert found["dark"]["samples"]["auroc"] == pytest.approx(0.5, abs=0.1)
    assert found["unasked"]["samples"] is None
    half = real.arrays("test")["image"][:100], real.arrays("test")["label"][:100]
    parts = findings_module.fidelity(real, half, (samples["image"][:100], labels[:100].astype(np.float32)))
    assert parts["bright"]["samples"]["n"] == parts["bright"]["real"]["n"] == 100
    assert parts["bright"]["samples"]["auroc"] > 0.95 and parts["dark"]["samples"]["auroc"] < 0.7


def test_auroc_by_hand():
    target = np.array([1, 1, 0, 0])
    assert auroc(np.array([3.0, 1.0, 2.0, 0.0]), target)["auroc"] == 0.75
    assert auroc(np.array([1.0, 1.0, 1.0, 0.0]), target)["auroc"] == 0.75
    with pytest.raises(ValueError, match="not finite"):
        auroc(np.array([np.nan, 1, 2, 3]), target)
    with pytest.raises(ValueError, match="at least one of each"):
        auroc(np.ones(3), np.ones(3))
