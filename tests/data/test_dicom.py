"""DICOM trees as a dataset: which files are images, whose they are, what is written of them."""

import logging
import os
import warnings

import numpy as np
import pytest
import tensorflow_datasets as tfds
from pydicom import uid
from pydicom.encaps import encapsulate

from data import UserError
from data.builders import dicom_files
from tests.data.dicoms import IDENTITY, header, image, save, tree
from tests.data.dicoms import uid as number_uid
from tests.data.layouts import everything, opened, picture, prepared, save_table
from tests.data.test_bad_input import refused


def images_of(dataset) -> int:
    return sum(dataset.info.sizes.values())


def test_a_tree_is_read_whatever_its_names(tmp_path):
    dataset = opened(tmp_path, "dicom", tree(tmp_path / "source"), bits=16)
    info = dataset.info
    assert images_of(dataset) == 24 and info.skipped == 0
    assert sum(info.patients.values()) == 12 and info.classes == () and info.recorded == ()
    found = {row.tobytes() for row in everything(dataset).values()}
    expected = {np.rint(picture(i, 16, 16, top=4095) / 4095 * 65535).astype(np.uint16).tobytes() for i in range(24)}
    assert found == expected


def test_twelve_bits_stay_twelve(tmp_path):
    source = tree(tmp_path / "source", 11, 1)
    save(source / "ramp", image(11, np.arange(4096, dtype=np.uint16).reshape(64, 64)))
    for bits, levels in ((16, 4096), (8, 256)):
        found = everything(opened(tmp_path, "dicom", source, image_size=64, bits=bits))
        assert max(len(np.unique(row)) for row in found.values()) == levels


def test_a_window_in_hounsfield_units(tmp_path):
    """Of the run, not of the file; of MONOCHROME1 images the negative."""
    ct = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 80}
    source = tree(tmp_path / "source", 11, 1, **ct)
    save(source / "film", image(11, PhotometricInterpretation="MONOCHROME1", **ct))
    units = [picture(i, 16, 16, top=4095) - 1024.0 for i in range(12)]
    for low, high in ((-1000, 400), (-160, 240)):  # the second does not reuse records of the first
        shares = [((u - low) / (high - low)).clip(0, 1) for u in units]
        shares[11] = 1 - shares[11]
        found = everything(opened(tmp_path, "dicom", source, window=(low, high), bits=16))
        found = np.sort(np.concatenate(list(found.values())).ravel())
        np.testing.assert_allclose(found, np.sort(np.concatenate(shares).ravel()) * 65535, atol=1)


def test_a_range_hardly_used_is_pointed_out(tmp_path, capsys):
    """CT of 16 bits without a window: a few gray levels in the middle."""
    source = tree(tmp_path / "source", 0)
    for i in range(12):
        save(source / f"{i}", image(i, picture(i, 16, 16, top=3000).astype(np.int16) - 1000, bits=16))
    opened(tmp_path, "dicom", source)
    assert "lie between 48.6% and 52.9% of the way from black to white" in capsys.readouterr().err


def others(root) -> None:
    """What lies beside images."""
    directory = {"SOPClassUID": uid.MediaStorageDirectoryStorage, "PatientID": None}
    save(root / "DICOMDIR", header(900, **directory))
    save(root / "report.dcm", header(901, SOPClassUID=uid.BasicTextSRStorage))
    save(root / "plan" / "structures", header(902, SOPClassUID=uid.RTStructureSetStorage))
    save(root / "plan" / "dose", image(903, SOPClassUID=uid.RTDoseStorage, NumberOfFrames=30))
    save(root / "segments", image(904, SOPClassUID=uid.SegmentationStorage))
    save(root / "private", header(905, SOPClassUID="1.2.3.4"))
    (root / "readme.txt").write_text("not DICOM " * 50)
    (root / "short").write_bytes(b"DICM")
    (root / ".hidden").write_bytes(b"")
    os.mkfifo(root / "pipe")  # opening it would wait for ever


def test_what_is_no_image_is_left_out(tmp_path, capsys):
    source = tree(tmp_path / "source")
    others(source)
    (source / "again").symlink_to(source)
    dataset = opened(tmp_path, "dicom", source)
    assert images_of(dataset) == 24 and dataset.info.skipped == 0 and capsys.readouterr().err == ""
    (tmp_path / "none").mkdir()
    others(tmp_path / "none")
    refused(tmp_path / "2", "dicom", tmp_path / "none", "none holds no DICOM image")
    refused(tmp_path / "2", "dicom", tmp_path / "nowhere", "nowhere is not a folder")


def test_pixels_of_a_private_class_are_an_image(tmp_path):
    source = save(tree(tmp_path / "source") / "own", image(99, SOPClassUID="1.2.3.4")).parent
    assert images_of(opened(tmp_path, "dicom", source)) == 25


