"""What each arm learns from, and samples that must not be learned from."""

import numpy as np
import pytest

from analysis.downstream.arms import training_set
from analysis.downstream.options import Settings
from data import DataOptions, UserError
from tests.analysis.downstream.helpers import made, write_samples


def arm(name, tmp_path=None, dataset=None, options=None, **settings):
    if tmp_path and name in ("synthetic", "mixed"):
        settings["samples"] = str(write_samples(tmp_path / name))
    settings = Settings(arm=name, **settings)
    settings.check()
    return training_set(dataset or made(), options or DataOptions(), settings)


def test_arms_hold_as_many_images_as_they_should(tmp_path):
    sets = {name: arm(name, tmp_path, ratio=0.5) for name in ("real", "synthetic", "mixed", "duplicated")}
    assert {name: len(images) for name, images in sets.items()} == {
        "real": 80, "synthetic": 40, "mixed": 120, "duplicated": 120,
    }  # fmt: skip
    facts = sets["mixed"].facts
    assert (facts["images"], facts["real"], facts["synthetic"], facts["duplicates"]) == (120, 80, 40, 0)
    assert facts["generator"]["run"] == "gan" and facts["generator"]["same_split"]
    assert sets["duplicated"].facts["duplicates"] == 40 and sets["duplicated"].facts["real"] == 80


def test_batches_are_gathered_from_both_sources(tmp_path):
    images, real = arm("mixed", tmp_path, ratio=1.0), made().arrays("train")
    image, label = images.batch(np.array([85, 3, 159, 3]))
    np.testing.assert_array_equal(image[[1, 3]], real["image"][[3, 3]])
    np.testing.assert_array_equal(image[[0, 2], 0, 0, 0], [5, 79])
    np.testing.assert_array_equal(label, [np.eye(3)[5 % 3], real["label"][3], np.eye(3)[79 % 3], real["label"][3]])


@pytest.mark.parametrize("ratio", [0.25, 1.0, 2.5])
def test_duplicates_are_spread_evenly(ratio):
    images = arm("duplicated", ratio=ratio)
    times = np.bincount(images.row, minlength=80)
    assert len(images) == 80 + 80 * ratio and times.min() == 1 + int(ratio) and np.ptp(times) == (ratio % 1 > 0)


def test_samples_that_cannot_be_used_are_refused(tmp_path):
    cases = {
        "too_few": (dict(n=39), "holds 39 images and 40 are needed"),
        "other": (dict(names=("dark", "bright", "unasked")), "was drawn for dark, bright, unasked, not bright"),
        "foreign": (dict(data=None), "nothing shows that the generator learned from this training split"),
    }
    for name, (changes, message) in cases.items():
        folder = write_samples(tmp_path / name, **changes)
        with pytest.raises(UserError, match=message):
            arm("mixed", samples=str(folder), ratio=0.5)
    with pytest.raises(UserError, match="holds no samples"):
        arm("mixed", samples=str(tmp_path))
    with pytest.raises(UserError, match="draw from a run of the same config.data"):
        arm("mixed", tmp_path, made(image_shape=(32, 32, 1)))
    known = arm("mixed", samples=str(tmp_path / "foreign"), ratio=0.5, unchecked_split=True)
    assert known.facts["generator"]["same_split"] is False


def test_attributes_asked_for_are_no_classes(tmp_path):
    names = ("bright", "dark", "unasked", "view")
    assert arm("synthetic", samples=str(write_samples(tmp_path / "view", names=names))).label.shape == (80, 3)


def test_a_generator_of_another_share_of_the_same_split_is_known(tmp_path):
    from data import load

    options = DataOptions(num_images=60, image_size=16, cache=str(tmp_path / "cache"), fraction=0.5)
    half = load(options, progress=False)
    whole = load(DataOptions(num_images=60, image_size=16, cache=str(tmp_path / "cache")), progress=False)
    for fingerprint, same in ((whole.info.fingerprint, True), ("0" * 16, False)):
        data = {"fingerprint": fingerprint, "fraction": 1.0}
        folder = write_samples(tmp_path / fingerprint, names=half.info.classes, data=data)
        found = arm("synthetic", dataset=half, options=options, samples=str(folder), unchecked_split=True)
        assert found.facts["generator"]["same_split"] is same


def test_options_that_do_not_go_together():
    for settings, message in (
        (dict(arm="mixed"), "needs synthetic images"),
        (dict(arm="real", run="runs/gan"), "takes no synthetic images"),
        (dict(arm="fake"), "--arm 'fake' is unknown"),
        (dict(steps=0), "--steps 0 must be at least 1"),
        (dict(augment=2.0), "is a probability"),
        (dict(ratio=0.0), "must be above 0"),
    ):
        with pytest.raises(UserError, match=message):
            Settings(**settings).check()
    with pytest.raises(UserError, match="config.data.flip"):
        arm("real", options=DataOptions(flip=True))
    with pytest.raises(UserError, match="no classes"):
        arm("real", dataset=made(classes=()))
    with pytest.raises(UserError, match="is no image"):
        arm("duplicated", ratio=0.001)
