import zipfile

import numpy as np
import pytest

from data import UserError
from data.builders import medmnist as medmnist_builder
from data.builders import npz
from tests.data.layouts import everything, medmnist, opened, picture


@pytest.mark.parametrize(("size", "colour"), [(28, False), (28, True), (64, False)])
def test_the_files_own_splits_sizes_and_colours(tmp_path, size, colour):
    path = medmnist(tmp_path / "set.npz", size=size, colour=colour)
    channels = 3 if colour else 1
    dataset = opened(tmp_path, "medmnist", path, image_size=size, channels=channels)
    assert dataset.info.sizes == {"train": 20, "val": 6, "test": 8}
    assert dataset.info.exclusive and dataset.info.classes == ("0", "1", "2")
    stored = np.load(path)
    for split in ("train", "val", "test"):
        arrays = dataset.arrays(split)
        order = [int(key.split(b"/")[1]) for key in arrays["key"]]
        expected = stored[f"{split}_images"].reshape(-1, size, size, channels)[order]
        np.testing.assert_array_equal(arrays["image"], expected)
        np.testing.assert_array_equal(arrays["label"].argmax(1), stored[f"{split}_labels"][order, 0])
        assert (arrays["label"].sum(1) == 1).all()


def test_several_labels(tmp_path):
    path = medmnist(tmp_path / "set.npz", columns=5)
    dataset = opened(tmp_path, "medmnist", path)
    assert not dataset.info.exclusive and dataset.info.classes == tuple("01234")
    np.testing.assert_array_equal(dataset.arrays("train")["label"], np.load(path)["train_labels"])


def test_published_files_have_class_names(tmp_path):
    labels = {
        f"{split}_labels": np.arange(n)[:, None] % 2 for split, n in (("train", 20), ("val", 6), ("test", 8))
    }
    path = medmnist(tmp_path / "pneumoniamnist_64.npz", **labels)
    assert opened(tmp_path, "medmnist", path).info.classes == ("normal", "pneumonia")
    with pytest.raises(UserError, match="labels from 0 to 2, outside the 2 classes"):
        opened(tmp_path, "medmnist", medmnist(tmp_path / "pneumoniamnist.npz"))


def test_a_subset_of_exclusive_classes_leaves_the_others_out(tmp_path):
    path = medmnist(tmp_path / "set.npz")
    dataset = opened(tmp_path, "medmnist", path, classes=("2", "0"))
    labels = np.load(path)["train_labels"][:, 0]
    assert dataset.info.sizes["train"] == (labels != 1).sum()
    label = dataset.arrays("train")["label"]
    np.testing.assert_array_equal(label.argmax(1), np.where(labels[labels != 1] == 2, 0, 1))


def test_own_split(tmp_path):
    path = medmnist(tmp_path / "set.npz", sizes=(60, 20, 20))
    dataset = opened(tmp_path, "medmnist", path, official_split=False)
    assert sum(dataset.info.sizes.values()) == 100
    stored, images = np.load(path), everything(dataset)
    assert any(key.startswith(b"train/") for key in dataset.arrays("test")["key"])
    for key, image in images.items():
        part, i = key.decode().split("/")
        assert abs(image.mean() - stored[f"{part}_images"][int(i)].mean()) < 6


def test_sixteen_bits(tmp_path):
    deep = {f"{s}_images": np.stack([picture(i, 16, 16, top=65535) for i in range(n)])
            for s, n in (("train", 20), ("val", 6), ("test", 8))}  # fmt: skip
    dataset = opened(tmp_path, "medmnist", medmnist(tmp_path / "set.npz", **deep), bits=16)
    np.testing.assert_array_equal(dataset.arrays("val")["image"][..., 0], deep["val_images"])


WRONG = [
    ({"val_labels": None}, "has no array 'val_labels'; it has train_images"),
    ({"train_images": np.array([{}] * 20)}, "pickled objects"),
    ({"train_images": np.zeros((20, 28, 28), np.float32)}, "uint8 or uint16"),
    ({"train_images": np.zeros((20, 784), np.uint8)}, r"shape \(20, 784\)"),
    ({"val_images": np.zeros((6, 32, 32), np.uint8)}, "val_images has shape"),
    ({"train_labels": np.zeros((19, 1), np.uint8)}, "one row for each of the 20 images"),
    ({"test_labels": np.full((8, 1), 7, np.uint8)}, "labels from 0 to 7, outside the 3 classes"),
    ({"test_labels": np.full((8, 1), -1)}, "labels from -1"),
    ({"val_images": np.zeros((6, 28, 28), np.uint8)}, "val/0 shows nothing"),
    ({"train_images": np.asfortranarray(np.stack([picture(i, 28, 28) for i in range(20)]))}, "Fortran"),
    ({"val_images": np.zeros((0, 28, 28), np.uint8), "val_labels": np.zeros((0, 1), np.uint8)}, "val split"),
]


