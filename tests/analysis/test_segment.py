"""`python -m analysis.segment` on a finished run, as a user calls it."""

import json

import pytest
from PIL import Image

from analysis import sample, segment
from data import UserError
from tests.train.helpers import run_train


def test_every_image_is_scored(tmp_path):
    cache, run, out = tmp_path / "cache", tmp_path / "run", tmp_path / "results"
    options = ("--config.data.num_images=120", "--config.sample.ensemble=3")
    run_train(run, "configs/flow_seg.py:smoke", cache, *options)
    assert list((run / "samples").glob("*.png"))
    segment.main(["--run", str(run), "--steps", "2", "--out", str(out), "--name", "tiny"])
    result = json.loads(next(out.glob("*/tiny.json")).read_text())
    assert result["n"] == len(result["ids"]) == len(result["images"]["dice"]) == 12
    assert result["dice"]["low"] <= result["dice"]["mean"] <= result["dice"]["high"]
    assert result["sampling"]["steps"] == 2 and result["sampling"]["ensemble"] == 3
    assert 0 <= result["uncertainty"]["expected_calibration_error"] <= 1
    picture = Image.open(next(out.glob("*/tiny.png")))
    assert picture.text["Synthetic"] == "false"
    with pytest.raises(UserError, match="use python -m analysis.segment"):
        sample.main(["--run", str(run), "--n", "2", "--out", str(tmp_path / "x")])
