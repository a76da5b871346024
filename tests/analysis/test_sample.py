"""`python -m analysis.sample` on a finished run, as a user calls it."""

import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import analysis
from analysis import sample
from analysis.labels import draw_labels, fill_open, label_of_names
from analysis.memorisation import __main__ as audit
from data import UserError
from tests.train.helpers import train_here


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_here(folder, cache=tmp_path_factory.mktemp("cache"))
    return folder


def draw(run, out, *options):
    sample.main(["--run", str(run), "--out", str(out), *options])
    return np.load(out / "samples.npz")


def test_files_say_that_they_are_synthetic(run, tmp_path):
    made = draw(run, tmp_path / "out", "--n", "5", "--sampler", "ddim", "--steps", "3", "--guidance", "2")
    assert made["images"].shape == (5, 16, 16, 1) and made["images"].dtype == np.uint8
    assert "Synthetic" in str(made["synthetic"])
    facts = json.loads(str(made["facts"]))
    assert facts["options"]["sampler"] == "ddim" and facts["options"]["guidance"] == 2 and facts["step"] == 12
    pngs = sorted((tmp_path / "out").glob("0*.png"))
    assert len(pngs) == 5
    for path in [*pngs, tmp_path / "out" / "grid.png"]:
        assert Image.open(path).text["Synthetic"] == "true"
    np.testing.assert_array_equal(np.asarray(Image.open(pngs[2])), made["images"][2, ..., 0])


def test_an_image_depends_on_its_seed_and_index_alone(run, tmp_path):
    a = draw(run, tmp_path / "a", "--n", "5", "--label", "1")["images"]
    b = draw(run, tmp_path / "b", "--n", "3", "--label", "1", "--batch", "2")["images"]
    c = draw(run, tmp_path / "c", "--n", "3", "--label", "1", "--seed", "1")["images"]
    assert np.abs(a[:3].astype(int) - b).max() <= 1  # another batch shape may round another way
    assert np.abs(a[:3].astype(int) - c).max() > 1


def test_a_run_that_was_split_over_devices_opens_on_one(run, monkeypatch):
    config = json.loads((run / "config.json").read_text())
    split = json.dumps(config | {"mesh": config["mesh"] | {"fsdp": 4}})
    whole = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path: split if path.name == "config.json" else whole(path))
    assert analysis.load(run).config.mesh.fsdp == 4


def test_attributes_by_name_and_value():
    """Of a run that was conditioned on view and sex; through a whole run: tests/train/test_recipes.py."""
    info = SimpleNamespace(
        name="nih", classes=("Edema", "Mass"), attributes=("view", "sex"), exclusive=False, shares=()
    )
    np.testing.assert_array_equal(label_of_names("mass,SEX=Male", info), [0, 1, -1, 1])
    np.testing.assert_array_equal(label_of_names("view=AP", info), [-1, -1, 1, -1])
    for wrong, message in (("age=62", "known: view, sex"), ("sex=robot", "no value of sex")):
        with pytest.raises(UserError, match=message):
            label_of_names(wrong, info)


def test_a_finding_asked_of_a_mix_leaves_its_dataset_open():
    """Every image of a mix is of one of its datasets, so that no training row has a finding and no dataset."""
    classes = ("pneumonia", "tumour", "cxr", "mri")
    info = SimpleNamespace(name="mix", classes=classes, attributes=(), exclusive=False, shares=(0.5, 0.5))
    label = label_of_names("pneumonia", info)
    np.testing.assert_array_equal(label, [1, -1, -1, -1])
    train = np.float32([[1, -1, 1, 0], [0, -1, 1, 0], [-1, 1, 0, 1], [-1, 0, 0, 1]])
    np.testing.assert_array_equal(fill_open(label[None], train, 0), [[1, -1, 1, 0]])
    with pytest.raises(UserError, match="'normal' is unknown; known: pneumonia, tumour, cxr, mri$"):
        label_of_names("normal", info)


