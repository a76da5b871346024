import numpy as np
import pytest

from data import UserError, splits
from data.builders.nih import FINDINGS
from tests.data import layouts
from tests.data.layouts import everything, nih, nih_rows, opened


def test_findings_become_a_multi_hot_label(tmp_path):
    dataset = opened(tmp_path, "nih", nih(tmp_path / "nih"))
    assert dataset.info.classes == FINDINGS and not dataset.info.exclusive
    labels, images = everything(dataset, "label"), everything(dataset)
    for i, row in enumerate(nih_rows()):
        key = row["Image Index"].encode()
        named = {name for name, value in zip(FINDINGS, labels[key], strict=True) if value}
        assert named == set(row["Finding Labels"].split("|")) - {"No Finding"}
        assert abs(images[key].mean() - layouts.picture(i).mean()) < 8  # this image and no other
    assert len(labels) == 40


def test_classes_are_restricted_and_ordered(tmp_path):
    source = nih(tmp_path / "nih")
    dataset = opened(tmp_path, "nih", source, classes=("pneumonia", "Effusion"))
    assert dataset.info.classes == ("Pneumonia", "Effusion")
    assert sum(dataset.info.sizes.values()) == 40  # an image without them is all zeros, not left out
    full, some = everything(opened(tmp_path, "nih", source), "label"), everything(dataset, "label")
    for key in full:
        np.testing.assert_array_equal(some[key], full[key][[6, 2]])
    with pytest.raises(UserError, match="'Cat', which nih does not have; it has Atelectasis"):
        opened(tmp_path, "nih", source, classes=("Cat",))


def test_patients_are_never_split_and_never_move(tmp_path):
    dataset = opened(tmp_path, "nih", nih(tmp_path / "nih"))
    split_of, patients = {}, {}
    for split, n in dataset.info.sizes.items():
        arrays = dataset.arrays(split)
        for key, patient in zip(arrays["key"], arrays["patient"], strict=True):
            split_of.setdefault(bytes(key)[:8], set()).add(split)
            patients.setdefault(bytes(key)[:8], set()).add(int(patient))
        assert n == 2 * dataset.info.patients[split]
    assert all(len(s) == 1 for s in split_of.values())
    assert all(len(p) == 1 for p in patients.values()) and len(set.union(*patients.values())) == 20
    more = opened(tmp_path, "nih", nih(tmp_path / "more", nih_rows(patients=40)))
    for split in dataset.info.sizes:
        assert set(dataset.arrays(split)["key"]) <= set(more.arrays(split)["key"])


def test_the_hash_that_splits_is_pinned():
    """A change here would move patients between the splits of every published result."""
    assert splits.unit("13") == pytest.approx(
        0x3FDBA35F04DC8C46 / 2**64
    )  # of SHA-256("13") = 3fdba35f04dc8c46...
    parts = [splits.assign(str(patient), (0.8, 0.1, 0.1)) for patient in range(12)]
    assert parts == ["train"] * 2 + ["val"] + ["train"] * 2 + ["test"] * 2 + ["train"] * 5


def test_split_fractions(tmp_path):
    parts = [splits.assign(str(i), (0.6, 0.1, 0.3)) for i in range(5000)]
    shares = [parts.count(name) / 5000 for name in splits.NAMES]
    np.testing.assert_allclose(shares, (0.6, 0.1, 0.3), atol=0.02)


def test_published_lists_are_used(tmp_path):
    source, names = nih(tmp_path / "nih"), [row["Image Index"] for row in nih_rows()]
    (source / "train_val_list.txt").write_text("\n".join(names[:30]))
    (source / "test_list.txt").write_text("\n".join(names[30:]) + "\n")
    dataset = opened(tmp_path, "nih", source)
    assert {k.decode() for k in dataset.arrays("test")["key"]} == set(names[30:])
    groups = [{bytes(k)[:8] for k in dataset.arrays(split)["key"]} for split in ("train", "val")]
    assert not groups[0] & groups[1] and dataset.info.sizes["val"] > 0
    own = opened(tmp_path, "nih", source, official_split=False)
    assert {k.decode() for k in own.arrays("test")["key"]} != set(names[30:])
    (source / "test_list.txt").write_text("\n".join(names[31:]))
    with pytest.raises(UserError, match=f"{names[30]} must be in one of"):
        opened(tmp_path, "nih", source)


