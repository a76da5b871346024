"""The classifier of requested findings on images where the answer is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.auroc import auroc
from analysis.label_fidelity import label_fidelity


def make(n, seed):
    """Noise, with a bright corner for the first finding, a dark one for the second and nothing for the third."""
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=(n, 3)) < 0.4).astype(np.float32)
    x = rng.normal(128, 20, (n, 16, 16, 1))
    x[:, :5, :5] += 40 * labels[:, 0, None, None, None]
    x[:, 10:, 10:] -= 40 * labels[:, 1, None, None, None]
    return {"image": np.clip(x, 0, 255).astype(np.uint8), "label": labels}


def test_right_and_wrong_samples_are_told_apart():
    splits = {"train": make(700, 0), "test": make(300, 1)}
    dataset = SimpleNamespace(info=SimpleNamespace(classes=("bright", "dark", "unasked")), arrays=splits.get)
    samples = make(300, 2)
    labels = np.stack([samples["label"][:, 0], np.random.default_rng(3).integers(0, 2, 300), np.zeros(300)], 1)
    found = label_fidelity(dataset, samples["image"], labels.astype(np.float32))
    assert found["bright"]["real"]["auroc"] > 0.97 and found["dark"]["real"]["auroc"] > 0.97
    assert found["bright"]["samples"]["auroc"] > 0.97
    assert found["dark"]["samples"]["auroc"] == pytest.approx(0.5, abs=0.1)
    assert found["unasked"]["samples"] is None


def test_auroc_by_hand():
    target = np.array([1, 1, 0, 0])
    assert auroc(np.array([3.0, 1.0, 2.0, 0.0]), target)["auroc"] == 0.75
    assert auroc(np.array([1.0, 1.0, 1.0, 0.0]), target)["auroc"] == 0.75
    with pytest.raises(ValueError, match="not finite"):
        auroc(np.array([np.nan, 1, 2, 3]), target)
    with pytest.raises(ValueError, match="at least one of each"):
        auroc(np.ones(3), np.ones(3))
