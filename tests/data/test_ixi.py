"""IXI: its folders, sites, table of people, and what counts as head in volumes with air around it."""

import numpy as np
import pytest

from tests.data.layouts import everything, opened, save_table
from tests.data.niftis import head, ixi, save
from tests.data.test_bad_input import refused

ALL = {"slices": (0, 1), "slice_step": 1, "image_size": 31}


def test_one_folder_or_one_a_modality(tmp_path):
    apart = everything(opened(tmp_path, "ixi", ixi(tmp_path / "apart"), **ALL))
    together = everything(opened(tmp_path, "ixi", ixi(tmp_path / "together", folders=False), **ALL))
    assert apart.keys() == together.keys() and len(apart) > 50
    assert all((apart[key] == together[key]).all() for key in apart)
    other = everything(opened(tmp_path, "ixi", tmp_path / "apart", modalities=("t2",), **ALL))
    assert (other[b"IXI003/010"] != apart[b"IXI003/010"]).any()


def test_sagittal_volumes_are_shown_axial_with_square_pixels(tmp_path):
    dataset = opened(tmp_path, "ixi", ixi(tmp_path / "i"), **ALL)
    assert dataset.info.image_shape == (31, 31, 1)
    middle = everything(dataset)[b"IXI004/010"][..., 0].astype(int)
    inside = middle > 60
    width, height = np.ptp(np.flatnonzero(inside.any(0))) + 1, np.ptp(np.flatnonzero(inside.any(1))) + 1
    assert abs(width - 0.8 * 24 * 1.2 / 0.9375) <= 2 and abs(height - 0.9 * 28) <= 2
    assert middle[8:14, 18:24].mean() > middle[18:24, 18:24].mean() + 20 > middle[8:14, 8:14].mean() + 40


def test_air_is_no_head_though_it_is_not_zero(tmp_path):
    source = ixi(tmp_path / "i")
    share = (head(2) != 0).mean((0, 1))
    keys = everything(opened(tmp_path, "ixi", source, brain_fraction=0.4, **ALL))
    kept = sorted(int(key[-3:]) for key in keys if key.startswith(b"IXI004"))
    assert kept == [z for z in range(20) if share[z] >= 0.4]
    assert 0 < len(kept) < 15


def test_sites_and_patients(tmp_path):
    dataset = opened(tmp_path, "ixi", ixi(tmp_path / "i"))
    assert dataset.info.recorded == ("site",) and sum(dataset.info.patients.values()) == 9
    for key, values in everything(dataset, "attributes").items():
        assert values.tolist() == [(int(key[3:6]) - 2) % 3 / 2]  # Guys, HH, IOP in turn
    appended = opened(tmp_path, "ixi", tmp_path / "i", attributes=("site",))
    assert appended.info.labels == ("site",) and appended.info.classes == ()
    assert set(np.concatenate([appended.arrays(s)["label"] for s in ("train", "val", "test")]).ravel()) == {0, 0.5, 1}


def test_an_unknown_site_is_unknown(tmp_path):
    source = ixi(tmp_path / "i")
    save(source / "IXI-T1" / "IXI099-Mars-0001-T1.nii.gz", head(0))
    attributes = everything(opened(tmp_path, "ixi", source), "attributes")
    assert attributes[b"IXI099/007"].tolist() == [-1]


PEOPLE = [
    {"IXI_ID": "2", "SEX_ID (1=m, 2=f)": "2", "HEIGHT": "164", "AGE": "35.80014"},
    {"IXI_ID": "3.0", "SEX_ID (1=m, 2=f)": "1.0", "HEIGHT": "", "AGE": ""},
    {"IXI_ID": "4", "SEX_ID (1=m, 2=f)": "1", "HEIGHT": "", "AGE": "60.2"},
    {"IXI_ID": "4", "SEX_ID (1=m, 2=f)": "2", "HEIGHT": "", "AGE": "60.2"},  # twice, and not the same sex
    {"IXI_ID": "5", "SEX_ID (1=m, 2=f)": "", "HEIGHT": "", "AGE": "44"},
    {"IXI_ID": "5", "SEX_ID (1=m, 2=f)": "1", "HEIGHT": "", "AGE": ""},  # twice, each in part
    {"IXI_ID": "700", "SEX_ID (1=m, 2=f)": "1", "HEIGHT": "", "AGE": "50"},  # without volumes
]


def test_sex_and_age_come_from_the_table(tmp_path):
    source = ixi(tmp_path / "i")
    save_table(source / "IXI.csv", PEOPLE)
    dataset = opened(tmp_path, "ixi", source, attributes=("age", "sex"))
    assert dataset.info.recorded == ("site", "sex", "age") and dataset.info.labels == ("age", "sex")
    found, labels = everything(dataset, "attributes"), everything(dataset, "label")
    said = {2: (0, 0.3580014), 3: (1, -1), 4: (-1, 0.602), 5: (1, 0.44), 6: (-1, -1)}
    for number, (sex, age) in said.items():
        key = f"IXI{number:03}/007".encode()
        np.testing.assert_allclose(found[key][1:], (sex, age))
        np.testing.assert_allclose(labels[key], (age, sex))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"IXI_ID": "two", "SEX_ID": "1", "AGE": "3"}, "IXI.csv, line 2: IXI_ID 'two' is not a number"),
        ({"IXI_ID": "2", "AGE": "3"}, "IXI.csv has no column 'SEX_ID'"),
        ({"IXI_ID": "2", "SEX_ID": "1"}, "IXI.csv has no column 'AGE'"),
    ],
)
def test_a_table_that_is_none(tmp_path, row, says):
    source = ixi(tmp_path / "i")
    save_table(source / "IXI.csv", [row])
    refused(tmp_path, "ixi", source, says)


def test_what_cannot_be_read_as_ixi(tmp_path):
    source = ixi(tmp_path / "i", modalities=("T1",))
    refused(tmp_path, "ixi", source, "holds no files named as IXI002-Guys-0828-T2.nii.gz", modalities=("T2",))
    refused(tmp_path, "ixi", source, "not on one grid; name one modality.", modalities=("T1", "T2"), channels=2)
    refused(tmp_path, "ixi", source, "data.attributes names 'sex', which ixi does not record", attributes=("sex",))
    save(source / "IXI002-Guys-0828-T1.nii.gz", head(0))
    refused(tmp_path, "ixi", source, "are volumes of one subject: leave one of them.")
