"""The phantoms as a dataset (what they look like is tested with the phantoms)."""

import numpy as np
import pytest

from data import ranges
from data.phantom import cxr
from tests.data.layouts import everything, opened


def test_it_is_the_default_and_carries_its_ground_truth(tmp_path):
    dataset = opened(tmp_path, "phantom_cxr", num_images=100, image_size=32, split=(0.8, 0.1, 0.1))
    info = dataset.info
    assert info.sizes == {"train": 80, "val": 10, "test": 10} and info.patients is None
    assert info.classes == tuple(cxr.CLASSES) and not info.exclusive
    assert info.mask_channels == ("lungs", "heart") and info.factors == tuple(cxr.FACTORS)
    batch = dataset.batches("train", 8, seed=0)[0]
    drawn = cxr.generate(0, batch["id"], 32)  # training image i is phantom i
    assert np.abs(batch["image"] - (2 * drawn["image"] - 1)).max() <= 1.001 / 255
    for name in ("label", "mask", "factors"):
        np.testing.assert_array_equal(batch[name], drawn[name].astype(np.float32))


@pytest.mark.parametrize(("bits", "channels"), [(16, 1), (8, 3)])
def test_bits_and_channels(tmp_path, bits, channels):
    dataset = opened(tmp_path, "phantom_cxr", num_images=20, image_size=32, bits=bits, channels=channels)
    image = dataset.arrays("train")["image"]
    assert image.shape == (12, 32, 32, channels) and image.dtype == ranges.DTYPES[bits]
    assert (image == image[..., :1]).all()
    drawn = cxr.generate(0, np.arange(12), 32)["image"]
    np.testing.assert_array_equal(image[..., :1], ranges.to_uint(2 * drawn - 1, bits))


def test_more_images_move_none_and_seeds_differ(tmp_path):
    few = opened(tmp_path, "phantom_cxr", num_images=20)
    many = opened(tmp_path, "phantom_cxr", num_images=150)
    for split, n in few.info.sizes.items():
        np.testing.assert_array_equal(many.arrays(split)["image"][:n], few.arrays(split)["image"])
    images = [image.tobytes() for image in everything(many).values()]
    assert len(set(images)) == 150  # and the splits share none
    other = opened(tmp_path, "phantom_cxr", num_images=20, seed=1)
    assert (other.arrays("train")["image"] != few.arrays("train")["image"]).any((1, 2, 3)).all()


def test_classes_are_chosen_without_leaving_images_out(tmp_path):
    dataset = opened(tmp_path, "phantom_cxr", num_images=60, classes=("effusion",))
    full = opened(tmp_path, "phantom_cxr", num_images=60)
    assert dataset.info.sizes == full.info.sizes
    column = cxr.CLASSES.index("effusion")
    np.testing.assert_array_equal(
        dataset.arrays("train")["label"][:, 0], full.arrays("train")["label"][:, column]
    )


def test_changed_code_is_drawn_anew(tmp_path, monkeypatch):
    from data import cache

    opened(tmp_path, "phantom_cxr", num_images=20)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "cxr.py").write_text("x = 1")
    one = cache.contents(tmp_path / "code")
    (tmp_path / "code" / "cxr.py").write_text("x = 2")
    assert cache.contents(tmp_path / "code") != one
    monkeypatch.setattr(cache, "contents", lambda *args: "other")
    opened(tmp_path, "phantom_cxr", num_images=20)
    assert len(list((tmp_path / "cache" / "arrays").iterdir())) == 2
