"""BraTS: both ways of naming, channels, regions of the tumour, labels, patients."""

import numpy as np
import pytest

from data.builders.brats import REGIONS
from tests.data.layouts import everything, opened, prepared
from tests.data.niftis import NEWER, PARTS, SHAPE, brats, brats_file, head, regions, save
from tests.data.test_bad_input import refused

ALL = {"slices": (0, 1), "slice_step": 1, "brain_fraction": 0.0, "image_size": 28}


@pytest.mark.parametrize(("newer", "ending"), [(False, ".nii.gz"), (True, ".nii.gz"), (False, ".nii")])
def test_modalities_become_channels_in_the_order_asked_for(tmp_path, newer, ending):
    source = brats(tmp_path / "b", newer=newer, ending=ending)
    assert sorted(p.name[len(p.parent.name) + 1 :] for p in source.rglob("*0*/*")) == sorted(
        8 * [f"{NEWER[part] if newer else part}{ending}" for part in (*PARTS, "seg")]
    )
    options = ALL | {"percentiles": (0, 100), "slices": (0.5, 0.6)}
    some = opened(tmp_path, "brats", source, modalities=("t2", "flair", "T1CE"), channels=3, **options)
    image = everything(some)[b"BraTS-GLI-00002-000/010" if newer else b"BraTS20_Training_003/010"]
    for channel, part in enumerate(("t2", "flair", "t1ce")):
        volume = head(20 + PARTS.index(part)).astype(np.int16)
        inside = volume[volume > 0]
        plane = ((volume[::-1, ::-1, 10].T - inside.min()) / np.ptp(inside)).clip(0, 1)
        np.testing.assert_allclose(image[:, 2:26, channel] / 255, plane, atol=0.6 / 255)
    plain = opened(tmp_path, "brats", source, **options)
    alone = opened(tmp_path, "brats", source, modalities=("flair",), **options)
    np.testing.assert_array_equal(plain.arrays("train")["image"], alone.arrays("train")["image"])


@pytest.mark.parametrize("newer", [False, True])
def test_regions_of_the_tumour(tmp_path, newer):
    dataset = opened(tmp_path, "brats", brats(tmp_path / "b", newer=newer), **ALL)
    assert dataset.info.mask_channels == REGIONS == ("tumour", "core", "enhancing")
    assert dataset.info.classes == ("tumour",) and not dataset.info.exclusive
    masks, labels = everything(dataset, "mask"), everything(dataset, "label")
    seg = regions(3 if newer else 4)
    planes = (seg > 0, (seg == 1) | (seg > 2), seg > 2)
    stem = "BraTS-GLI-0000{}-000" if newer else "BraTS20_Training_00{}"
    names = [stem.format(number) for number in ((4, 3) if newer else (5, 4))]
    for z in range(2, 18):
        ill, healthy = (f"{name}/{z:03}".encode() for name in names)
        expected = np.stack([plane[::-1, ::-1, z].T for plane in planes], axis=-1)
        np.testing.assert_array_equal(masks[ill][:, 2:26], expected)
        assert not masks[healthy].any() and labels[healthy] == 0
        assert labels[ill] == (8 <= z < 14)
    assert masks[f"{names[0]}/010".encode()][13, 18].tolist() == [1, 1, 1]  # the patient's left: right of the middle


def test_a_tumour_is_labelled_from_50_square_millimetres(tmp_path):
    source = brats(tmp_path / "b")
    seg = np.zeros(SHAPE)
    seg[8:15, 10:17, 9], seg[8:13, 8:18, 10] = 2, 2  # 49 and 50 voxels
    for name, spacing in (("BraTS20_Training_003", (1, 1, 1)), ("BraTS20_Training_004", (1.25, 0.9, 1))):
        for part, voxels in (("flair", head(0)), ("seg", seg)):
            save(brats_file(source, name, part), voxels, spacing=spacing)
    labels = everything(opened(tmp_path, "brats", source, **ALL), "label")
    assert [labels[f"BraTS20_Training_003/{z:03}".encode()][0] for z in (9, 10)] == [0, 1]
    assert [labels[f"BraTS20_Training_004/{z:03}".encode()][0] for z in (9, 10)] == [1, 1]  # 1.125 mm2 each


def test_volumes_without_segmentation_have_neither_labels_nor_masks(tmp_path):
    info = opened(tmp_path, "brats", brats(tmp_path / "b", seg=False)).info
    assert info.classes == () and info.mask_channels == () and info.raters == 0


