"""CAMELYON17 in WILDS's layout: hospitals, patients, and rows that cannot be."""

import numpy as np
import pytest

from data import UserError
from tests.data.layouts import everything, opened, picture, save_table, write

PATIENTS = 20  # four of each hospital


def row(patient, patch):
    return {
        "": 7, "patient": f"{patient:03}", "node": patch % 2, "x_coord": 3328 + patch, "y_coord": 21792,
        "tumor": patch % 2, "slide": patient, "center": patient % 5, "split": patch % 2,
    }  # fmt: skip


def path(root, row):
    slide = f"patient_{row['patient']}_node_{row['node']}"
    return root / "patches" / slide / f"patch_{slide}_x_{row['x_coord']}_y_{row['y_coord']}.png"


def camelyon17(root, replaced=()):
    """root/metadata.csv and root/patches/patient_PPP_node_N/patch_....png, three patches a patient."""
    rows = [row(patient, patch) for patient in range(PATIENTS) for patch in range(3)]
    for i, one in enumerate(rows):
        write(path(root, one), picture(i, 96, 96, colour=True))
    save_table(root / "metadata.csv", [one | dict(replaced) if i == 4 else one for i, one in enumerate(rows)])
    return root


def read(tmp_path, root, **options):
    return opened(tmp_path, "camelyon17", root, **({"image_size": 96, "channels": 3} | options))


def test_hospitals_are_held_out(tmp_path):
    dataset = read(tmp_path, camelyon17(tmp_path / "source", {"patient": "1"}.items()))  # and not 001
    assert dataset.info.sizes == {"train": 36, "val": 12, "test": 12}
    assert dataset.info.patients == {"train": 12, "val": 4, "test": 4} and dataset.info.classes == ("normal", "tumour")
    centers = {s: set(dataset.arrays(s)["attributes"][:, 0].tolist()) for s in ("train", "val", "test")}
    assert dataset.info.recorded == ("center",)
    assert centers == {"train": {0.0, 0.75, 1.0}, "val": {0.25}, "test": {0.5}}
    key = b"patient_003_node_1/patch_patient_003_node_1_x_3329_y_21792.png"
    np.testing.assert_array_equal(everything(dataset)[key], picture(3 * 3 + 1, 96, 96, colour=True))
    np.testing.assert_array_equal(everything(dataset, "label")[key], [0, 1])


def test_a_split_of_ones_own_is_by_patient(tmp_path):
    dataset = read(tmp_path, camelyon17(tmp_path / "source"), official_split=False, split=(0.4, 0.3, 0.3))
    patients = [set(dataset.arrays(split)["patient"].tolist()) for split in ("train", "val", "test")]
    assert sum(map(len, patients)) == len(set.union(*patients)) == PATIENTS
    assert sum(dataset.info.sizes.values()) == 60 and min(dataset.info.sizes.values()) > 0


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        ({"tumor": "2"}, "line 6: tumor is '2'"),
        ({"center": "5"}, "center '5'; 0 or 1 and 0 to 4 are needed"),
        ({"x_coord": "9"}, "names patient_001_node_1/patch_patient_001_node_1_x_9_y_21792.png, which is not in"),
        ({"patient": "../../../etc"}, "is not inside"),
    ],
)
def test_bad_rows_are_named(tmp_path, replaced, says):
    root = camelyon17(tmp_path / "source", replaced.items())
    with pytest.raises(UserError, match="metadata.csv") as raised:
        read(tmp_path, root)
    assert says in str(raised.value)


def test_patches_that_are_missing_may_be_skipped(tmp_path):
    root = camelyon17(tmp_path / "source")
    path(root, row(3, 0)).unlink()
    dataset = read(tmp_path, root, on_error="skip")
    assert sum(dataset.info.sizes.values()) == 59 and dataset.info.skipped == 1
    with pytest.raises(UserError, match="has no metadata.csv: set it to the folder camelyon17_v1.0"):
        read(tmp_path, root / "patches")
