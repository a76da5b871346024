"""Wrong input ends in one sentence that names the file or key and the way out; nothing half-written stays."""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

import data
from data import DataOptions, UserError
from tests.data import layouts
from tests.data.layouts import folder, nih, nih_rows, opened, prepared


def refused(tmp_path, name, source, says, **options):
    with pytest.raises(UserError) as raised:
        opened(tmp_path, name, source, **options)
    message = str(raised.value)
    assert says in message, message
    assert "\n" not in message and len(message) < 600 and message[-1] == "."
    assert not (tmp_path / "cache").exists() or prepared(tmp_path) == []
    return message


def test_unknown_names_are_answered_with_the_known(tmp_path):
    message = refused(tmp_path, "nhi", "", "data.name='nhi' is not known")
    assert all(name in message for name in data.NAMES)
    assert {"phantom_cxr", "nih", "chexpert", "medmnist", "folder"} <= set(data.NAMES)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"channels": 5}, "data.channels=5 is not known: use one of (1, 2, 3, 4)"),
        ({"bits": 12}, "data.bits=12"),
        ({"resize": "squash"}, "data.resize='squash'"),
        ({"uncertain": "maybe"}, "data.uncertain='maybe'"),
        ({"on_error": "ignore"}, "data.on_error='ignore'"),
        ({"image_size": 0}, "data.image_size=0"),
        ({"seed": -1}, "data.seed=-1"),
        ({"split": (0.8, 0.1)}, "data.split=(0.8, 0.1)"),
        ({"split": (0.8, 0.1, 0.2)}, "sum to 1"),
        ({"split": (0, 0.5, 0.5)}, "data.split=(0, 0.5, 0.5)"),
        ({"window": (5, 5)}, "data.window=(5, 5)"),
        ({"classes": "cat"}, "write ('cat',)"),
        ({"attributes": ("sex", "sex")}, "names one column twice"),
    ],
)
def test_options_are_checked(tmp_path, wrong, says):
    refused(tmp_path, "phantom_cxr", "", says, **wrong)


def test_lists_are_taken_for_tuples():
    assert DataOptions(classes=["a"], split=[0.6, 0.1, 0.3]) == DataOptions(
        classes=("a",), split=(0.6, 0.1, 0.3)
    )


def test_missing_folder_and_table(tmp_path):
    refused(tmp_path, "nih", "", "nih needs data.dir")
    refused(tmp_path, "nih", tmp_path / "nowhere", "nowhere is not a folder")
    refused(tmp_path, "chexpert", folder(tmp_path / "a"), "has no train.csv")
    refused(tmp_path, "nih", tmp_path / "a", "has no Data_Entry_2017.csv")


@pytest.mark.parametrize("column", ["Image Index", "Finding Labels", "Patient ID"])
def test_missing_column(tmp_path, column):
    rows = [{k: v for k, v in row.items() if k != column} for row in nih_rows()]
    source = nih(tmp_path / "nih")
    layouts.save_table(source / "Data_Entry_2017.csv", rows)
    message = refused(tmp_path, "nih", source, f"Data_Entry_2017.csv has no column '{column}'; it has '")
    assert "'Follow-up #'" in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no column 'Image Index'; it has none"),
        (b"Image Index,Finding Labels,Patient ID\n", "holds no rows"),
        (b"Image Index,Finding Labels,Patient ID\na.png\n", "line 2: the row is cut short"),
        (b"Image Index,Finding Labels,Patient ID\n\xff\xfe\n", "cannot be read as a CSV"),
    ],
)
def test_tables_that_are_none(tmp_path, content, says):
    source = nih(tmp_path / "nih")
    (source / "Data_Entry_2017.csv").write_bytes(content)
    refused(tmp_path, "nih", source, says)


def test_a_row_whose_image_is_missing(tmp_path):
    source = nih(tmp_path / "nih")
    (source / "images" / "00000003_001.png").unlink()
    refused(tmp_path, "nih", source, "Data_Entry_2017.csv names 00000003_001.png, which is not in")
    dataset = opened(tmp_path, "nih", source, on_error="skip")
    assert dataset.info.skipped == 1 and sum(dataset.info.sizes.values()) == 39


def test_a_label_outside_the_list(tmp_path):
    rows = nih_rows()
    rows[4]["Finding Labels"] = "Pneumonia|Gout"
    refused(
        tmp_path,
        "nih",
        nih(tmp_path / "nih", rows),
        "line 6: the label 'Gout' is not one of No Finding, Atel",
    )


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd", "images/a.png", "C:\\a.png", "", ".", "./"])
def test_a_path_that_leaves_the_folder(tmp_path, name):
    source = nih(tmp_path / "nih")
    layouts.write(tmp_path / "secret.png", layouts.picture(0))
    rows = nih_rows()
    rows[0]["Image Index"] = name
    layouts.save_table(source / "Data_Entry_2017.csv", rows)
    refused(tmp_path, "nih", source, repr(name), on_error="skip")


