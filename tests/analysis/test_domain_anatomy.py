"""Anatomy as a segmenter measures it, on masks drawn by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.domain.anatomy import anatomy
from analysis.domain.parts import measures
from data import UserError


def lungs(n: int, seed: int, left: bool = True) -> np.ndarray:
    """Stored images 32x32 with two bright rectangles, or the right one alone."""
    rng, images = np.random.default_rng(seed), np.zeros((n, 32, 32, 1), np.uint8)
    for image in images:
        top, high, wide = rng.integers(5, 8), rng.integers(14, 19), rng.integers(7, 10)
        image[top : top + high, 19 : 19 + wide] = 255
        if left:
            image[top : top + high, 4 : 4 + wide] = 255
    return images


class Thresholder:
    """A segmenter that finds what is bright."""

    def predict(self, _state, image, _keys):
        return -image.transpose(0, 3, 1, 2)


RUN = SimpleNamespace(
    family=Thresholder(), folder="made", step=1, sample_options=dict,
    state=SimpleNamespace(replace=lambda **_: 0.0), info=SimpleNamespace(name="made", image_shape=(32, 32, 1)),
    config=SimpleNamespace(model=SimpleNamespace(family="unet_seg")),
)  # fmt: skip


def test_measures_by_hand():
    mask = np.zeros((20, 20), bool)
    mask[2:12, 1:6], mask[4:12, 12:16] = True, True
    mask[18, 18] = True
    found = measures(mask, 2)
    assert found["components"] == 3 and found["area_left"] == 50 / 400 and found["area_right"] == 32 / 400
    assert (found["y_left"], found["x_left"]) == pytest.approx((6.5 / 20, 3 / 20))
    assert (found["y_right"], found["x_right"]) == pytest.approx((7.5 / 20, 13.5 / 20))
    assert found["area_ratio"] == pytest.approx(50 / 32)
    mirrored = measures(mask[:, ::-1], 2)
    assert mirrored["area_ratio"] == pytest.approx(32 / 50)
    one = measures(mask, 1)
    assert set(one) == {"components", "area", "y", "x"} and one["area"] == 50 / 400
    nothing = measures(np.zeros((20, 20), bool), 2)
    assert nothing["components"] == 0 and np.isnan(nothing["area_left"])


def test_a_missing_lung_is_not_plausible():
    real, good, bad = lungs(200, 0), lungs(60, 1), lungs(40, 2, left=False)
    found = anatomy(RUN, np.concatenate([good, bad]), real)
    assert found["parts"] == 2 and found["plausible"]["real"]["n"] == (100,)
    assert found["plausible"]["real"]["value"] > 0.9
    assert found["plausible"]["generated"]["value"] == pytest.approx(0.6, abs=0.04)
    assert set(range(60, 100)) <= set(found["implausible"])
    assert found["outside"]["components"]["generated"]["value"] == 0.4
    assert found["mean"]["components"]["generated"] == 1.6
    json.dumps(found, allow_nan=False)
    third = lungs(50, 4)
    third[:, 27:30, 14:17] = 255  # one measure alone is out of range
    assert anatomy(RUN, third, real)["plausible"]["generated"]["value"] == 0.0
    owned = anatomy(RUN, good, np.repeat(lungs(20, 0), 10, axis=0), groups=np.repeat(np.arange(20), 10))
    share = owned["plausible"]["real"]
    assert share["n"] == (100,) and share["high"] - share["low"] > 0.2  # ten patients
    alone = anatomy(RUN, bad, lungs(100, 3, left=False))
    assert alone["parts"] == 1 and alone["plausible"]["generated"]["value"] > 0.8


def test_wrong_input_is_said():
    with pytest.raises(UserError, match="at least 40 real images, and there are 30"):
        anatomy(RUN, lungs(5, 0), lungs(30, 1))
    with pytest.raises(UserError, match="need 20 images in either half"):
        anatomy(RUN, lungs(5, 0), lungs(50, 1), groups=np.repeat([0, 1], [45, 5]))
    with pytest.raises(UserError, match=r"segments images of \(32, 32, 1\), not \(16, 16, 1\)"):
        anatomy(RUN, lungs(5, 0)[:, :16, :16], lungs(50, 1))
    with pytest.raises(UserError, match="0 parts in most real images"):
        anatomy(RUN, lungs(5, 0), np.zeros((50, 32, 32, 1), np.uint8))
    generator = SimpleNamespace(family=object(), folder="made", info=RUN.info)
    with pytest.raises(UserError, match="made is no segmenter"):
        anatomy(generator, lungs(5, 0), lungs(50, 1))
