"""`python -m analysis.latent` on a finished run, and its probe where the answer is known."""

import json

import numpy as np
import pytest

from analysis import latent, sample
from data import UserError
from tests.train.helpers import train_here


@pytest.mark.parametrize("preset", ["", ",denoising"])
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


def test_the_probe_reads_what_is_there():
    rng = np.random.default_rng(0)

    def make(n):
        label = rng.integers(0, 2, (n, 2)).astype(np.float32)
        code = rng.normal(size=(n, 2, 2, 3))
        code[:, 0, 0, 0] += 3 * label[:, 0]
        return {"codes": [code], "label": label}

    found = latent.probe(make(400), make(400), ("there", "not there"))
    assert found["there"]["auroc"] > 0.95 and found["not there"]["auroc"] == pytest.approx(0.5, abs=0.1)
