"""Random change of stains: off it is nothing; on it is a function of (seed, batch, id), of training batches alone."""

import numpy as np
import pytest
from skimage.color import hed2rgb, rgb2hed

from data import UserError, draws, ranges, stain
from data.dataset import Dataset
from data.phantom.tissue_stain import RUIFROK
from tests.data import layouts


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    return layouts.opened(tmp_path_factory.mktemp("tissue"), "phantom_tissue", channels=3, num_images=40, image_size=32)


def changed(dataset, share, **options):
    return Dataset(dataset._folder, stain=share, **options)


def same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def colours(bits):
    """[2, 40, 50, 3]: random colours, black and white among them."""
    images = np.random.default_rng(0).integers(0, 2**bits, (2, 40, 50, 3)).astype(ranges.DTYPES[bits])
    images[0, 0, 0], images[0, 0, 1] = 0, 2**bits - 1
    return images


@pytest.mark.parametrize("bits", [8, 16])
def test_identity_gives_every_level_back(bits):
    images = colours(bits)
    one, none = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    back = stain.change(images, one, none)
    assert back.dtype == images.dtype
    off = np.abs(back.astype(int) - images).max()
    assert off == 0 if bits == 8 else off <= 1  # float32 carries 24 bits
    assert (stain.change(images, one * 1.1, none) != images).any()


def test_each_stain_changes_alone_and_as_asked():
    amounts = np.random.default_rng(1).uniform(0.1, 0.6, (1, 30, 30, 2)).astype(np.float32)
    unit = RUIFROK / np.linalg.norm(RUIFROK, axis=1, keepdims=True)
    alpha, beta = np.float32([[1.3, 0.8]]), np.float32([[0.05, -0.04]])
    images = [np.rint(65536 * 10 ** -(a @ unit) - 1).astype(np.uint16) for a in (amounts, alpha * amounts + beta)]
    moved = stain.change(images[0], alpha, beta)
    assert np.abs(moved.astype(int) - images[1]).max() <= 3
    assert np.abs(images[0].astype(int) - images[1]).max() > 1000


def test_stains_are_told_apart_as_by_an_independent_library():
    amounts = np.zeros((1, 30, 30, 3))
    amounts[..., :2] = np.random.default_rng(2).uniform(0.01, 0.1, (1, 30, 30, 2))  # skimage: OD / 6
    image, expected = (np.rint(65535 * hed2rgb(a)).astype(np.uint16) for a in (amounts, amounts * [0.5, 1.5, 1]))
    moved = stain.change(image, np.float32([[0.5, 1.5]]), np.zeros((1, 2), np.float32))
    assert np.abs(moved.astype(int) - expected).max() <= 3
    np.testing.assert_allclose(rgb2hed(moved)[..., :2], amounts[..., :2] * [0.5, 1.5], atol=1e-4)


def test_coefficients_are_uniform_and_by_example():
    alpha, beta = stain.coefficients(3, 5, np.arange(4000), 0.2)
    assert alpha.shape == beta.shape == (4000, 2)
    for x in (*(alpha - 1).T, *beta.T):
        assert -0.2 <= x.min() < -0.198 and 0.198 < x.max() <= 0.2
        assert abs(x.mean()) < 0.01 and abs(x.std() - 0.2 / 3**0.5) < 0.004
    assert np.abs(np.corrcoef(np.concatenate([alpha, beta], 1).T) - np.eye(4)).max() < 0.08
    some = np.array([7, 3900])
    np.testing.assert_array_equal(stain.coefficients(3, 5, some, 0.2)[0], alpha[some])
    for seed, step in ((4, 5), (3, 6)):
        assert (stain.coefficients(seed, step, some, 0.2)[0] != alpha[some]).all()
    assert np.abs(np.corrcoef(draws.coins(3, 5, np.arange(4000)), alpha[:, 0])[0, 1]) < 0.08


def test_off_changes_not_one_bit(tissue):
    stored = tissue.arrays("train")["image"]
    batch = tissue.batches("train", 8, seed=0, raw=True)[2]
    np.testing.assert_array_equal(batch["image"], stored[batch["id"]])
    same(changed(tissue, 0.0).batches("train", 8, seed=0)[2], tissue.batches("train", 8, seed=0)[2])


@pytest.mark.parametrize("raw", [True, False])
def test_training_batches_are_functions_of_seed_and_number(tissue, raw):
    plain = tissue.batches("train", 8, seed=0, raw=raw)[1]
    dataset = changed(tissue, 0.1)
    batch = dataset.batches("train", 8, seed=0, raw=raw)[1]
    assert all((a != b).mean() > 0.3 for a, b in zip(batch["image"], plain["image"], strict=True))
    assert batch["image"].dtype == plain["image"].dtype
    same({k: v for k, v in batch.items() if k != "image"}, {k: v for k, v in plain.items() if k != "image"})
    again = changed(tissue, 0.1).batches("train", 8, seed=0, raw=raw)
    again[4]  # another batch first
    same(again[1], batch)
    halves = [dataset.batches("train", 8, seed=0, raw=raw, shard=(h, 2))[1]["image"] for h in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(halves), batch["image"])


def test_an_image_looks_different_in_every_epoch(tissue):
    n = tissue.info.sizes["train"]
    batches = changed(tissue, 0.1).batches("train", n, seed=0, shuffle=False)
    assert (batches[0]["id"] == batches[1]["id"]).all()
    assert (batches[0]["image"] != batches[1]["image"]).any((1, 2, 3)).all()


def test_flips_are_the_same_with_and_without(tissue):
    flipped, both = (changed(tissue, s, flip=True).batches("train", 8, seed=0)[3] for s in (0.0, 0.02))
    np.testing.assert_array_equal(flipped["mask"], both["mask"])
    assert 0 < np.abs(flipped["image"] - both["image"]).max() < 0.25


def test_only_training_batches_change(tissue):
    dataset = changed(tissue, 0.3)
    for split in ("val", "test"):
        same(dataset.batches(split, 8, seed=0)[1], tissue.batches(split, 8, seed=0)[1])
    same(next(dataset.epoch("train", 8)), next(tissue.epoch("train", 8)))


def test_the_option_reaches_the_batches(tmp_path, tissue):
    given = {"channels": 3, "num_images": 40, "image_size": 32, "stain": 0.1}
    opened = layouts.opened(tmp_path, "phantom_tissue", **given)
    same(opened.batches("train", 8, seed=0)[0], changed(tissue, 0.1).batches("train", 8, seed=0)[0])
    assert opened.info.fingerprint == tissue.info.fingerprint  # nothing is prepared anew


@pytest.mark.parametrize(
    ("options", "message"),
    [({"channels": 1, "stain": 0.1}, "data.channels=3"), ({"channels": 3, "stain": 1.0}, "below 1"),
     ({"channels": 3, "stain": -0.1}, "below 1")],
)  # fmt: skip
def test_what_cannot_be_stained_is_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        layouts.opened(tmp_path, "phantom_tissue", **options)
    assert "data.stain" in str(error.value)
    assert not (tmp_path / "cache").exists()
