import time

import numpy as np
import pytest

from data import Info, UserError, dataset, decode, draws, npy, ranges
from tests.data import layouts


@pytest.fixture(scope="module")
def cats(tmp_path_factory):
    """40 images of two classes, with masks."""
    tmp_path = tmp_path_factory.mktemp("cats")
    layouts.folder(tmp_path / "mine" / "images", each=20)
    for path in (tmp_path / "mine" / "images").glob("*/*"):
        mask = layouts.picture(100 + int(path.stem)) // 128
        layouts.write(tmp_path / "mine" / "masks" / path.parent.name / path.name, mask)
    return layouts.opened(tmp_path, "folder", tmp_path / "mine")


def same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_a_batch_is_what_the_design_says(cats):
    batch = cats.batches("train", 8, seed=0)[0]
    shapes = {name: (array.shape, str(array.dtype)) for name, array in batch.items()}
    assert shapes == {
        "image": ((8, 16, 16, 1), "float32"),
        "label": ((8, 2), "float32"),
        "mask": ((8, 16, 16, 1), "float32"),
        "id": ((8,), "int32"),
        "weight": ((8,), "float32"),
    }
    assert batch["image"].min() >= -1 and batch["image"].max() <= 1 and batch["image"].std() > 0.1
    assert set(np.unique(batch["mask"])) == {0, 1} and (batch["weight"] == 1).all()
    assert all(array.flags.writeable for array in batch.values())  # nobody's memory map


def test_large_labels_stay_on_disk(cats, monkeypatch):
    monkeypatch.setattr(dataset, "_WHOLE", 10)
    large = type(cats)(cats._folder)
    assert isinstance(large.arrays("train")["label"], np.memmap)
    assert not isinstance(cats.arrays("train")["label"], np.memmap)
    same(large.batches("train", 8, seed=0)[1], cats.batches("train", 8, seed=0)[1])
    for batch in (large.batches("train", 8, seed=0)[0], next(large.epoch("train", 100))):
        assert all(type(array) is np.ndarray and array.flags.writeable for array in batch.values())


def test_labels_are_written_as_they_come(tmp_path, monkeypatch):
    held = []
    monkeypatch.setattr(decode, "_CHUNK", 4)
    append = npy.NpyWriter.append
    monkeypatch.setattr(npy.NpyWriter, "append", lambda self, rows: (held.append(rows.shape), append(self, rows))[1])
    cats = layouts.opened(tmp_path, "folder", layouts.folder(tmp_path / "mine"))
    labels = [shape for shape in held if len(shape) == 2]
    assert max(rows for rows, _ in labels) <= 4 and sum(rows for rows, _ in labels) == 30
    for key, label in layouts.everything(cats, "label").items():
        assert label.tolist() == ([1, 0] if key.startswith(b"cat") else [0, 1]) and label.dtype == np.float32


def test_ids_lead_back_to_the_stored_image(cats):
    first = 0
    for split, n in cats.info.sizes.items():
        arrays = cats.arrays(split)
        np.testing.assert_array_equal(arrays["id"], np.arange(first, first + n))
        batch = cats.batches(split, 4, seed=1)[2]
        rows = batch["id"] - first
        np.testing.assert_array_equal(batch["image"], ranges.to_float(arrays["image"][rows]))
        np.testing.assert_array_equal(batch["label"], arrays["label"][rows])
        np.testing.assert_array_equal(batch["mask"], arrays["mask"][rows])
        first += n


