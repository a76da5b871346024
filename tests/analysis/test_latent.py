"""`python -m analysis.latent` on a finished run, and its probe where the answer is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from analysis import latent, sample
from analysis.codes import coarsest, read_codes
from data import UserError
from models.state import State
from tests.train.helpers import train_here


@pytest.mark.parametrize("preset", ["", pytest.param(",denoising", marks=pytest.mark.slow)])
def test_pictures_and_numbers(preset, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    assert train_here(run, cache=tmp_path / "cache", config="vae_cxr", preset=f"medmnist,smoke{preset}") == 0
    latent.main(["--run", str(run), "--out", str(out), "--n", "16", "--k", "3"])
    result = json.loads((out / "latent.json").read_text())
    assert result["n"] == 16 and len(result["units"]) == 2 and result["k"] == 3
    if preset:
        assert "elbo" not in result and "importance" not in result and result["reconstruction"]["mean"] > 0
    else:
        assert result["importance"]["mean"] < result["elbo"]["mean"] + 0.05
    for walk, count in (("interpolation", 6 * 8), ("traversal", 8 * 8)):
        sample.main(["--run", str(run), "--latent", walk, "--out", str(tmp_path / walk)])
        made = np.load(tmp_path / walk / "samples.npz")
        assert made["images"].shape == (count, 16, 16, 1) and json.loads(str(made["facts"]))["latent"] == walk
    with pytest.raises(UserError, match="no run directory"):
        latent.main(["--run", str(tmp_path / "none"), "--out", str(out)])


class Label:
    """A family whose code is the label it is told, and a split of four images."""

    @staticmethod
    def codes(state, batch):
        return [batch["label"][:, None, None], batch["label"][:, None, None].repeat(2, axis=1)]

    @staticmethod
    def epoch(split, batch_size, limit=0):
        yield {"image": np.zeros((4, 2, 2, 1)), "label": np.eye(4)[:, :2], "id": np.arange(5, 9),
               "weight": np.array([1, 1, 1, 0])}  # fmt: skip


def test_a_probe_is_not_told_the_label():
    run = SimpleNamespace(family=Label, state=State(0, {}, {}, {}, {}))
    told, blind = (read_codes(run, Label, "test", 4, told=told) for told in (True, False))
    np.testing.assert_array_equal(told["codes"][0][:, 0, 0], np.eye(4)[:3, :2])
    assert not blind["codes"][0].any() and not blind["codes"][1].any()
    np.testing.assert_array_equal(blind["label"], told["label"])
    np.testing.assert_array_equal(blind["id"], [5, 6, 7])


def test_the_coarsest_level_is_all_its_groups():
    groups = [np.full((3, 4, 4, 2), 1.0), np.full((3, 4, 4, 5), 2.0), np.zeros((3, 8, 8, 2))]
    together, number = coarsest(groups)
    assert number == 2 and together.shape == (3, 4, 4, 7)


def test_the_probe_reads_what_is_there():
    rng = np.random.default_rng(0)

    def make(n):
        label = rng.integers(0, 2, (n, 2)).astype(np.float32)
        code = rng.normal(size=(n, 2, 2, 3))
        code[:, 0, 0, 0] += 3 * label[:, 0]
        return {"codes": [code], "label": label}

    found = latent.probe(make(400), make(400), ("there", "not there"))
    assert found["there"]["auroc"] > 0.95 and found["not there"]["auroc"] == pytest.approx(0.5, abs=0.1)


def test_the_probe_leaves_out_what_is_not_known():
    """A test class without a positive has no AUROC, and an unknown label is not one of a healthy patient."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, (300, 2)).astype(np.float32)
    code = rng.normal(size=(300, 2, 2, 3))
    code[:, 0, 0, 0] += 3 * label[:, 0]
    test = {"codes": [code[:60].copy()], "label": label[:60].copy()}
    test["label"][:, 1] *= 0.5  # uncertain=half
    hidden = label.copy()
    hidden[(label[:, 0] == 1) & (np.arange(300) % 4 > 0), 0] = -1  # most positives are not known to be
    code[hidden[:, 0] < 0, 0, 0, 0] += 6
    found = latent.probe({"codes": [code], "label": hidden}, test, ("there", "half"))
    assert found["half"] is None and found["there"]["auroc"] > 0.85
