"""What a table says of the images of a folder: labels, patient, split, sex, age and view."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data import UserError, duplicates, splits
from tests.data.layouts import everything, folder, opened, picture, prepared, save_table, write
from tests.data.test_bad_input import refused

PATIENTS, EACH = 20, 2  # of source(): image i of patient p is 2 p + i


def source(root, inner="scans", **columns):
    """root/inner/NN.png and a row for each; a column is a function of (patient, number)."""
    rows = []
    for number in range(PATIENTS * EACH):
        write(root / inner / f"{number:02}.png", picture(number))
        cells = {name: of(number // EACH, number) for name, of in columns.items()}
        rows.append({"path": f"{inner}/{number:02}.png", **cells})
    return rows


def table(root, rows):
    save_table(root / "labels.csv", rows)
    return {"labels": "labels.csv"}


def split_of(dataset) -> dict[bytes, str]:
    parts = [part for part in splits.NAMES if dataset.info.sizes[part]]
    return {bytes(key): part for part in parts for key in dataset.arrays(part)["key"]}


def number(key: bytes) -> int:
    return int(key.decode().split("/")[-1].removesuffix(".png"))


def test_several_findings_an_image(tmp_path):
    root, uncertain = tmp_path / "mine", (1, 0, -1, "")
    rows = source(root, nodule=lambda p, i: i % 2, effusion=lambda p, i: uncertain[i % 4], patient=lambda p, i: p)
    dataset = opened(tmp_path, "folder", root, image_size=20, **table(root, rows), uncertain="half")
    assert dataset.info.classes == ("nodule", "effusion") and not dataset.info.exclusive
    labels, pixels = everything(dataset, "label"), everything(dataset)
    assert len(labels) == PATIENTS * EACH
    for key, label in labels.items():
        i = number(key)
        np.testing.assert_array_equal(label, [i % 2, (1, 0, 0.5, 0)[i % 4]])
        np.testing.assert_array_equal(pixels[key][..., 0], picture(i))


def test_one_class_an_image_whatever_its_folder(tmp_path):
    root = folder(tmp_path / "mine", ("monday", "tuesday"), each=20)
    rows = [{"file": f"{day}/{i:02}.png", "class": "abc"[i % 3]} for day in ("monday", "tuesday") for i in range(20)]
    dataset = opened(tmp_path, "folder", root, **table(root, rows))
    assert dataset.info.classes == ("a", "b", "c") and dataset.info.exclusive and dataset.info.patients is None
    for key, label in everything(dataset, "label").items():
        np.testing.assert_array_equal(label, np.eye(3)[number(key) % 3])


def test_a_patient_is_in_one_split(tmp_path, monkeypatch):
    """As the table says, and near-duplicates are not looked for."""
    monkeypatch.setattr(duplicates, "leaders", lambda *_: pytest.fail("patients are known"))
    rows = source(tmp_path / "mine", patient=lambda p, i: f"Vogelsang_{p // 2}", nodule=lambda p, i: i % 2)
    options = table(tmp_path / "mine", rows) | {"split": (0.5, 0.5, 0.0)}
    dataset = opened(tmp_path, "folder", tmp_path / "mine", **options)
    assert sum(dataset.info.patients.values()) == 10
    parts: dict[int, set] = {}
    for key, part in split_of(dataset).items():
        parts.setdefault(number(key) // EACH // 2, set()).add(part)
    assert len(parts) == 10 and all(len(part) == 1 for part in parts.values())
    assert set.union(*parts.values()) == {"train", "val"}


def test_a_patient_keeps_the_split_when_others_are_added(tmp_path):
    rows = source(tmp_path / "mine", patient=lambda p, i: f"P{p}")
    some = opened(tmp_path, "folder", tmp_path / "mine", **table(tmp_path / "mine", rows[:20]), on_error="skip")
    assert some.info.skipped == 20
    every = opened(tmp_path, "folder", tmp_path / "mine", **table(tmp_path / "mine", rows))
    assert len(split_of(some)) == 20 and split_of(some).items() < split_of(every).items()


def test_no_patient_is_stored(tmp_path):
    rows = source(tmp_path / "mine", patient=lambda p, i: f"Vogelsang_{p}", nodule=lambda p, i: i % 2)
    opened(tmp_path, "folder", tmp_path / "mine", **table(tmp_path / "mine", rows), keep_records=True)
    stored = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(stored) > 3
    for path in stored:
        assert b"Vogelsang" not in path.read_bytes(), path
    (written,) = (path for path in (tmp_path / "cache" / "records").iterdir() if path.is_dir())
    records = [r for split in tfds.builder_from_directory(written).as_data_source().values() for r in split]
    ids = {int(record["patient"]) for record in records}  # neither are what could be looked up by trying all ids
    assert len(ids) == PATIENTS and not ids & {splits.patient_number(f"Vogelsang_{p}") for p in range(PATIENTS)}


def test_patients_alone_beside_class_folders(tmp_path):
    root = folder(tmp_path / "mine", each=20)
    rows = [{"path": f"{name}/{i:02}.png", "patient": i} for name in ("cat", "dog") for i in range(20)]
    dataset = opened(tmp_path, "folder", root, **table(root, rows))
    assert dataset.info.classes == ("cat", "dog") and dataset.info.exclusive
    assert sum(dataset.info.patients.values()) == 20
    for key, label in everything(dataset, "label").items():
        np.testing.assert_array_equal(label, [key.startswith(b"cat"), key.startswith(b"dog")])


def test_a_split_is_kept(tmp_path):
    chosen = ("Train", "train", "valid", "TEST")
    rows = source(tmp_path / "mine", split=lambda p, i: chosen[p % 4], patient=lambda p, i: p)
    dataset = opened(tmp_path, "folder", tmp_path / "mine", **table(tmp_path / "mine", rows))
    assert dataset.info.sizes == {"train": 20, "val": 10, "test": 10}
    for key, part in split_of(dataset).items():
        assert part == ("train", "train", "val", "test")[number(key) // EACH % 4]
    ours = opened(tmp_path, "folder", tmp_path / "mine", **table(tmp_path / "mine", rows), official_split=False)
    assert split_of(ours) != split_of(dataset)


def test_a_split_without_val_gets_one_of_train_patients(tmp_path):
    rows = source(tmp_path / "mine", split=lambda p, i: "test" if p < 5 else "train", patient=lambda p, i: p)
    dataset = opened(tmp_path, "folder", tmp_path / "mine", **table(tmp_path / "mine", rows))
    parts = split_of(dataset)
    assert {number(key) // EACH for key, part in parts.items() if part == "test"} == set(range(5))
    val = {number(key) // EACH for key, part in parts.items() if part == "val"}
    train = {number(key) // EACH for key, part in parts.items() if part == "train"}
    assert val and train and not val & train and val | train == set(range(5, PATIENTS))


def test_attributes(tmp_path):
    rows = source(
        tmp_path / "mine",
        sex=lambda p, i: ("F", "male", "")[p % 3],
        age=lambda p, i: ("41", "058Y", "")[p % 3],
        view=lambda p, i: ("PA", "ap")[i % 2],
        nodule=lambda p, i: i % 2,
    )
    chosen = table(tmp_path / "mine", rows)
    dataset = opened(tmp_path, "folder", tmp_path / "mine", **chosen, attributes=("age", "sex"))
    assert dataset.info.recorded == ("sex", "age", "view") and dataset.info.labels == ("nodule", "age", "sex")
    for key, label in everything(dataset, "label").items():
        p, i = number(key) // EACH, number(key)
        np.testing.assert_allclose(label, [i % 2, (0.41, 0.58, -1)[p % 3], (0, 1, -1)[p % 3]], rtol=1e-6)
    frontal = opened(tmp_path, "folder", tmp_path / "mine", **chosen, view="AP")
    assert all(number(key) % 2 for key in everything(frontal)) and len(everything(frontal)) == PATIENTS


def test_masks_and_paths_below_images(tmp_path):
    """Paths may begin above the folder images or in it."""
    for told in ("images/{}", "{}"):
        root = tmp_path / ("above" if "/" in told else "within")
        rows = source(root, "images", nodule=lambda p, i: i % 2)
        for row in rows:
            name = row["path"].removeprefix("images/")
            write(root / "masks" / name, 255 * (picture(7) // 128))
            row["path"] = told.format(name)
        dataset = opened(tmp_path, "folder", root, image_size=20, **table(root, rows))
        assert dataset.info.mask_channels == ("mask",) and dataset.info.classes == ("nodule",)
        labels, masks = everything(dataset, "label"), everything(dataset, "mask")
        assert len(labels) == PATIENTS * EACH
        for key, label in labels.items():
            assert label == number(key) % 2
            np.testing.assert_array_equal(masks[key][..., 0], picture(7) // 128)


def test_rows_and_images_that_lack_each_other(tmp_path):
    root = tmp_path / "mine"
    rows = source(root, nodule=lambda p, i: i % 2)
    save_table(root / "labels.csv", rows[:-1])
    refused(tmp_path, "folder", root, "labels.csv has no row for", labels="labels.csv")
    save_table(root / "labels.csv", [*rows, {"path": "scans/99.png", "nodule": 1}])
    refused(tmp_path, "folder", root, "labels.csv names scans/99.png, which is not in", labels="labels.csv")
    save_table(root / "labels.csv", [*rows[:-1], {"path": "scans/99.png", "nodule": 1}])
    dataset = opened(tmp_path, "folder", root, labels="labels.csv", on_error="skip")
    assert dataset.info.skipped == 2 and len(everything(dataset)) == PATIENTS * EACH - 1


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("patient", "", "names no patient for scans/03.png: fill the cell in"),
        ("split", "dev", "the split of scans/03.png is not train, val or test"),
        ("split", "", "the split of scans/03.png is not train, val or test"),
        ("sex", "X", "the sex of scans/03.png is not F or M"),
        ("age", "200", "the age of scans/03.png is not a number of years up to 120"),
        ("view", "oblique", "the view of scans/03.png is not PA or AP"),
        ("nodule", "maybe", "labels.csv, line 5: nodule is not 1, 0, -1 or empty"),
    ],
)
def test_a_cell_that_cannot_be_meant(tmp_path, column, cell, says):
    good = {"patient": "1", "split": "train", "sex": "F", "age": "40", "view": "PA", "nodule": "1"}
    rows = source(tmp_path / "mine", **{name: lambda p, i, value=value: value for name, value in good.items()})
    rows[3][column] = cell
    message = refused(tmp_path, "folder", tmp_path / "mine", says, **table(tmp_path / "mine", rows))
    assert "maybe" not in message and "oblique" not in message  # a table may hold more about patients than it should


def test_splits_that_cannot_be_meant(tmp_path):
    root = tmp_path / "mine"
    rows = source(root, split=lambda p, i: "test")
    refused(tmp_path, "folder", root, "puts no image into train", **table(root, rows))
    rows = source(root, split=lambda p, i: ("train", "test")[i % 2], patient=lambda p, i: f"Vogelsang_{p}")
    message = refused(tmp_path, "folder", root, "whose images are in two splits", **table(root, rows))
    assert "Vogelsang" not in message
    rows[0]["split"] = "fold 1"  # which is then not read
    assert opened(tmp_path, "folder", root, **table(root, rows), official_split=False).info.patients


def test_folders_that_are_splits_share_no_patient(tmp_path):
    root = tmp_path / "mine"
    for part in ("train", "test"):
        folder(root / part, each=20)
    paths = [f"{part}/{name}/{i:02}.png" for part in ("train", "test") for name in ("cat", "dog") for i in range(20)]
    rows = [{"path": path, "patient": f"{path.split('/')[0]}{path[-6:-4]}"} for path in paths]
    dataset = opened(tmp_path, "folder", root, **table(root, rows))
    assert dataset.info.sizes["test"] == 40 and sum(dataset.info.patients.values()) == 40
    rows[0]["patient"] = rows[-1]["patient"]
    (tmp_path / "again").mkdir()
    save_table(root / "labels.csv", rows)
    refused(tmp_path / "again", "folder", root, "whose images are in two splits", labels="labels.csv")


def test_a_table_that_is_not_there_or_changed(tmp_path):
    root = tmp_path / "mine"
    rows = source(root, nodule=lambda p, i: i % 2)
    opened(tmp_path, "folder", root)
    with pytest.raises(UserError, match=r"data\.labels=none\.csv is not a file"):  # not the images just prepared
        opened(tmp_path, "folder", root, labels="none.csv")
    elsewhere = save_table(tmp_path / "elsewhere.csv", rows)
    opened(tmp_path, "folder", root, labels=str(elsewhere))
    before = len(prepared(tmp_path))
    for row in rows:
        row["nodule"] = 1
    save_table(elsewhere, rows)
    changed = opened(tmp_path, "folder", root, labels=str(elsewhere))
    assert all(label == 1 for label in everything(changed, "label").values())
    assert len(prepared(tmp_path)) > before
