"""Datasets that are published as a folder per class, in their official layouts."""

import numpy as np
import pytest
from PIL import Image

from tests.data.layouts import everything, opened, picture, write
from tests.data.test_duplicates import scene, splits_of

TUMOURS = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")


@pytest.fixture
def brain(tmp_path):
    """24 different slices in Training and 8 in Testing, four of which are in Training too."""
    for i in range(32):
        part, seed = ("Training", i) if i < 24 else ("Testing", i - 4 if i < 28 else i)
        write(tmp_path / "brain" / part / TUMOURS[i % 4] / f"image({i}).png", scene(seed))
    return tmp_path / "brain"


def test_brain_mri_keeps_copies_together_across_its_own_split(tmp_path, brain):
    dataset = opened(tmp_path, "brain_mri", brain, official_split=False)
    assert dataset.info.classes == TUMOURS and dataset.info.exclusive and "Bhuvaji" in dataset.info.citation
    for key, label in everything(dataset, "label").items():
        assert label.tolist() == [float(name == key.decode().split("/")[1]) for name in TUMOURS]
    where = {key.split("(")[1]: split for key, split in splits_of(dataset).items()}
    assert len(where) == 32 and all(where[f"{i}).png"] == where[f"{i - 4}).png"] for i in range(24, 28))


def test_brain_mri_in_its_own_split(tmp_path, brain):
    where = splits_of(opened(tmp_path, "brain_mri", brain))
    assert {key for key, split in where.items() if split == "test"} == {key for key in where if "Testing" in key}


def test_only_whole_smears_are_read(tmp_path):
    for kind in ("Original", "Segmented"):
        for name in ("Benign", "Early", "Pre", "Pro"):
            for i in range(5):
                path = tmp_path / "all" / kind / name / f"WBC-{name}-{i:03}.jpg"
                write(path, picture(len(kind) * 1000 + len(name) * 100 + ord(name[-1]) + 200 * i, colour=True))
    dataset = opened(tmp_path, "all_smears", tmp_path / "all", channels=3, split=(0.5, 0.25, 0.25), image_size=20)
    assert sum(dataset.info.sizes.values()) == 20 and dataset.info.classes == ("Benign", "Early", "Pre", "Pro")
    read = everything(dataset)[b"Early/WBC-Early-003.jpg"]
    np.testing.assert_array_equal(read, Image.open(tmp_path / "all" / "Original" / "Early" / "WBC-Early-003.jpg"))


def test_ct_slices(tmp_path):
    for name in ("COVID", "non-COVID"):
        for i in range(12):
            write(tmp_path / "ct" / name / f"{name} ({i}).png", picture(len(name) * 100 + i, 20 + i, 30))
    dataset = opened(tmp_path, "sars_cov_2_ct", tmp_path / "ct")
    assert dataset.info.classes == ("COVID", "non-COVID") and sum(dataset.info.sizes.values()) == 24
