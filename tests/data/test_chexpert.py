import numpy as np
import pytest

from data import UserError
from data.builders.chexpert import OBSERVATIONS
from tests.data.layouts import chexpert, chexpert_row, everything, opened, picture, save_table, write

SMALL = "CheXpert-v1.0-small"


@pytest.mark.parametrize("prefix", [SMALL, "CheXpert-v1.0"])
@pytest.mark.parametrize("inside", [True, False])
def test_both_releases_from_the_folder_or_the_one_above(tmp_path, prefix, inside):
    root = chexpert(tmp_path / "source", prefix)
    dataset = opened(tmp_path, "chexpert", root / prefix if inside else root)
    assert dataset.info.classes == OBSERVATIONS and not dataset.info.exclusive
    assert sum(dataset.info.sizes.values()) == 50 and sum(dataset.info.patients.values()) == 25
    key = b"train/patient00001/study1/view1_frontal.jpg"
    assert abs(everything(dataset)[key].mean() - picture(2).mean()) < 10


def test_tables_beside_the_images_folder(tmp_path):
    """The layout that tfds asks for: the tables lie beside the folder that column Path begins with."""
    root = chexpert(tmp_path / "source")
    for name in ("train.csv", "valid.csv"):
        (root / SMALL / name).rename(root / name)
    assert sum(opened(tmp_path, "chexpert", root).info.sizes.values()) == 50


def test_a_renamed_folder(tmp_path):
    (chexpert(tmp_path / "source") / SMALL).rename(tmp_path / "mine")
    assert sum(opened(tmp_path, "chexpert", tmp_path / "mine").info.sizes.values()) == 50


def test_the_full_release_as_its_archives_unpack(tmp_path):
    """Batch 1 has the tables and valid/, batches 2 to 4 have the patients of train/ without that folder."""
    home = chexpert(tmp_path / "made", "CheXpert-v1.0") / "CheXpert-v1.0"
    root, first = tmp_path / "source", tmp_path / "source" / "CheXpert-v1.0 batch 1 (validate & csv)"
    for batch in (2, 3, 4):
        (root / f"CheXpert-v1.0 batch {batch} (train {batch - 1})").mkdir(parents=True)
    first.mkdir()
    for i, patient in enumerate(sorted((home / "train").iterdir())):
        patient.rename(root / f"CheXpert-v1.0 batch {i % 3 + 2} (train {i % 3 + 1})" / patient.name)
    for name in ("valid", "train.csv", "valid.csv"):
        (home / name).rename(first / name)
    dataset = opened(tmp_path, "chexpert", root)
    assert sum(dataset.info.sizes.values()) == 50 and dataset.info.sizes["test"] == 10
    assert abs(everything(dataset)[b"train/patient00001/study1/view1_frontal.jpg"].mean() - picture(2).mean()) < 10


def test_no_image_beside_data_dir_is_read(tmp_path):
    """A row may name another folder of the same parent, which nobody asked to be read."""
    root = chexpert(tmp_path / "source")
    secret = "private/patient00050/study1/view1_frontal.jpg"
    write(root / secret, picture(0))
    rows = [chexpert_row(f"{SMALL}/train/patient00001/study1/view1_frontal.jpg"), chexpert_row(secret)]
    save_table(root / SMALL / "train.csv", rows)
    with pytest.raises(UserError, match="private.*is not in"):
        opened(tmp_path, "chexpert", root / SMALL)


def test_official_validation_is_the_test_split(tmp_path):
    root = chexpert(tmp_path / "source")
    dataset = opened(tmp_path, "chexpert", root)
    assert all(key.startswith(b"valid/") for key in dataset.arrays("test")["key"])
    assert dataset.info.sizes["test"] == 10
    groups = [{bytes(k).split(b"/")[1] for k in dataset.arrays(s)["key"]} for s in ("train", "val", "test")]
    assert groups[1] and not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    own = opened(tmp_path, "chexpert", root, official_split=False)
    assert any(key.startswith(b"train/") for key in own.arrays("test")["key"])
    (root / SMALL / "valid.csv").unlink()
    assert opened(tmp_path, "chexpert", root).info.sizes["test"] > 0  # then out of train.csv, by patient


@pytest.mark.parametrize(("policy", "value"), [("zeros", 0), ("ones", 1), ("half", 0.5), ("ignore", -1)])
def test_uncertain_policy(tmp_path, policy, value):
    dataset = opened(tmp_path, "chexpert", chexpert(tmp_path / "s"), uncertain=policy, classes=("Pneumonia",))
    labels = everything(dataset, "label")
    for patient in range(25):
        part = "valid" if patient % 5 == 0 else "train"
        label = labels[f"{part}/patient{patient:05}/study1/view1_frontal.jpg".encode()]
        assert label == [(1, 0, value, 0)[patient % 4]]  # not mentioned is 0


def test_views_classes_and_attributes(tmp_path):
    root = chexpert(tmp_path / "source")
    frontal = opened(tmp_path, "chexpert", root, view="frontal", classes=("Pneumothorax", "edema"))
    assert frontal.info.classes == ("Pneumothorax", "Edema")
    assert sum(frontal.info.sizes.values()) == 25
    assert all(b"frontal" in key for key in everything(frontal))
    np.testing.assert_array_equal(np.unique(frontal.arrays("train")["label"], axis=0), [[0, 1]])
    lateral = opened(
        tmp_path, "chexpert", root, view="lateral", classes=("Edema",), attributes=("view", "age")
    )
    label = lateral.arrays("train")["label"]
    np.testing.assert_allclose(label, np.tile(np.float32([1, -1, 0.68]), (len(label), 1)))  # no AP/PA there
    assert lateral.info.recorded == ("view", "lateral", "sex", "age")


def broken(tmp_path, rows):
    root = chexpert(tmp_path / "source")
    save_table(root / SMALL / "train.csv", rows)
    return root


def test_bad_rows_are_named(tmp_path):
    good = chexpert_row(f"{SMALL}/train/patient00001/study1/view1_frontal.jpg")
    cases = [
        (good | {"Edema": "yes"}, "line 3: Edema is 'yes', not 1.0"),
        (good | {"Path": f"{SMALL}/train/patient00099/study1/view1_frontal.jpg"}, "patient00099.*is not in"),
        (good | {"Path": f"{SMALL}/../../../etc/passwd"}, "is not inside"),
        (good | {"Path": "/etc/passwd"}, "is not inside"),
    ]
    for i, (row, says) in enumerate(cases):
        with pytest.raises(UserError, match=says):
            opened(tmp_path / str(i), "chexpert", broken(tmp_path / str(i), [good, row]))
    write(tmp_path / "0" / "source" / SMALL / "train" / "x.jpg", picture(0))
    with pytest.raises(UserError, match="names no patient"):
        opened(tmp_path / "0", "chexpert", broken(tmp_path / "0", [good | {"Path": f"{SMALL}/train/x.jpg"}]))
    with pytest.raises(UserError, match="no column 'Fracture'; it has 'Path', 'Sex'"):
        opened(tmp_path, "chexpert", broken(tmp_path, [{k: v for k, v in good.items() if k != "Fracture"}]))
