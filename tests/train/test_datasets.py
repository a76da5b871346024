"""A DDPM trains, samples and goes on with every dataset, as `configs/ddpm_cxr.py:DATASET,smoke`."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from configs import datasets
from tests.data import dicoms, layouts, niftis, test_camelyon17, test_pcam, test_tfds_images
from tests.train.helpers import TINY, run_train


def tables(root):
    return layouts.nih(root, layouts.nih_rows(patients=30))


def npz(root):
    return layouts.medmnist(root.with_suffix(".npz"), sizes=(60, 20, 20))


def folders(*classes, inner=""):
    return lambda root: layouts.folder(root / inner, classes=classes, each=30, colour=True) and root


def cifar10(root):
    class Cifar10(test_tfds_images.Tiny, skip_registration=True):
        name = "cifar10"

    return test_tfds_images.written(root, kind=Cifar10)


def imagenet64(root):
    class ImagenetResized(test_tfds_images.Tiny, skip_registration=True):
        name = "imagenet_resized"
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="64x64", version="1.0.0")]

    return test_tfds_images.written(root, kind=ImagenetResized, config="64x64")


SOURCES = {
    "phantom": None,
    "phantom_mri": None,
    "phantom_us": None,
    "phantom_tissue": None,
    "natural": None,
    "nih": tables,
    "chexpert": lambda root: layouts.chexpert(root, patients=40),
    "folder": folders("cat", "dog"),
    "tissue": folders("normal", "tumour"),
    "brain_mri": folders("glioma_tumor", "no_tumor", inner="Training"),
    "all_smears": folders("Benign", "Early", inner="Original"),
    "sars_cov_2_ct": folders("COVID", "non-COVID"),
    "medmnist": npz,
    "brats": lambda root: niftis.brats(root, subjects=12),
    "ixi": lambda root: niftis.ixi(root, subjects=12),
    "dicom": lambda root: dicoms.tree(root, patients=30),
    "pcam": lambda root: test_pcam.written(root),
    "camelyon17": test_camelyon17.camelyon17,
    "cifar10": cifar10,
    "imagenet64": imagenet64,
    "mix": tables,
}


def test_every_preset_is_run():
    assert set(SOURCES) == set(datasets.PRESETS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_smoke(tmp_path, name):
    source = SOURCES[name](tmp_path / "source") if SOURCES[name] else None
    options = [f"--config.data.dir={source}"] if source and name != "mix" else []
    if name == "mix":
        options = [f'--config.data.mix=("nih@{source}=0.5","phantom_cxr[num_images=60]=0.5")']
    if name in ("brats", "ixi"):
        options += ["--config.data.slice_step=1"]
    check_training(tmp_path, name, *options)


@pytest.mark.slow
def test_smoke_of_a_table(tmp_path):
    """Folders whose findings, patients and attributes stand in a CSV."""
    source = layouts.folder(tmp_path / "source", each=30)
    rows = [
        {"path": f"{name}/{i:02}.png", "nodule": i % 2, "patient": i // 2, "sex": "FM"[i % 2]}
        for name in ("cat", "dog")
        for i in range(30)
    ]
    layouts.save_table(source / "labels.csv", rows)
    options = (f"--config.data.dir={source}", "--config.data.labels=labels.csv", "--config.data.attributes=('sex',)")
    check_training(tmp_path, "folder", *options)
    info = json.loads((tmp_path / "run" / "config.json").read_text())
    assert info["data"]["labels"] == "labels.csv"
    assert np.load(tmp_path / "run" / "train_labels.npy").shape[1] == 2  # the finding and the sex


def check_training(tmp_path, name, *options):
    """Twelve steps, finite losses, pictures."""
    run_train(tmp_path / "run", f"configs/ddpm_cxr.py:{name},smoke", tmp_path, *options, *TINY["ddpm_cxr"])
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["train_loss"] for row in rows if "train_loss" in row]
    assert losses and np.isfinite(losses).all() and summary["step"] == 12
    assert list((tmp_path / "run" / "samples").glob("*.png"))
