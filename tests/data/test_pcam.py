"""PatchCamelyon's HDF5 files, small, faithful and spoilt."""

import gzip
import os

import h5py
import numpy as np
import pytest

from data import UserError, splits
from data.builders import hdf5, pcam
from tests.data.layouts import everything, opened, picture, save_table

SIZES = {"train": 24, "valid": 6, "test": 8}


def patches(part):
    first = 100 * list(SIZES).index(part)
    return np.stack([picture(first + i, 96, 96, colour=True) for i in range(SIZES[part])])


def labels(part):
    return (np.arange(SIZES[part], dtype=np.uint8) // 2 % 2).reshape(-1, 1, 1, 1)


def path(root, part, end):
    return root / f"camelyonpatch_level_2_split_{part}_{end}"


def written(root, meta=False):
    """The six files, and the three of the slides: four patches a slide."""
    root.mkdir()
    for part, n in SIZES.items():
        for key, values in (("x", patches(part)), ("y", labels(part))):
            with h5py.File(path(root, part, f"{key}.h5"), "w") as file:
                file[key] = values
        if meta:
            rows = [{"": i, "coord_y": 7, "coord_x": 9, "wsi": f"{part}_tumor_{i // 4:03}"} for i in range(n)]
            save_table(path(root, part, "meta.csv"), rows)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return written(tmp_path_factory.mktemp("pcam") / "plain")


def of_key(key):
    part, i = key.decode().split("/")
    return part, int(i)


@pytest.mark.parametrize("storage", [{}, {"chunks": (5, 96, 96, 3), "compression": "gzip"}])
def test_patches_labels_and_published_split(tmp_path, monkeypatch, storage):
    monkeypatch.setattr(pcam, "_ROWS", 7)  # several reads a part
    source = written(tmp_path / "pcam")
    replaced(source, "train", "x", patches("train"), **storage)
    dataset = opened(tmp_path, "pcam", source, image_size=96, channels=3)
    info = dataset.info
    assert info.sizes == {"train": 24, "val": 6, "test": 8} and info.patients is None
    assert info.classes == ("normal", "tumour") and info.exclusive
    assert info.licence.startswith("CC0") and "Veeling" in info.citation and "Bejnordi" in info.citation
    for split, part in (("train", "train"), ("val", "valid"), ("test", "test")):
        arrays = dataset.arrays(split)
        order = [of_key(key)[1] for key in arrays["key"]]
        assert {of_key(key)[0] for key in arrays["key"]} == {part} and sorted(order) == list(range(SIZES[part]))
        np.testing.assert_array_equal(arrays["image"], patches(part)[order])
        np.testing.assert_array_equal(arrays["label"].argmax(1), labels(part)[order, 0, 0, 0])
        assert (arrays["label"].sum(1) == 1).all()


def test_gray_is_luminance(tmp_path, root):
    dataset = opened(tmp_path, "pcam", root, image_size=96, channels=1)
    for key, image in everything(dataset).items():
        part, i = of_key(key)
        expected = patches(part)[i] @ np.array([0.299, 0.587, 0.114])
        assert np.abs(image[..., 0] - expected).max() <= 1


def test_slides_are_patients_and_are_never_split(tmp_path):
    source = written(tmp_path / "pcam", meta=True)
    assert opened(tmp_path, "pcam", source).info.patients == {"train": 6, "val": 2, "test": 2}
    dataset = opened(tmp_path, "pcam", source, official_split=False)
    assert sum(dataset.info.sizes.values()) == 38 and sum(dataset.info.patients.values()) == 10
    for split in splits.NAMES:
        for key in dataset.arrays(split)["key"]:
            part, i = of_key(key)
            assert splits.assign(f"{part}_tumor_{i // 4:03}", (0.6, 0.2, 0.2)) == split


def test_own_split_without_slides_is_by_patch(tmp_path, root):
    dataset = opened(tmp_path, "pcam", root, official_split=False)
    assert dataset.info.patients is None
    for split in splits.NAMES:
        for key in dataset.arrays(split)["key"]:
            assert splits.assign(key.decode(), (0.6, 0.2, 0.2)) == split


def test_a_part_is_read_piece_by_piece(root):
    """Never more than the rows asked for, so that 7 GB need no 7 GB."""
    pieces = list(hdf5.stream(path(root, "train", "x.h5"), "x", 10))
    assert [len(piece) for piece in pieces] == [10, 10, 4]
    np.testing.assert_array_equal(np.concatenate(pieces), patches("train"))


def refused(tmp_path, source, says):
    with pytest.raises(UserError) as raised:
        opened(tmp_path, "pcam", source)
    message = str(raised.value)
    assert says in message, message
    assert "\n" not in message and len(message) < 600 and message[-1] == "."
    assert not list((tmp_path / "cache").glob("*/*"))


def replaced(root, part, key, values=None, **storage):
    with h5py.File(path(root, part, f"{key}.h5"), "w") as file:
        file.create_dataset(key, data=values, **storage)


def missing(root):
    path(root, "valid", "y.h5").unlink()


def packed(root):
    plain = path(root, "test", "x.h5")
    path(root, "test", "x.h5.gz").write_bytes(gzip.compress(plain.read_bytes(), 1))
    plain.unlink()


def truncated(root):
    plain = path(root, "train", "x.h5")
    plain.write_bytes(plain.read_bytes()[:-5000])


def no_hdf5(root):
    path(root, "train", "y.h5").write_bytes(b"<html>404</html>")


def other_key(root):
    with h5py.File(path(root, "train", "x.h5"), "w") as file:
        file["images"] = patches("train")


def external_link(root):
    os.rename(path(root, "train", "x.h5"), root / "elsewhere.h5")
    with h5py.File(path(root, "train", "x.h5"), "w") as file:
        file["x"] = h5py.ExternalLink("elsewhere.h5", "x")


def external_storage(root):
    raw = root / "secret.bin"
    raw.write_bytes(patches("train").tobytes())
    with h5py.File(path(root, "train", "x.h5"), "w") as file:
        file.create_dataset("x", (24, 96, 96, 3), np.uint8, external=[(str(raw), 0, raw.stat().st_size)])


def virtual(root):
    os.rename(path(root, "train", "x.h5"), root / "elsewhere.h5")
    layout = h5py.VirtualLayout((24, 96, 96, 3), np.uint8)
    layout[:] = h5py.VirtualSource(root / "elsewhere.h5", "x", (24, 96, 96, 3))
    with h5py.File(path(root, "train", "x.h5"), "w") as file:
        file.create_virtual_dataset("x", layout)


def group(root):
    with h5py.File(path(root, "train", "x.h5"), "w") as file:
        file.create_group("x")


def promised(root):  # ten billion patches in a file of a few kilobytes
    replaced(root, "train", "x", shape=(10**10, 96, 96, 3), dtype=np.uint8, chunks=(16, 96, 96, 3))


def promised_in_one_piece(root):
    replaced(root, "train", "x", shape=(10**9, 96, 96, 3), dtype=np.uint8)


def huge_chunk(root):
    sizes = {"shape": (24, 96, 96, 3), "maxshape": (None, 96, 96, 3), "chunks": (20_000, 96, 96, 3)}
    replaced(root, "train", "x", dtype=np.uint8, **sizes)


def damaged_chunk(root):
    replaced(root, "valid", "x", patches("valid"), chunks=(6, 96, 96, 3), compression="gzip", fletcher32=True)
    plain = path(root, "valid", "x.h5")
    content = bytearray(plain.read_bytes())
    content[len(content) // 2] ^= 255
    plain.write_bytes(content)


def meta_of_one_part(root):
    save_table(path(root, "train", "meta.csv"), [{"wsi": f"a{i}"} for i in range(24)])


def short_meta(root):
    for part, n in SIZES.items():
        save_table(path(root, part, "meta.csv"), [{"wsi": f"a{i}"} for i in range(n - (part == "test"))])


WRONG = [
    (missing, "has no camelyonpatch_level_2_split_valid_y.h5: set it to the folder"),
    (packed, "test_x.h5.gz is packed, and cannot be read piece by piece: unpack it with `gunzip "),
    (truncated, "train_x.h5 is not an intact HDF5 file"),
    (no_hdf5, "train_y.h5 is not an intact HDF5 file"),
    (other_key, "train_x.h5 has no array 'x'; it has images"),
    (external_link, "train_x.h5: x is a link or a group"),
    (group, "train_x.h5: x is a link or a group"),
    (external_storage, "train_x.h5: x lies in other files"),
    (virtual, "train_x.h5: x lies in other files"),
    (promised, "says it has shape (10000000000, 96, 96, 3) but is not all there"),
    (promised_in_one_piece, "says it has shape (1000000000, 96, 96, 3) but is not all there"),
    (huge_chunk, "too large to unpack"),
    (damaged_chunk, "valid_x.h5 is not an intact HDF5 file"),
    (lambda root: replaced(root, "train", "x", patches("train")[..., 0]), "x is uint8 (24, 96, 96); uint8 [n, 96, 96"),
    (lambda root: replaced(root, "train", "x", np.float32(patches("train"))), "x is float32 (24, 96, 96, 3)"),
    (lambda root: replaced(root, "train", "x", np.full(24, b"text")), "x is |S4 (24,), no array of numbers"),
    (lambda root: replaced(root, "test", "y", labels("test")[:7]), "y is uint8 (7, 1, 1, 1); uint8 [8, 1, 1, 1]"),
    (lambda root: replaced(root, "test", "y", labels("test") + 1), "test_y.h5 holds labels up to 2"),
    (meta_of_one_part, "valid_meta.csv is missing, and other parts have theirs"),
    (short_meta, "test_meta.csv names 7 slides; one for each of the 8 patches"),
]


@pytest.mark.parametrize(("spoil", "says"), WRONG)
def test_files_that_are_not_as_published(tmp_path, spoil, says):
    source = written(tmp_path / "pcam")
    spoil(source)
    refused(tmp_path, source, says)


def test_a_patch_that_shows_nothing(tmp_path):
    source = written(tmp_path / "pcam")
    white = patches("train")
    white[3] = 255
    replaced(source, "train", "x", white)
    refused(tmp_path, source, "train/3 shows nothing: every pixel is 255")
    dataset = opened(tmp_path, "pcam", source, on_error="skip")
    assert dataset.info.skipped == 1 and dataset.info.sizes["train"] == 23