@pytest.mark.parametrize(("replaced", "says"), WRONG)
def test_wrong_arrays_are_named(tmp_path, replaced, says):
    path = medmnist(tmp_path / "set.npz", **replaced)
    with pytest.raises(UserError, match=says) as raised:
        opened(tmp_path, "medmnist", path)
    assert "set.npz" in str(raised.value) or "val/0" in str(raised.value)


def test_files_that_are_no_archive(tmp_path):
    for content in (b"", b"PK\3\4 not really", medmnist(tmp_path / "a.npz").read_bytes()[:3000]):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(UserError, match="not an intact .npz"):
            opened(tmp_path, "medmnist", tmp_path / "b.npz")
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "c.npz", ""):
        with pytest.raises(UserError, match=r"is not a file: medmnist needs data\.dir=NAME\.npz"):
            opened(tmp_path, "medmnist", wrong)


def test_an_encrypted_array_is_told(tmp_path):
    path = medmnist(tmp_path / "set.npz")
    content = bytearray(path.read_bytes())
    for name in (b"train_labels.npy", b"test_images.npy"):
        content[content.rindex(name) - 46 + 8] |= 1  # the first flag, in the archive's directory
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"set\.npz: train_labels is encrypted, which is not read: save"):
        opened(tmp_path, "medmnist", path)
    with pytest.raises(UserError, match="not an intact .npz"):
        next(npz.stream(path, "test_images", 1))


def test_damaged_pixels_are_noticed(tmp_path):
    path = medmnist(tmp_path / "set.npz", size=64)
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("val_images.npy").header_offset
    content = bytearray(path.read_bytes())
    content[at + 5000] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match="not an intact .npz"):
        opened(tmp_path, "medmnist", path)


def test_few_bytes_that_unpack_to_gigabytes(tmp_path, monkeypatch):
    """Zeros take a thousandth of their size. Images that are too large are refused; of others few are held at once."""
    path = medmnist(tmp_path / "set.npz", size=64)
    monkeypatch.setattr(medmnist_builder, "MAX_PIXELS", 4000)
    with pytest.raises(UserError, match=r"set\.npz: train_images holds images of 64x64, more than 4,000 pixels"):
        opened(tmp_path, "medmnist", path)
    monkeypatch.setattr(npz, "SLICE_BYTES", 3 * 64 * 64 + 1)
    assert [len(part) for part in npz.stream(path, "train_images", 256)] == [3] * 6 + [2]
    monkeypatch.setattr(npz, "SLICE_BYTES", 10)
    assert {len(part) for part in npz.stream(path, "train_images", 256)} == {1}  # a row at least


@pytest.mark.parametrize("columns", [0, 10_001, 3_000_000])
def test_labels_that_cannot_be_meant_are_not_read(tmp_path, monkeypatch, columns):
    path = medmnist(tmp_path / "set.npz", val_labels=np.zeros((6, columns), np.uint8))
    monkeypatch.setattr(npz, "load", lambda *_: pytest.fail("labels were read"))
    says = rf"set\.npz: val_labels has shape \(6, {columns}\); from 1 to 10,000 columns"
    with pytest.raises(UserError, match=says):
        opened(tmp_path, "medmnist", path)


def test_more_labels_than_can_be_held_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(medmnist_builder, "MAX_LABELS", 99)
    monkeypatch.setattr(npz, "load", lambda *_: pytest.fail("labels were read"))
    with pytest.raises(UserError, match=r"train_labels has shape \(20, 5\); .* and 99 labels at most"):
        opened(tmp_path, "medmnist", medmnist(tmp_path / "set.npz", columns=5))


def test_a_label_that_would_make_too_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(medmnist_builder, "MAX_CLASSES", 19)
    labels = np.arange(20)[:, None]
    with pytest.raises(UserError, match=r"holds labels up to 19; 19 classes are the most"):
        opened(tmp_path, "medmnist", medmnist(tmp_path / "set.npz", train_labels=labels))


def test_a_header_that_promises_a_terabyte_is_not_believed(tmp_path):
    path = medmnist(tmp_path / "set.npz")
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1024, 1024), }"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["train_images.npy"] = (
        b"\x93NUMPY\1\0" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n" + bytes(9)
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="but holds 9 bytes"):
        opened(tmp_path, "medmnist", path)