def test_the_segmentation_that_was_published_under_another_name(tmp_path):
    plain = brats(tmp_path / "plain", ending=".nii")
    slipped = brats(tmp_path / "slipped", ending=".nii")
    brats_file(slipped, "BraTS20_Training_003", "seg", ".nii").rename(
        slipped / "BraTS20_Training_003" / "W39_1998.09.19_Segm.nii"
    )
    one, other = (everything(opened(tmp_path, "brats", source, **ALL), "mask") for source in (plain, slipped))
    assert one.keys() == other.keys() and all((one[key] == other[key]).all() for key in one)
    save(slipped / "BraTS20_Training_003" / "W39_1998.09.19_Segm.nii", np.full(SHAPE, 3))
    refused(tmp_path / "again", "brats", slipped, "W39_1998.09.19_Segm.nii holds the label 3", **ALL)
    for part in PARTS:
        brats_file(slipped, "BraTS20_Training_003", part, ".nii").unlink()
    refused(tmp_path / "alone", "brats", slipped, "BraTS20_Training_003_flair.nii", **ALL)


def test_older_years_lie_deeper(tmp_path):
    for i, grade in enumerate(("HGG", "LGG") * 4):
        name = f"Brats18_TCIA{i:02}_{130 + i}_1"
        save(brats_file(tmp_path / "b" / grade, name, "flair"), head(i))
    info = opened(tmp_path, "brats", tmp_path / "b", split=(1, 0, 0)).info
    assert info.patients["train"] == 8


@pytest.mark.parametrize("name", ["BraTS-GLI-{:05}-{:03}", "Brats18_TCIA01_{}_{}", "BraTS19_CBICA_A{}_{}"])
def test_visits_of_one_patient_stay_in_one_split(tmp_path, name):
    for patient in range(6):
        for visit in (0, 1):
            save(brats_file(tmp_path / "b", name.format(patient, visit), "flair"), head(2 * patient + visit))
    dataset = opened(tmp_path, "brats", tmp_path / "b", split=(0.5, 0.5, 0))
    assert sum(dataset.info.patients.values()) == 6
    number_of = everything(dataset, "patient")
    assert len(number_of) == 24 and len({int(number) for number in number_of.values()}) == 6
    middle = [name.format(2, visit).encode() + b"/007" for visit in (0, 1)]
    assert number_of[middle[0]] == number_of[middle[1]]


def test_numbers_of_subjects_are_no_visits(tmp_path):
    assert sum(opened(tmp_path, "brats", brats(tmp_path / "b")).info.patients.values()) == 8


@pytest.mark.parametrize(("newer", "label", "known"), [(False, 3, 4), (True, 4, 3)])
def test_labels_of_another_year_are_refused(tmp_path, newer, label, known):
    source = brats(tmp_path / "b", newer=newer)
    seg = brats_file(source, "BraTS-GLI-00002-000" if newer else "BraTS20_Training_003", "seg")
    save(seg, regions(label))
    says = f"{seg} holds the label {label}, but BraTS files of this name have 0, 1, 2 and {known}"
    refused(tmp_path, "brats", source, says)


@pytest.mark.parametrize(("newer", "name"), [(False, "BraTS20_Training_003"), (True, "BraTS-GLI-00002-000")])
def test_a_missing_part_is_named_as_its_neighbours_are(tmp_path, newer, name):
    source = brats(tmp_path / "b", newer=newer)
    missing = brats_file(source, name, "t1ce")
    missing.unlink()
    refused(tmp_path, "brats", source, f"{name} has no t1ce volume, {missing} is missing: ", modalities=("t1ce",))
    opened(tmp_path, "brats", source)  # a part that is not asked for need not be there


def test_a_missing_segmentation_is_named(tmp_path):
    source = brats(tmp_path / "b")
    brats_file(source, "BraTS20_Training_003", "seg").unlink()
    refused(tmp_path, "brats", source, "BraTS20_Training_003 has no seg volume, ")
    assert opened(tmp_path, "brats", source, on_error="skip").info.skipped == 1


def test_a_subject_found_twice_is_refused(tmp_path):
    source = brats(tmp_path / "b")
    save(source / "copy" / "BraTS20_Training_003_flair.nii.gz", head(0))
    refused(tmp_path, "brats", source, "are the same volume of one subject: leave one of them.")
    assert prepared(tmp_path) == []


def test_a_folder_without_volumes(tmp_path):
    (tmp_path / "b").mkdir()
    refused(tmp_path, "brats", tmp_path / "b", "holds no files named as SUBJECT_flair.nii.gz")
    refused(tmp_path, "brats", "", "brats needs data.dir")
