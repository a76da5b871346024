"""Presets that name a dataset or a recipe, on small copies of the datasets' published layouts."""

import json

import numpy as np
import pytest

import analysis
from analysis import sample
from tests.data import layouts
from tests.train.helpers import SHARED, UNET, run_train


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def dissertation(tmp_path_factory, cache):
    """`:chexpert_dissertation` on 40 studies; only sizes and durations are changed."""
    base = tmp_path_factory.mktemp("chexpert")
    run_train(
        base / "run", "configs/ddpm_cxr.py:chexpert_dissertation", cache,
        f"--config.data.dir={layouts.chexpert(base / 'source', patients=50)}",
        "--config.data.image_size=16", "--config.model.plain_unet.widths=(4,8,8,8)",
        "--config.model.plain_unet.embedding=8", "--config.train.batch_size=8", "--config.train.duration=4 epochs",
        "--config.optim.net.milestones=('1 epochs','2 epochs')", "--config.checkpoint.milestones=('3 epochs',)",
        "--config.checkpoint.every=2 epochs", "--config.checkpoint.use=3 epochs", "--config.eval.every=2 epochs",
        "--config.eval.batch_size=4", "--config.eval.preview_every=", "--config.eval.final_images=4",
        "--config.train.log_every=1 steps",
    )  # fmt: skip
    return base / "run"


def test_the_dissertation_as_published(dissertation):
    config = json.loads((dissertation / "config.json").read_text())
    data, model, optim = config["data"], config["model"], config["optim"]["net"]
    assert (data["view"], data["channels"], data["uncertain"], data["flip"]) == ("frontal", 3, "zeros", True)
    assert model["schedule"] == "linear" and model["schedule_options"]["num_steps"] == 500
    assert (optim["learning_rate"], optim["weight_decay"], optim["gamma"]) == (1e-4, 2e-4, 0.65)
    assert config["train"]["accumulate"] == 4 and config["sample"]["steps"] == 300
    run = analysis.load(dissertation)
    assert run.info.classes == ("Pneumonia", "Pneumothorax") and run.info.image_shape == (16, 16, 3)
    betas = -np.expm1(np.diff(run.family.denoiser.schedule.log_alpha_bar))
    np.testing.assert_allclose([betas[0], betas[-1]], [1e-4, 0.02], rtol=0.02)


def test_its_weights_are_those_of_the_milestone(dissertation):
    steps_an_epoch = json.loads((dissertation / "summary.json").read_text())["step"] / 4
    assert analysis.load(dissertation).step == 3 * steps_an_epoch


def test_its_samples_by_300_ancestral_steps(dissertation, tmp_path):
    sample.main(["--run", str(dissertation), "--n", "2", "--label", "pneumonia", "--postprocess", "bilateral_sharpen",
                 "--out", str(tmp_path / "out")])  # fmt: skip
    made = np.load(tmp_path / "out" / "samples.npz")
    options = json.loads(str(made["facts"]))["options"]
    assert made["images"].shape == (2, 16, 16, 3) and (options["sampler"], options["steps"]) == ("ddpm", 300)
    np.testing.assert_array_equal(made["labels"], [[1, 0], [1, 0]])


@pytest.mark.slow
def test_attributes_are_conditioned_on(tmp_path, cache):
    """Sex beside the findings, named at sampling."""
    source = layouts.nih(tmp_path / "source")
    run_train(
        tmp_path / "run", "configs/ddpm_cxr.py:nih,smoke", cache, f"--config.data.dir={source}",
        "--config.data.attributes=('view','sex')", *SHARED, *UNET,
    )  # fmt: skip
    info = analysis.load(tmp_path / "run").info
    assert len(info.classes) == 14 and info.attributes == ("view", "sex")
    sample.main(["--run", str(tmp_path / "run"), "--n", "2", "--label", "Pneumonia,SEX=Male",
                 "--out", str(tmp_path / "out")])  # fmt: skip
    made = np.load(tmp_path / "out" / "samples.npz")["labels"]
    train_labels = np.load(tmp_path / "run" / "train_labels.npy")
    assert made.shape == (2, 16) and (made[:, 15] == 1).all()
    assert np.isin(made[:, 14], train_labels[:, 14]).all()  # what was not asked for is as in training
    assert (made[:, info.classes.index("Pneumonia")] == 1).all() and (made[:, :14].sum(1) == 1).all()
