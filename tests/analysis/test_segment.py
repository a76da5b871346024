"""`python -m analysis.segment` on a finished run, as a user calls it."""

import json

import numpy as np
import pytest
from PIL import Image

from analysis import sample, segment
from data import UserError
from tests.train.helpers import run_train


def test_the_energy_distance_is_to_every_rater():
    """Samples that are the raters' own masks are at distance 0; the agreed mask alone is not."""
    rng = np.random.default_rng(0)
    raters = rng.uniform(size=(5, 3, 16, 16)) < 0.4
    truths = raters.sum(1) >= 2
    signed = lambda masks: np.where(masks, -1.0, 1.0)  # noqa: E731
    all_of_them, alone = (segment.score(signed(m), truths, raters, np.arange(5)) for m in (raters, truths[:, None]))
    assert all_of_them["energy"]["mean"] == pytest.approx(0.0, abs=1e-12)
    assert alone["energy"]["mean"] > 0.05 and alone["dice"]["mean"] == 1.0 and alone["raters"] == 3
    assert all_of_them["uncertainty"]["expected_calibration_error"] == pytest.approx(0.0, abs=1e-12)
    a, b = raters[0, 0], raters[0, 1]
    by_hand = 1 - (a & b).sum() / (a | b).sum()
    pair = segment.score(signed(raters[:1, :2]), truths[:1], raters[:1], np.zeros(1, int))
    assert pair["pairwise"]["mean"] == pytest.approx(by_hand)


def test_every_image_is_scored(tmp_path):
    cache, run, out = tmp_path / "cache", tmp_path / "run", tmp_path / "results"
    options = (
        "--config.data.num_images=120", "--config.data.image_size=16", "--config.model.channels=(8,16)",
        "--config.sample.ensemble=3", "--config.train.restart_at=",
    )  # fmt: skip
    run_train(run, "configs/flow_seg.py:smoke", cache, *options)
    assert list((run / "samples").glob("*.png"))
    segment.main(["--run", str(run), "--steps", "2", "--out", str(out), "--name", "tiny"])
    result = json.loads(next(out.glob("*/tiny.json")).read_text())
    assert result["n"] == len(result["ids"]) == len(result["images"]["dice"]) == 12
    assert result["dice"]["low"] <= result["dice"]["mean"] <= result["dice"]["high"]
    assert result["sampling"]["steps"] == 2 and result["sampling"]["ensemble"] == 3
    assert 0 <= result["uncertainty"]["expected_calibration_error"] <= 1
    beside = ["--beside", str(next(out.glob("*/tiny.json")))]
    segment.main(["--run", str(run), "--steps", "1", "--out", str(out), "--name", "one", *beside])
    one = json.loads(next(out.glob("*/one.json")).read_text())
    expected = np.mean(np.subtract(one["images"]["dice"], result["images"]["dice"]))
    assert one["difference"]["dice"]["mean"] == pytest.approx(expected, abs=1e-9)
    with pytest.raises(UserError, match="that result is of other images"):
        segment.differences(one, result | {"split": "val"})
    (tmp_path / "kid.json").write_text('{"kid": 0.1}')
    for name, message in (("none", "is not there"), ("kid", "is no result of python -m analysis.segment")):
        with pytest.raises(UserError, match=message):
            segment.main(["--run", str(run), "--out", str(out), "--beside", str(tmp_path / f"{name}.json")])
    picture = Image.open(next(out.glob("*/tiny.png")))
    assert picture.text["Synthetic"] == "false"
    with pytest.raises(UserError, match="use python -m analysis.segment"):
        sample.main(["--run", str(run), "--n", "2", "--out", str(tmp_path / "x")])
