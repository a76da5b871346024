"""python -m data.describe tells what is in the data, and what is in two splits of it."""

import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis import describe
from analysis.describe import main
from data import summary
from data.ranges import to_float
from data.summary import near_duplicates, summarise
from tests.data.layouts import chexpert, nih, nih_rows, opened
from tests.data.test_duplicates import copies, scene, write
from train.cli import guarded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def described(tmp_path, monkeypatch, capsys):
    """The command: (exit status, what it printed, what it wrote)."""

    def run(preset: str, source: Path, *more: str):
        options = {"data.dir": source, "data.cache": tmp_path / "cache"}
        command = ["describe", f"--config={ROOT}/configs/ddpm_cxr.py:{preset}", f"--out={tmp_path / 'out'}", *more]
        monkeypatch.setattr(sys, "argv", [*command, *(f"--config.{k}={v}" for k, v in options.items())])
        with pytest.raises(SystemExit) as ended:
            guarded(main)
        said = capsys.readouterr()
        return ended.value.code, said.out + said.err, json.loads((tmp_path / "out" / "description.json").read_text())

    return run


def test_numbers_are_those_of_the_arrays(tmp_path):
    dataset = opened(tmp_path, "nih", nih(tmp_path / "nih", nih_rows(patients=40)))
    facts = summarise(dataset)
    for split, of in facts.items():
        arrays = dataset.arrays(split)
        pixels = to_float(np.asarray(arrays["image"])).astype(np.float64)
        assert of["images"] == len(pixels) == 2 * of["patients"] and of["groups"] == 0
        assert of["classes"]["Pneumonia"] == arrays["label"][:, dataset.info.classes.index("Pneumonia")].sum()
        assert of["without_finding"] == (arrays["label"].sum(1) == 0).sum() > 0
        tone = of["intensity"]
        np.testing.assert_allclose([tone["mean"], tone["std"]], [pixels.mean(), pixels.std()], atol=1e-9)
        assert (tone["min"], tone["max"]) == (pixels.min(), pixels.max())
        assert tone["median"] == np.quantile(pixels, 0.5, method="inverted_cdf")
        assert tone["black"] == (pixels == -1).mean() and tone["levels"] == len(np.unique(pixels))
        sex = arrays["attributes"][:, dataset.info.recorded.index("sex")]
        assert of["attributes"]["sex"] == (float(sex.mean()), 1.0)


def test_large_images_are_counted_a_few_at_a_time():
    stored = np.zeros((64, 512, 512, 1), np.uint8)
    stored[5, :2], stored[63, 511] = 7, 255
    tracemalloc.start()
    tone = summary._intensity(stored)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * 8 * stored.size / 4  # a quarter of them at once
    assert tone["black"] == 1 - 1536 / stored.size and tone["white"] == 512 / stored.size and tone["levels"] == 3


def test_uncertain_labels_are_counted_as_unknown(tmp_path):
    dataset = opened(tmp_path, "chexpert", chexpert(tmp_path / "chexpert"), uncertain="ignore")
    unknown = sum(of["unknown"] for of in summarise(dataset).values())
    assert unknown == sum((dataset.arrays(split)["label"] < 0).sum() for split in ("train", "val", "test")) > 0


def test_an_image_is_without_a_finding_only_if_all_is_known(tmp_path):
    source = chexpert(tmp_path / "chexpert")
    dataset = opened(tmp_path, "chexpert", source, uncertain="ignore", classes=("Pneumonia", "Edema"))
    for split, of in summarise(dataset).items():
        label = dataset.arrays(split)["label"]
        label[:, 1] = 0  # Edema is on every image
        of = summary._summarise(dataset, split)
        undecided = of.get("undecided", 0)  # not said where all is known
        assert undecided == (label[:, 0] == -1).sum() and (undecided or split != "train")
        assert of["without_finding"] == (label[:, 0] == 0).sum() and (of["without_finding"] or split != "train")
        assert undecided + of["without_finding"] + of["classes"]["Pneumonia"] == of["images"]
        said = describe._split_lines(split, of, dataset.info)[1]
        assert f"without any {of['without_finding']} (" in said
        assert f"none known but not all {of.get('undecided')} (" in said or not of["unknown"]
    known = summarise(opened(tmp_path, "chexpert", source))
    assert not any("undecided" in of or of["unknown"] for of in known.values())


def pictures(folder: Path, part: str, seeds) -> None:
    for seed in seeds:
        write(folder / part / "c" / f"{seed}.png", scene(seed))


def test_leakage_is_an_error_that_can_be_allowed(tmp_path, described):
    source = tmp_path / "mine"
    for part, seeds in (("train", range(12)), ("val", range(20, 24)), ("test", range(30, 34))):
        pictures(source, part, seeds)
    status, said, written = described("folder", source)
    assert status == 0 and "near-duplicates (at most 32 of 256 bits differ): none" in said and written is not None
    assert "train: 12 images, no patient named" in said and written["splits"]["train"]["classes"] == {"c": 12}
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.text["Synthetic"] == "false" and sheet.width > 8 * 128
    for i, picture in enumerate(copies(scene(3))[:2]):
        write(source / "test" / "c" / f"copy{i}.png", picture)
    status, said, written = described("folder", source)
    assert status == 1 and "2 pairs of near-duplicates lie in two splits, such as train/c/3.png (train)" in said
    assert "Traceback" not in said and "1 within test" in said and len(written["near_duplicates"]["nearest"]) == 3
    assert described("folder", source, "--allow-leakage")[0] == 0
    status, said, written = described("folder", source, "--noduplicates")
    assert status == 0 and "not looked for" in said and written["near_duplicates"] is None


def test_many_copies_are_counted_and_few_are_named(tmp_path, monkeypatch):
    pictures(tmp_path / "mine", ".", range(12))
    for i in range(6):
        write(tmp_path / "mine" / "c" / f"copy{i}.png", scene(5))
    monkeypatch.setattr(summary, "LISTED", 4)
    found = near_duplicates(opened(tmp_path, "folder", tmp_path / "mine", split=(1.0, 0.0, 0.0), image_size=64), 32)
    assert len(found) == 21 and found.counts == {("train", "train"): 21} and len(found.nearest) == 4


def test_no_image_is_its_own_duplicate(tmp_path):
    pictures(tmp_path / "mine", ".", range(12))
    write(tmp_path / "mine" / "c" / "again.png", scene(5))
    found = near_duplicates(opened(tmp_path, "folder", tmp_path / "mine", split=(1.0, 0.0, 0.0), image_size=64), 32)
    assert [(near.splits, set(near.keys), near.distance) for near in found.nearest] == [
        (("train", "train"), {"c/5.png", "c/again.png"}, 0)
    ]