def test_the_newer_table_and_numbered_folders(tmp_path):
    folders = [f"images_{i:03}/images" for i in range(1, 13)]
    rows = [{("Patient Sex" if k == "Patient Gender" else k): v for k, v in r.items()} for r in nih_rows()]
    source = nih(tmp_path / "nih", rows, "Data_Entry_2017_v2020.csv", folders)
    dataset = opened(tmp_path, "nih", source, attributes=("sex",))
    assert sum(dataset.info.sizes.values()) == 40 and dataset.info.recorded == ("view", "sex", "age")
    plain = opened(tmp_path, "nih", nih(tmp_path / "plain"), attributes=("sex",))
    for name in ("image", "label"):
        ours, theirs = everything(dataset, name), everything(plain, name)
        assert all((ours[key] == theirs[key]).all() for key in theirs)


def test_attributes_are_appended_each_with_its_own_null(tmp_path):
    rows = nih_rows()
    rows[2] |= {"View Position": "", "Patient Gender": "?"}
    wanted = ("age", "view", "sex")
    dataset = opened(tmp_path, "nih", nih(tmp_path / "nih", rows), classes=("Pneumonia",), attributes=wanted)
    assert dataset.info.labels == ("Pneumonia", *wanted) and dataset.info.attributes == wanted
    labels = everything(dataset, "label")
    recorded = everything(dataset, "attributes")
    for row in rows:
        key = row["Image Index"].encode()
        age = -1 if row["Patient ID"] == 0 else (20 + row["Patient ID"]) / 100  # 414 years are no age
        view = {"PA": 0, "AP": 1, "": -1}[row["View Position"]]
        sex = {"F": 0, "M": 1, "?": -1}[row["Patient Gender"]]
        np.testing.assert_allclose(labels[key][1:], (age, view, sex), atol=1e-6)
        np.testing.assert_allclose(recorded[key], (view, sex, age), atol=1e-6)
    batch = dataset.batches("train", 4, seed=0)[0]
    assert batch["label"].shape == (4, 4) and batch["attributes"].shape == (4, 3)


def test_view_filter(tmp_path):
    source = nih(tmp_path / "nih")
    dataset = opened(tmp_path, "nih", source, view="pa")
    wanted = {r["Image Index"].encode() for r in nih_rows() if r["View Position"] == "PA"}
    assert set(everything(dataset)) == wanted
    with pytest.raises(UserError, match="'oblique' is not known: use PA, AP"):
        opened(tmp_path, "nih", source, view="oblique")
    with pytest.raises(UserError, match="'lateral', which nih does not record"):
        opened(tmp_path, "nih", source, view="lateral")


def test_a_table_without_attributes_says_so(tmp_path):
    kept = ("Image Index", "Finding Labels", "Patient ID")
    source = nih(tmp_path / "nih", [{k: r[k] for k in kept} for r in nih_rows()])
    assert opened(tmp_path, "nih", source).info.recorded == ()
    with pytest.raises(UserError, match="'age', which nih does not record; it records no attributes"):
        opened(tmp_path, "nih", source, attributes=("age",))
    with pytest.raises(UserError, match=r"data\.view='PA' needs the attribute 'view'"):
        opened(tmp_path, "nih", source, view="PA")


def test_a_link_to_nowhere_is_an_image_that_is_not_there(tmp_path):
    root = nih(tmp_path / "nih")
    gone = root / "images" / nih_rows()[3]["Image Index"]
    gone.unlink()
    gone.symlink_to(tmp_path / "gone.png")
    with pytest.raises(UserError, match=rf"names {gone.name}, which is not in .*: add the image"):
        opened(tmp_path, "nih", root)
    assert opened(tmp_path, "nih", root, on_error="skip").info.skipped == 1
