"""A finished training whose defaults have changed since is not mixed with new ones."""

import contextlib
import json

import pytest

from analysis.studies import stale
from analysis.studies.job import Job
from data import UserError
from tests.train.helpers import ROOT
from train import rundir
from train.__main__ import define_flags
from train.cli import parse_config


def finished(folder, *changes):
    """A training's job, and its run directory as if it had ended with `changes` to today's defaults."""
    argv = ("train", "--config", "configs/gan_cxr.py:smoke", "--config.seed=3", "--workdir", str(folder))
    config, _ = parse_config(list(argv), define_flags)
    saved = rundir.to_plain(config)
    for (*parents, field), value in changes:
        inner = saved
        for name in parents:
            inner = inner[name]
        inner[field] = value
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(saved))
    return Job(folder.name, argv, (folder / "summary.json",))


def test_changed_defaults_are_refused(tmp_path):
    with contextlib.chdir(ROOT):
        same = finished(tmp_path / "same", (("compilation_cache",), "elsewhere"))
        stale.check([same])  # computed elsewhere, the same run
        other = finished(tmp_path / "other", (("optim", "generator", "learning_rate"), 0.5), (("seed",), 3))
        unknown = Job("never/begun", other.argv, (tmp_path / "nowhere" / "summary.json",))
        with pytest.raises(UserError) as told:
            stale.check([same, other, unknown])
    words = str(told.value)
    assert "have now: 1, the first of them other" in words and "same" not in words.split()
    assert "optim.generator.learning_rate: 0.5 -> 0.001" in words and "seed" not in words