def test_a_repeated_image_is_kept_once(tmp_path, capsys):
    source = tree(tmp_path / "source")
    save(source / "zz_copy", image(3, picture(500, 16, 16, top=4095)))  # another image under the same UID
    dataset = opened(tmp_path, "dicom", source, bits=16)
    assert images_of(dataset) == 24 and dataset.info.skipped == 1
    assert "1 images have the SOPInstanceUID of another file and are left out" in capsys.readouterr().err
    later = np.rint(picture(500, 16, 16, top=4095) / 4095 * 65535).astype(np.uint16)
    assert not any((row[..., 0] == later).all() for row in everything(dataset).values())


def deep(path):
    """Sequences of undefined length, each in the one before, as bytes: no writer goes so deep."""
    whole = save(path, image(700)).read_bytes()
    at = whole.index(b"\x28\x00\x02\x00US")  # before the first element of group 0028
    start = b"\x20\x00\x00\x90SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(whole[:at] + start * 20_000 + whole[at:])


def encapsulated():
    dataset = image(700, PixelData=encapsulate([bytes(100)]))
    dataset["PixelData"].is_undefined_length = True
    return dataset


def misnamed(path):
    """A patient's id under the representation of numbers: pydicom would quote it."""
    whole = save(path, image(700, PatientID="Vogelsang ")).read_bytes()
    path.write_bytes(whole.replace(b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00FD"))


def cut(path):
    path.write_bytes(save(path, image(700)).read_bytes()[:-100])


def cut_in_the_header(path):
    path.write_bytes(save(path, image(700)).read_bytes()[:450])


def garbage(path):
    save(path, encapsulated(), uid.RLELossless)


def deflated(path):
    save(path, image(700, np.zeros((400, 400), np.uint16)), uid.DeflatedExplicitVRLittleEndian)


SPOILT = [
    (cut, "it holds 412 bytes of pixels where its header says 512"),
    (cut_in_the_header, "it says it is an image but holds no pixels"),
    (lambda path: save(path, image(700, PixelData=bytes(514))), "it holds 514 bytes of pixels"),
    (lambda path: save(path, image(700, PixelData=None)), "holds no pixels"),
    (lambda path: save(path, image(700, SOPInstanceUID=None)), "it has no SOPInstanceUID"),
    (lambda path: save(path, image(700, NumberOfFrames=2, PixelData=bytes(1024))), "it holds 2 frames, and one image"),
    (lambda path: save(path, image(700, Rows=60_000, Columns=60_000)), "60000x60000 is more than 100,000,000 pixels"),
    (lambda path: save(path, image(700, BitsAllocated=32, PixelData=bytes(1024))), "32 bits a pixel; 16 are the most"),
    (lambda path: save(path, image(700, np.ones((16, 16), np.uint16))), "shows nothing: every pixel is 16"),
    (lambda path: save(path, encapsulated(), uid.MPEG2MPML), "its transfer syntax, MPEG2 .*, is not one of images"),
    (garbage, "cannot be read"),
    (deep, "its header is damaged: RecursionError"),
    (misnamed, "its header is damaged: BytesLengthException"),
    (deflated, "it inflates to more than 200,000 bytes"),
]


@pytest.mark.parametrize(("spoil", "says"), SPOILT)
def test_an_image_that_cannot_be_used(tmp_path, monkeypatch, spoil, says):
    monkeypatch.setattr(dicom_files, "_MAX_INFLATED", 200_000)
    source = tree(tmp_path / "source")
    spoil(source / "bad")
    with pytest.raises(UserError, match=f"source/bad .*{says}") as raised:
        opened(tmp_path, "dicom", source)
    message = str(raised.value)
    assert "\n" not in message and "Vogelsang" not in message and 'data.on_error="skip"' in message
    assert prepared(tmp_path) == []
    dataset = opened(tmp_path, "dicom", source, on_error="skip")
    assert images_of(dataset) == 24 and dataset.info.skipped == 1


def test_what_no_installed_package_decodes(tmp_path, monkeypatch):
    from pydicom.pixels.decoders.base import Decoder

    source = tree(tmp_path / "source")
    save(source / "jpeg", encapsulated(), uid.JPEG2000Lossless)
    monkeypatch.setattr(Decoder, "is_available", property(lambda self: self.UID == uid.ExplicitVRLittleEndian))
    says = "source/jpeg is compressed as JPEG 2000 Image Compression (Lossless Only) (1.2.840.10008.1.2.4.90), which"
    message = refused(tmp_path, "dicom", source, says, on_error="skip")  # a package is missing, no image is bad
    assert 'pip install -e ".[dicom]"' in message and "gdcm" in message


def test_twelve_bits_that_decoders_only_claim_to_decode(tmp_path, monkeypatch):
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "available_plugins", property(lambda self: ("gdcm", "pillow")))
    source = tree(tmp_path / "source")
    save(source / "jpeg", encapsulated(), uid.JPEGExtended12Bit)
    says = f"source/jpeg is compressed as {uid.JPEGExtended12Bit.name} (1.2.840.10008.1.2.4.51) with 12 bits a value"
    message = refused(tmp_path, "dicom", source, says, on_error="skip")  # a package is missing, no image is bad
    assert "pip install pylibjpeg pylibjpeg-libjpeg does" in message
    monkeypatch.setattr(Decoder, "available_plugins", property(lambda self: ("pylibjpeg",)))
    assert dicom_files.header(source / "jpeg").values == 256


def test_files_that_do_not_keep_to_the_standard_make_no_noise(tmp_path, capfd, caplog):
    odd = {"StudyInstanceUID": "not a UID", "PatientAge": "forty", "ViewPosition": "x" * 99}  # seen in the header
    steep = {"VOILUTFunction": "SIGMOID", "WindowCenter": 2000, "WindowWidth": 1}  # overflows with the pixels
    with warnings.catch_warnings(action="ignore"):
        source = tree(tmp_path / "source", **odd, **steep)
    caplog.clear()
    level = logging.getLogger("pydicom").level
    with warnings.catch_warnings(record=True, action="always") as heard:
        assert images_of(opened(tmp_path, "dicom", source)) == 24
    assert not [one for one in heard if "pydicom" in one.filename]
    assert capfd.readouterr().err == "" and not [r for r in caplog.records if r.name.startswith("pydicom")]
    assert logging.getLogger("pydicom").level == level


def test_attributes(tmp_path):
    source = tmp_path / "source"
    people = [
        {"PatientSex": "F", "PatientAge": "058Y", "ViewPosition": "PA"},
        {"PatientSex": "M", "PatientAge": "006M", "ViewPosition": "LL"},
        {"PatientSex": "O", "PatientAge": "", "ViewPosition": None},
    ]
    for i in range(12):
        save(source / str(i), image(i, **people[i % 3]))
    dataset = opened(tmp_path, "dicom", source, attributes=("sex", "age", "view"))
    assert dataset.info.recorded == ("view", "lateral", "sex", "age")
    found = np.unique(np.concatenate(list(everything(dataset, "label").values())).reshape(12, 3), axis=0)
    np.testing.assert_allclose(found, [[-1, -1, -1], [0, 0.58, 0], [1, 0.005, -1]], atol=1e-6)
    assert images_of(opened(tmp_path, "dicom", source, view="PA", split=(1, 0, 0))) == 4
    refused(tmp_path / "2", "dicom", tree(tmp_path / "3"), "names 'sex', which dicom does not", attributes=("sex",))


def patients(dataset) -> list[set]:
    return [set(dataset.arrays(split)["patient"].tolist()) for split in ("train", "val", "test")]


def test_no_patient_is_in_two_splits(tmp_path, capsys):
    dataset = opened(tmp_path, "dicom", tree(tmp_path / "source", 20, 3))
    train, val, test = patients(dataset)
    assert len(train | val | test) == 20 and not (train & val or train & test or val & test)
    assert capsys.readouterr().err == ""
    nameless = opened(tmp_path, "dicom", tree(tmp_path / "nameless", 20, 3, PatientID=""))
    assert len(set().union(*patients(nameless))) == 20  # by StudyInstanceUID
    assert "60 images have no PatientID; the StudyInstanceUID stands" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "stands", "people"),
    [
        ({"SeriesInstanceUID": 1, "FrameOfReferenceUID": 2}, "FrameOfReferenceUID", 20),
        ({"SeriesInstanceUID": 1}, "SeriesInstanceUID", 20),
        ({}, None, 60),
    ],
)
def test_images_without_patient_and_study_stay_together_by_what_there_is(tmp_path, capsys, given, stands, people):
    for number in range(60):
        shared = {name: number_uid(100 * part + number // 3) for name, part in given.items()}
        atlas = {} if "FrameOfReferenceUID" in given else {"FrameOfReferenceUID": "1.2.840.10008.1.4.1.1"}
        nameless = {"PatientID": "", "StudyInstanceUID": None}
        save(tmp_path / "source" / str(number), image(number, **(nameless | atlas | shared)))
    dataset = opened(tmp_path, "dicom", tmp_path / "source")
    train, val, test = patients(dataset)
    assert len(train | val | test) == people == len(train) + len(val) + len(test)
    says = f"the {stands} stands for" if stands else "and no UID in common with others; each is taken for a patient of"
    said = capsys.readouterr().err
    assert f"dicom: 60 images have no PatientID{';' if stands else ''} {says}" in said and said.count("\n") == 1


def labelled(tmp_path, rows, **options):
    source = tree(tmp_path / "source")
    save_table(tmp_path / "labels.csv", rows)
    return opened(tmp_path, "dicom", source, labels=str(tmp_path / "labels.csv"), **options)


def test_labels_of_several_findings(tmp_path):
    rows = [{"SOPInstanceUID": number_uid(i), "Edema": (0, 1)[i % 2], "Mass": ("", "-1")[i % 2]} for i in range(24)]
    dataset = labelled(tmp_path, rows, uncertain="half", bits=16)
    assert dataset.info.classes == ("Edema", "Mass") and not dataset.info.exclusive
    labels, pixels = everything(dataset, "label"), everything(dataset)
    odd = {np.rint(picture(i, 16, 16, top=4095) / 4095 * 65535).astype(np.uint16).tobytes() for i in range(1, 24, 2)}
    for key, label in labels.items():
        assert label.tolist() == ([1, 0.5] if pixels[key].tobytes() in odd else [0, 0])


def test_labels_of_one_class_by_path(tmp_path):
    names = [f"Vogelsang_{i // 2}/{i:03}" for i in range(24)]
    rows = [{"filename": f"./{name}", "class": ("cyst", "adenoma")[i % 2], "note": "x"} for i, name in enumerate(names)]
    dataset = labelled(tmp_path, rows)
    assert dataset.info.classes == ("adenoma", "cyst") and dataset.info.exclusive
    assert sum(everything(dataset, "label").values()).tolist() == [12, 12]
    rows[0]["class"] = "cyst of the tail"
    save_table(tmp_path / "labels.csv", rows)
    again = opened(tmp_path, "dicom", tmp_path / "source", labels=str(tmp_path / "labels.csv"))
    assert len(again.info.classes) == 3  # a changed table is read again


def test_tables_that_do_not_fit(tmp_path):
    source = tree(tmp_path / "source")
    good = [{"SOPInstanceUID": number_uid(i), "Edema": 0} for i in range(24)]
    cases = [
        (good[1:], r"labels.csv has no row for .*Vogelsang_0/000: add one"),
        ([{"image": 1, "Edema": 0}], "has no column that names the image: add one of SOPInstanceUID, path, file"),
        ([{"path": "x"}], "has no labels: add a column `class`"),
        ([good[0], good[0]], "line 3: SOPInstanceUID is empty or is listed before"),
        ([good[0] | {"PatientName": IDENTITY["PatientName"]}], "line 2: PatientName is not 1, 0, -1 or empty"),
        ([{"path": "x", "class": ""}], "line 2: class is empty"),
    ]
    for rows, says in cases:
        save_table(source / "labels.csv", rows)
        with pytest.raises(UserError, match=says) as raised:
            opened(tmp_path, "dicom", source, labels="labels.csv")
        assert "Adele" not in str(raised.value)
    opened(tmp_path / "2", "dicom", source)
    with pytest.raises(UserError, match="data.labels=none.csv is not a file"):  # not the images just prepared
        opened(tmp_path / "2", "dicom", source, labels="none.csv")
    save_table(source / "labels.csv", good[1:])
    assert opened(tmp_path, "dicom", source, labels="labels.csv", on_error="skip").info.skipped == 1


def test_nothing_written_names_a_patient(tmp_path, capfd, caplog):
    """Neither files, packed records unpacked, nor what is said on the way."""
    source = tree(tmp_path / "source", PatientSex="F")
    (source / "Vogelsang_0" / "999").write_bytes((source / "Vogelsang_0" / "000").read_bytes())  # makes it speak
    with caplog.at_level(logging.DEBUG):
        opened(tmp_path, "dicom", source)
    said = [*capfd.readouterr(), caplog.text]
    written = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    written += [str(path).encode() for path in (tmp_path / "cache").rglob("*")]
    (folder,) = (path for path in (tmp_path / "cache" / "records").iterdir() if path.is_dir())
    records = [r for split in tfds.builder_from_directory(folder).as_data_source().values() for r in split]
    assert len(records) == 24 and {len(r["key"]) for r in records} == {32}
    unpacked = [value if isinstance(value, bytes) else repr(value).encode() for r in records for value in r.values()]
    everywhere = b"\0".join([*written, *unpacked, *(text.encode() for text in said)]).lower()
    assert b"images" in everywhere and records[0]["key"] in everywhere
    secrets = [*IDENTITY.values(), "Vogelsang", "Adele", "MRN0000", number_uid(0)[:-1]]
    assert not [secret for secret in secrets if secret.lower().encode() in everywhere]
    assert {int(r["patient"]) for r in records} == set(range(12))  # a running number, no hash of an id
