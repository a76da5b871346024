"""Every study at every size: its trainings have configs that are understood and networks that can be built."""

import contextlib
import importlib
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from analysis.studies.registry import STUDIES
from data import Info, UserError
from data.covariance import pixel_covariance
from data.label_means import label_means
from tests.train.helpers import ROOT
from train import build
from train.__main__ import define_flags
from train.cli import parse_config

SIZES = [(study, size) for study in STUDIES for size in ("smoke", "cpu", "gpu")] + [
    ("families", "cpu64"), ("families", "cpu64,nih"), ("scratch_vs_finetune", "cpu64"),
]  # fmt: skip


def jobs_of(study, size):
    config = importlib.import_module(f"configs.studies.{study}").get_config(size)
    return config, STUDIES[study].jobs(config, Path("work"))


def parsed(job):
    argv = [word for word in job.argv if not word.startswith("--config.init.")]
    with contextlib.chdir(ROOT), mock.patch.object(sys, "argv", argv):
        return parse_config(argv, define_flags)[0]


def kinds(jobs):
    """A training of each kind: jobs that differ in more than the seed and the share of the data."""
    alike = ("--config.seed=", "--config.data.fraction=", "--config.data.dir=", "--config.init.source=")
    found = {tuple(word for word in job.argv[:-1] if not word.startswith(alike)): job
             for job in jobs if job.argv[0] == "train"}  # fmt: skip
    return list(found.values())


def info_of(config):
    """What a dataset of two classes with a mask would be at this size."""
    size, channels = config.data.image_size, config.data.channels
    return Info(
        name="made_up", image_shape=(size, size, channels), bits=8, classes=("a", "b"), exclusive=False, attributes=(),
        mask_channels=("mask",), raters=1, factors=(), sizes={"train": 100, "val": 10, "test": 10}, patients=None,
        mean=(0.0,) * channels, std=(0.5,) * channels, licence="", citation="", fingerprint="", skipped=0,
    )  # fmt: skip


@pytest.mark.parametrize(("study", "size"), SIZES)
def test_trainings_can_be_built(study, size):
    _, jobs = jobs_of(study, size)
    trainings = kinds(jobs)
    assert trainings
    for job in trainings:
        config = parsed(job)
        info = info_of(config)
        images, labels = np.zeros((4, *info.image_shape), np.uint8), np.zeros((4, 2), np.float32)
        means = label_means(images, labels)
        build.build_family(config, info, means, None, pixel_covariance(images, labels, means, 1))
        assert build.make_plan(config, 100).total == job.size, job.name


@pytest.mark.parametrize(("study", "size"), SIZES)
def test_jobs_have_names_of_their_own_and_needs_that_are_there(study, size):
    config, jobs = jobs_of(study, size)
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names) and {need for job in jobs for need in job.needs} <= set(names)
    outputs = [path for job in jobs for path in job.outputs]
    assert len(set(outputs)) == len(outputs) and all(job.size > 0 for job in jobs)
    assert config.expected and config.is_locked


@pytest.mark.parametrize(("study", "field", "value", "known"), [
    ("samplers", "families", ("gan",), "ddpm, flow"), ("families", "chosen", ("phantom", "ct"), "phantom, phantom_mri"),
    ("memorisation", "families", ("ddpm",), "flow, gan"), ("segmentation", "baseline", "none", "flow, "),
])  # fmt: skip
def test_a_name_that_a_study_has_not_is_told(study, field, value, known):
    config = importlib.import_module(f"configs.studies.{study}").get_config("cpu")
    config[field] = value
    with pytest.raises(UserError, match=f"config.{field} names .*; choose from .*{known}"):
        STUDIES[study].jobs(config, Path("work"))


def test_a_dataset_may_be_named_beside_the_size():
    module = importlib.import_module("configs.studies.memorisation")
    config = module.get_config("cpu,phantom_us")
    assert (config.data.preset, config.name) == ("phantom_us", "cpu_phantom_us")
    with pytest.raises(ValueError, match="one dataset may be named, of phantom"):
        module.get_config("cpu,nothing")
    families = importlib.import_module("configs.studies.families")
    config = families.get_config("cpu64,brain_mri")
    assert (config.chosen, config.name) == (("brain_mri",), "cpu64_brain_mri")
    assert families.get_config("cpu64").chosen == ("phantom",)
    with pytest.raises(ValueError, match="one dataset may be named, of phantom, .*brain_mri"):
        families.get_config("cpu64,brats")


@pytest.mark.parametrize("study", ["families", "scratch_vs_finetune", "memorisation"])
def test_a_study_that_is_stopped_has_whole_comparisons(study):
    """All trainings of a seed come before the next seed's."""
    seeds = [job.name.split("seed_")[1].split("/")[0] for job in jobs_of(study, "cpu")[1] if "seed_" in job.name]
    assert len(set(seeds)) > 2 and seeds == sorted(seeds, key=seeds.index)