def test_an_image_listed_twice(tmp_path):
    source = nih(tmp_path / "nih")
    layouts.save_table(source / "Data_Entry_2017.csv", [*nih_rows(), nih_rows()[0]])
    refused(tmp_path, "nih", source, "line 42: '00000000_000.png' is listed twice")


def test_what_the_source_does_not_have_is_said_before_anything_is_copied(tmp_path, monkeypatch):
    from data.builders import base

    monkeypatch.setattr(base.Records, "prepare", lambda self: pytest.fail("copied"))
    source = nih(tmp_path / "nih")
    refused(tmp_path, "nih", source, "data.classes names 'Gout'", classes=("Gout",))
    refused(tmp_path, "nih", source, "data.attributes names 'shoe size'", attributes=("shoe size",))
    refused(tmp_path, "nih", source, "data.view='oblique' is not known", view="oblique")
    refused(tmp_path, "nih", source, "split of nih", split=(0.999998, 0.000001, 0.000001))


def truncated(path):
    path.write_bytes(path.read_bytes()[:150])


def black(path):
    Image.new("L", (20, 20)).save(path)


def not_a_number(path):
    Image.fromarray(np.full((20, 20), np.nan, np.float32)).save(path, "TIFF")


def bomb(path):
    Image.new("1", (20_000, 20_000)).save(path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncated, "dog/03.png cannot be read"),
        (black, "dog/03.png shows nothing: every pixel is 0"),
        (not_a_number, "dog/03.png holds values that are not finite"),
        (bomb, "dog/03.png cannot be read"),
    ],
)
def test_an_image_that_cannot_be_used(tmp_path, spoil, says):
    source = folder(tmp_path / "mine")
    spoil(source / "dog" / "03.png")
    message = refused(tmp_path, "folder", source, says)
    assert 'data.on_error="skip"' in message
    dataset = opened(tmp_path, "folder", source, on_error="skip")
    assert dataset.info.skipped == 1 and sum(dataset.info.sizes.values()) == 29
    assert b"dog/03.png" not in layouts.everything(dataset)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("spoil", [pipe, endless])
@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_what_is_no_regular_file_is_never_read(tmp_path, monkeypatch, spoil, on_error):
    read = pathlib.Path.read_bytes
    monkeypatch.setattr(pathlib.Path, "read_bytes", lambda path: read(path) if path.is_file() else pytest.fail("read"))
    for name, source, image in (
        ("folder", folder(tmp_path / "mine"), "dog/03.png"),
        ("nih", nih(tmp_path / "nih"), "images/00000003_001.png"),
    ):
        spoil(source / image)
        refused(tmp_path, name, source, f"{source / image} is no regular file", on_error=on_error)


def test_float_images_without_a_window_are_no_corrupt_images(tmp_path):
    source = folder(tmp_path / "mine")
    Image.fromarray(np.float32(layouts.picture(0)) * 10 - 1000).save(source / "dog" / "ct.tif")
    refused(tmp_path, "folder", source, "set data.window=(low, high)", on_error="skip")
    opened(tmp_path, "folder", source, window=(-1000, 1550))


def test_all_images_corrupt(tmp_path):
    source = folder(tmp_path / "mine")
    for path in source.glob("*/*.png"):
        truncated(path)
    refused(
        tmp_path,
        "folder",
        source,
        "0 images are left after the choice of classes and view, 30 skipped",
        on_error="skip",
    )


def test_the_cache_is_never_inside_the_source(tmp_path):
    source = folder(tmp_path / "mine")
    for cache in (source, source / "cat" / "cache"):
        refused(tmp_path, "folder", source, "lies inside data.dir", cache=str(cache))
    assert sorted(p.name for p in source.iterdir()) == ["cat", "dog"]


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    refused(tmp_path, "phantom_cxr", "", "file/cache cannot be used", cache=str(tmp_path / "file" / "cache"))


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    import errno

    from data import npy

    def full(self, rows):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(npy.NpyWriter, "append", full)
    with pytest.raises(UserError, match=r"The disk of data\.cache=.* is full"):
        opened(tmp_path, "folder", folder(tmp_path / "mine"))
    assert not list((tmp_path / "cache" / "arrays").iterdir())
