"""What must hold for every family, through the loop: an interrupted run gives the same bits, samples follow."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from analysis import sample, segment
from models.family import FAMILIES
from tests.train.helpers import ROOT, train_here
from tests.train.test_devices import EIGHT
from tests.train.test_resume import assert_same_run


@pytest.mark.parametrize(
    ("config", "preset"),
    [
        pytest.param("flow_cxr", "", marks=pytest.mark.slow),  # one network, as the DDPM of test_resume
        ("gan_cxr", ""),
        pytest.param("vae_cxr", "", marks=pytest.mark.slow),
        pytest.param("vae_cxr", ",adversarial", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_resume_is_exact_and_samples_follow(config, preset, tmp_path, capsys):
    same = {"cache": tmp_path / "cache", "config": config, "preset": f"medmnist,smoke{preset}"}
    assert train_here(tmp_path / "whole", **same) == 0
    assert train_here(tmp_path / "restarted", "--config.train.restart_at=7 steps", **same) == 0
    assert "going on from step 7" in capsys.readouterr().err
    assert_same_run(tmp_path / "whole", tmp_path / "restarted")
    sample.main(["--run", str(tmp_path / "whole"), "--n", "3", "--out", str(tmp_path / "out")])
    assert np.load(tmp_path / "out" / "samples.npz")["images"].shape == (3, 16, 16, 1)


@pytest.mark.slow  # the loop is the same as above
@pytest.mark.parametrize("config", ["flow_seg", "unet_seg"])
def test_a_segmenter_resumes_exactly_and_is_scored(config, tmp_path, capsys):
    same = {"cache": tmp_path / "cache", "config": config, "preset": "smoke"}  # of the phantom, which has masks
    assert train_here(tmp_path / "whole", **same) == 0
    assert train_here(tmp_path / "restarted", "--config.train.restart_at=7 steps", **same) == 0
    assert "going on from step 7" in capsys.readouterr().err
    assert_same_run(tmp_path / "whole", tmp_path / "restarted")
    segment.main(["--run", str(tmp_path / "whole"), "--out", str(tmp_path / "out")])
    (result,) = (tmp_path / "out").rglob("*.json")
    assert 0.0 <= json.loads(result.read_text())["dice"]["mean"] <= 1.0


def test_one_and_eight_devices_agree():
    env = os.environ | EIGHT | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.train.eight_devices"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, (worst, one, eight) in json.loads(done.stdout).items():
        assert worst < 1e-5, (name, worst)
        assert one == pytest.approx(eight, rel=1e-4, abs=1e-6), name


def test_the_loop_names_no_family():
    names = "|".join([*FAMILIES, "discriminator", "generator", "denois", "velocity"])
    for path in (ROOT / "train").glob("*.py"):
        assert not re.search(rf"\b({names})", path.read_text(), re.IGNORECASE), path
