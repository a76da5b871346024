"""Fractions of the training patients, and classes in equal shares."""

import numpy as np
import pytest

from data import UserError, draws
from data.dataset import class_rows
from tests.data.layouts import chexpert, folder, nih, nih_rows, opened

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 1.0)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """60 patients of two images each."""
    return nih(tmp_path_factory.mktemp("nih"), nih_rows(patients=60))


def test_fractions_are_of_patients_and_nested(tmp_path, patients):
    sets = [opened(tmp_path, "nih", patients, fraction=f) for f in FRACTIONS]
    keys = [set(one.arrays("train")["key"]) for one in sets]
    assert all(few < many for few, many in zip(keys, keys[1:], strict=False))
    whole = sets[-1].info.patients["train"]
    for fraction, one in zip(FRACTIONS, sets, strict=True):
        assert one.info.patients["train"] == int(np.ceil(fraction * whole))
        assert one.info.sizes["train"] == 2 * one.info.patients["train"]  # both images of each
        for split in ("val", "test"):
            for name in ("key", "id", "image"):
                np.testing.assert_array_equal(one.arrays(split)[name], sets[-1].arrays(split)[name])


def test_an_image_keeps_its_id(tmp_path, patients):
    ids = {}
    for fraction in FRACTIONS:
        arrays = opened(tmp_path, "nih", patients, fraction=fraction).arrays("train")
        for key, number in zip(arrays["key"], arrays["id"], strict=True):
            assert ids.setdefault(bytes(key), int(number)) == number
    assert len(set(ids.values())) == len(ids)


def test_moments_are_of_the_fraction_alone(tmp_path, patients):
    some = opened(tmp_path, "nih", patients, fraction=0.1)
    pixels = some.arrays("train")["image"] / 127.5 - 1
    assert some.info.mean[0] == pytest.approx(pixels.mean(), abs=1e-9)
    assert some.info.mean != opened(tmp_path, "nih", patients).info.mean


def test_without_patients_images_are_counted(tmp_path):
    source = folder(tmp_path / "mine", each=20)
    whole, half = (opened(tmp_path, "folder", source, fraction=f).info.sizes["train"] for f in (1.0, 0.5))
    assert half == int(np.ceil(whole / 2))


@pytest.mark.parametrize("fraction", [0.0, 1.2])
def test_a_fraction_that_cannot_be(tmp_path, patients, fraction):
    with pytest.raises(UserError, match=f"data.fraction={fraction} must be above 0"):
        opened(tmp_path, "nih", patients, fraction=fraction)


def test_classes_take_turns(tmp_path):
    source = folder(tmp_path / "mine", classes=("rare",), each=6)
    folder(source, classes=("usual",), each=40)
    dataset = opened(tmp_path, "folder", source, balance=True)
    train = dataset.arrays("train")
    assert train["label"][:, 0].sum() * 3 < train["label"][:, 1].sum()
    batches = dataset.batches("train", 10, seed=0)
    assert all(batches[i]["label"].sum(0).tolist() == [5, 5] for i in range(30))
    usual = int(train["label"][:, 1].sum())
    seen = np.concatenate([batches[i]["id"][batches[i]["label"][:, 1] > 0] for i in range(30)])[: 2 * usual]
    assert len(set(seen[:usual])) == usual == len(set(seen[usual:]))  # each once an epoch of its class
    assert list(seen[:usual]) != list(seen[usual:])
    plain = opened(tmp_path, "folder", source).batches("train", 10, seed=0)
    assert any(plain[i]["label"].sum(0).tolist() != [5, 5] for i in range(5))
    for split in ("val", "test"):  # only training is balanced
        one, other = (d.batches(split, 8, seed=0)[0]["id"] for d in (dataset, opened(tmp_path, "folder", source)))
        np.testing.assert_array_equal(one, other)


def test_images_without_a_finding_are_a_class(tmp_path, patients):
    batches = opened(tmp_path, "nih", patients, balance=True, classes=("Pneumonia",)).batches("train", 8, seed=1)
    assert all(batches[i]["label"].sum() == 4 for i in range(5))


def test_images_whose_findings_are_unknown_are_in_no_class(tmp_path):
    label = np.float32([[1, -1], [0, 0], [-1, 0], [0.5, 0], [-1, -1]])
    assert [rows.tolist() for rows in class_rows(label)] == [[0, 3], [1]]
    source = chexpert(tmp_path / "c")
    dataset = opened(tmp_path, "chexpert", source, balance=True, uncertain="ignore", classes=("Pneumonia",))
    batches = dataset.batches("train", 8, seed=1)
    assert all(sorted(batches[i]["label"].ravel()) == [0] * 4 + [1] * 4 for i in range(5))
    dataset.arrays("train")["label"][:] = -1
    with pytest.raises(UserError, match=r"data\.balance=True needs training images whose labels are known, and chexp"):
        dataset.batches("train", 8, seed=1)


def test_turns_do_not_depend_on_where_a_batch_begins():
    rows = [np.arange(3), np.arange(3, 10), np.array([10])]
    whole = draws.Turns(rows, seed=2).at(np.arange(60))
    parts = [draws.Turns(rows, seed=2).at(np.arange(at, at + 7)) for at in range(0, 56, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole[:56])
