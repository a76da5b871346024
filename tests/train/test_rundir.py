"""What may change in a directory that holds work already."""

import errno
import os
from pathlib import Path

import pytest

from data.errors import UserError
from train import rundir


def test_the_folder_one_stands_in_can_be_locked(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with rundir.locked(Path(".")):
        assert (tmp_path / ".here.lock").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(number, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(rundir.fcntl, "flock", flock)
    with pytest.raises(UserError, match=f"{tmp_path} is on a file system without locks"), rundir.locked(tmp_path / "x"):
        pass


def test_one_field_may_change_and_is_kept(tmp_path):
    """A run's length; a study's note of how long it takes. Anything else is refused with the difference."""
    folder = tmp_path / "work"
    rundir.keep_config(folder, {"seed": 0, "train": {"duration": "5 steps"}, "expected": "an hour"})
    longer = {"seed": 0, "train": {"duration": "9 steps"}, "expected": "an hour"}
    rundir.keep_config(folder, longer)
    rundir.keep_config(folder, longer | {"expected": "a day"}, free="expected")
    assert '"a day"' in (folder / "config.json").read_text() and "9 steps" in (folder / "config.json").read_text()
    with pytest.raises(UserError, match=r"\(train.duration: '9 steps' -> '1 steps'\)"):
        rundir.keep_config(folder, longer | {"train": {"duration": "1 steps"}}, free="expected")
    with pytest.raises(UserError, match="seed: 0 -> 1"):
        rundir.keep_config(folder, longer | {"seed": 1, "expected": "a day"})