def test_batch_i_depends_on_seed_and_i_alone(cats):
    batches = cats.batches("train", 8, seed=3)
    forwards = [batches[i] for i in range(6)]
    again = cats.batches("train", 8, seed=3)
    for i in (5, 0, 3):  # any order, another object
        same(again[i], forwards[i])
    assert (cats.batches("train", 8, seed=4)[0]["id"] != forwards[0]["id"]).any()


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own(cats):
    n = cats.info.sizes["train"]
    size = n // 2 + 1  # so that batches straddle epochs
    batches = cats.batches("train", size, seed=0)
    ids = np.concatenate([batches[i]["id"] for i in range(3 * n // size + 1)])
    epochs = [ids[e * n : (e + 1) * n] for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(n))
    assert (epochs[0] != epochs[1]).any() and (epochs[0] != np.sort(epochs[0])).any()
    other = cats.batches("train", n, seed=1)[0]["id"]  # seed 1's first epoch is not seed 0's second
    assert (other != epochs[1]).any()


def test_orders_are_uniform():
    places = np.stack([draws.Orders(5, seed).at(np.arange(5)) for seed in range(2000)])
    counts = np.stack([(places == value).sum(0) for value in range(5)])
    assert abs(counts - 400).max() < 90  # five standard deviations of a binomial


def test_unshuffled_and_larger_than_the_split(cats):
    n = cats.info.sizes["val"]
    ids = cats.batches("val", 2 * n + 1, seed=0, shuffle=False)[0]["id"]
    first = cats.info.sizes["train"]
    np.testing.assert_array_equal(ids, first + np.arange(2 * n + 1) % n)


def test_hosts_share_the_batch_that_one_host_reads(cats):
    whole = cats.batches("train", 8, seed=5)[3]
    parts = [cats.batches("train", 8, seed=5, shard=(index, 4))[3] for index in range(4)]
    same({name: np.concatenate([part[name] for part in parts]) for name in whole}, whole)
    whole = list(cats.epoch("test", 8))
    parts = [list(cats.epoch("test", 8, shard=(index, 4))) for index in range(4)]
    for i, batch in enumerate(whole):
        same({name: np.concatenate([part[i][name] for part in parts]) for name in batch}, batch)
    with pytest.raises(UserError, match="multiple of 3"):
        cats.batches("train", 8, seed=0, shard=(0, 3))


def test_an_epoch_is_in_order_and_padded_with_weight_0(cats):
    n = cats.info.sizes["train"]
    size = n // 3 + 1  # so that the last batch is not full
    batches = list(cats.epoch("train", size))
    assert len(batches) == 3 and {len(b["image"]) for b in batches} == {size}
    weight, ids = (np.concatenate([b[name] for b in batches]) for name in ("weight", "id"))
    assert weight.sum() == n
    np.testing.assert_array_equal(ids[weight == 1], np.arange(n))
    assert (ids[weight == 0] == -1).all() and (weight[n:] == 0).all()
    assert np.isfinite(batches[-1]["image"]).all()


def test_raw_batches_are_for_the_device_to_convert(cats):
    raw, converted = (cats.batches("train", 8, seed=0, raw=raw)[1] for raw in (True, False))
    assert raw["image"].dtype == np.uint8
    np.testing.assert_array_equal(ranges.to_float(raw["image"]), converted["image"])


def test_threads_that_run_ahead_change_nothing(cats):
    import grain

    batches = cats.batches("train", 8, seed=0)
    ahead = iter(batches[2:].to_iter_dataset(grain.ReadOptions(num_threads=3, prefetch_buffer_size=4)))
    for i in range(2, 12):
        same(next(ahead), batches[i])


def test_flips_mirror_image_and_mask_of_about_half(tmp_path, cats):
    flipped = type(cats)(cats._folder, flip=True)
    seen = []
    for i in range(40):
        plain, turned = (d.batches("train", 8, seed=0)[i] for d in (cats, flipped))
        for j in range(8):
            kept = (plain["image"][j] == turned["image"][j]).all()
            way = 1 if kept else -1
            for name in ("image", "mask"):
                np.testing.assert_array_equal(turned[name][j], plain[name][j][:, ::way])
            seen.append(kept)
    assert 0.35 < np.mean(seen) < 0.65
    same(flipped.batches("train", 8, seed=0)[7], flipped.batches("train", 8, seed=0)[7])
    halves = [flipped.batches("train", 8, seed=0, shard=(h, 2))[7]["image"] for h in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(halves), flipped.batches("train", 8, seed=0)[7]["image"])
    same(flipped.batches("val", 8, seed=0)[1], cats.batches("val", 8, seed=0)[1])  # training only
    same(next(flipped.epoch("train", 8)), next(cats.epoch("train", 8)))


@pytest.mark.parametrize(("bits", "channels"), [(8, 1), (16, 3)])
def test_mean_and_std_are_those_of_the_training_pixels(tmp_path, bits, channels):
    source = layouts.folder(tmp_path / "mine", colour=channels == 3)
    dataset = layouts.opened(tmp_path, "folder", source, bits=bits, channels=channels)
    x = ranges.to_float(np.asarray(dataset.arrays("train")["image"])).astype(np.float64)
    np.testing.assert_allclose(dataset.info.mean, x.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(dataset.info.std, x.std((0, 1, 2)), atol=1e-6)


def test_info_survives_json(cats):
    import json

    info = cats.info
    assert Info.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    assert info.labels == ("cat", "dog") and info.exclusive and info.raters == 1
    assert info.mask_channels == ("mask",) and info.image_shape == (16, 16, 1) and info.patients is None
    assert sum(info.sizes.values()) == 40


def test_an_unknown_split_is_named(cats):
    for call in (lambda: cats.batches("valid", 8, 0), lambda: cats.epoch("valid", 8)):
        with pytest.raises(UserError, match=r"no images in a split 'valid'; it has train"):
            call()


def test_batches_are_faster_than_any_training_step(tmp_path):
    dataset = layouts.opened(tmp_path, "phantom_cxr", num_images=400, image_size=64)
    batches = dataset.batches("train", 64, seed=0)
    batches[0]
    start = time.perf_counter()
    for i in range(100):
        batches[i]
    rate = 6400 / (time.perf_counter() - start)
    assert rate > 20_000, f"{rate:,.0f} images/s"  # 200,000 on an idle core; the machine may be busy