def test_labels_by_name_and_by_chance(run):
    info = analysis.load(run).info
    name = info.classes[1]
    np.testing.assert_array_equal(label_of_names(name.upper(), info), [0, 1])
    with pytest.raises(UserError, match="known: " + info.classes[0]):
        label_of_names("measles", info)
    with pytest.raises(UserError, match="exclude each other"):
        label_of_names(",".join(info.classes), info)
    train_labels = np.eye(2)[[0, 0, 0, 1]]
    assert 0.65 < draw_labels(train_labels, 2000, 0)[:, 0].mean() < 0.85


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--sampler", "plms"], "'plms' is unknown"), (["--label", "measles"], "known: "),
     (["--steps", "0"], "at least 1"),
     (["--checkpoint", "7"], "no intact checkpoint of step 7"), (["--n", "0"], "at least 1"),
     (["--latent", "traversal"], "needs a VAE's"), (["--postprocess", "blur"], "'blur' is unknown"),
     (["--variance", "huge", "--sampler", "ddpm"], "'huge'")],
)  # fmt: skip
def test_mistakes_leave_nothing(run, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        draw(run, tmp_path / "out", *options)
    assert not list(tmp_path.iterdir())


def test_a_run_is_audited(run, tmp_path, capsys):
    audit.main(["--run", str(run), "--n", "30", "--out", str(tmp_path), "--features", "pixels", "--steps", "2"])
    result = json.loads((tmp_path / "memorisation.json").read_text())
    assert (result["train"], result["samples"], result["calibration"], result["held_out"]) == (96, 30, 24, 24)
    space = result["spaces"]["pixels"]
    assert space["ratio"]["expected"] == 1 / 25 and space["network"]["name"] == "pixels"
    assert result["membership"]["loss"]["auc"]["n"] == [96, 48] and result["membership"]["loss"]["tpr"] is None
    assert result["suspected"] == [] and "no sign of copies" in capsys.readouterr().out
    picture = Image.open(tmp_path / "closest_pixels.png")
    assert picture.text["Synthetic"] == "false" and picture.text["Description"].startswith("Real images")
    with pytest.raises(UserError, match="feature network 'vgg' is none of"):
        audit.main(["--run", str(run), "--out", str(tmp_path), "--features", "vgg"])


def test_samples_say_what_the_filter_did(run, tmp_path, capsys):
    made = draw(run, tmp_path / "a", "--n", "12", "--steps", "2", "--privacy-filter")
    plain = draw(run, tmp_path / "b", "--n", "12", "--steps", "2")
    facts = json.loads(str(made["facts"]))["privacy_filter"]
    assert facts["space"]["name"] == "pixels_32" and facts["train"] == 96 and facts["expected"] == 1 / 49
    assert facts["drawn"] >= 12 and 0 <= facts["rejected"]["low"] <= facts["rejected"]["value"]
    assert "privacy filter: " in capsys.readouterr().out
    np.testing.assert_array_equal(made["labels"], plain["labels"])
    assert facts["drawn"] > 12 or np.abs(made["images"].astype(int) - plain["images"]).max() <= 1


def test_a_filter_that_lets_nothing_pass_leaves_nothing(run, tmp_path):
    with mock.patch("analysis.memorisation.filter.threshold", return_value=(np.inf, 0.01)):
        with pytest.raises(UserError, match="privacy filter: 240 of 240 draws"):
            draw(run, tmp_path / "out", "--n", "12", "--steps", "2", "--privacy-filter", "pixels")
    with pytest.raises(UserError, match="leave it out with --latent"):
        draw(run, tmp_path / "out", "--privacy-filter", "--latent", "traversal")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_not_written_into(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        draw(run, tmp_path)


def test_no_run_no_traceback():
    with pytest.raises(UserError, match="no run directory"):
        sample.main(["--run", "nowhere", "--out", "x"])


def test_the_postprocess_smooths_and_sharpens():
    from analysis.postprocess import postprocess

    edge = np.where(np.arange(16) < 8, -0.5, 0.5)[None, None, :, None].repeat(16, 1)
    noisy = edge + np.random.default_rng(0).normal(0, 0.02, edge.shape)
    out = postprocess(noisy, "bilateral_sharpen")
    assert out.shape == noisy.shape and out[0, :, 9, 0].mean() - out[0, :, 6, 0].mean() > 0.9  # the edge stays
    np.testing.assert_array_equal(postprocess(noisy, "none"), noisy)
