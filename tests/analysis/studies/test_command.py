"""`python -m analysis.study` answers what cannot be run before anything is made, also with --dry-run."""

import contextlib
import json
import sys

import pytest

from analysis import study
from data import UserError
from tests.train.helpers import ROOT


def told(monkeypatch, folder, *options):
    """What the command answers; nothing is left behind."""
    argv = ["study", "--config", "configs/studies/families.py:smoke", "--workdir", str(folder), *options]
    monkeypatch.setattr(sys, "argv", argv)
    before = sorted(folder.rglob("*"))
    with contextlib.chdir(ROOT), pytest.raises(UserError) as raised:
        study.main()
    assert sorted(folder.rglob("*")) == before
    return str(raised.value)


@pytest.mark.parametrize("name", ["rate=0.3", "cpu.2", "../cpu", "a b", ""])
def test_a_name_that_cannot_name_files_is_refused(monkeypatch, tmp_path, name):
    words = told(monkeypatch, tmp_path / "work", f"--config.name={name}", "--dry-run")
    assert f"config.name={name!r}" in words and "letters, digits" in words


def test_a_dry_run_refuses_what_the_run_would_refuse(monkeypatch, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty and holds no run" in told(monkeypatch, tmp_path, "--dry-run")
    (tmp_path / "config.json").write_text(json.dumps({"study": "samplers"}))
    assert "holds a run of another config (" in told(monkeypatch, tmp_path, "--dry-run")
    assert "--workers=0" in told(monkeypatch, tmp_path, "--workers=0")
