"""What a run directory refuses to go on with; nothing in it is written then."""

from types import SimpleNamespace

import numpy as np
import pytest

from configs import ddpm_cxr
from data.errors import UserError
from tests.train.helpers import train_here
from train import resume, rundir
from train.checkpoint import write_seal


@pytest.fixture
def run(tmp_path):
    """A finished run of 12 steps with a sealed checkpoint of each of (6, 12), as far as `check` reads it."""
    folder = tmp_path / "run"
    for step in (6, 12):
        (folder / "checkpoints" / str(step)).mkdir(parents=True)
        (folder / "checkpoints" / str(step) / "data").write_text("numbers")
        write_seal(folder / "checkpoints" / str(step))
    rundir.write_json(folder / "config.json", rundir.to_plain(config("12 steps")))
    rundir.write_json(folder / "summary.json", {"step": 12})
    return folder


def config(duration):
    out = ddpm_cxr.get_config("smoke").unlock()
    out.train.duration = duration
    return out


@pytest.mark.parametrize("duration", ["12 steps", "96 images", "1 epochs", "13 steps"])
def test_as_long_or_longer_goes_on(run, duration):
    resume.check(run, config(duration), train_images=96)


def test_a_shorter_duration_is_refused_though_fewer_steps_are_done(run):
    rundir.write_json(run / "config.json", rundir.to_plain(config("20 steps")))
    with pytest.raises(UserError, match="duration='15 steps' is shorter than the '20 steps' of .*run"):
        resume.check(run, config("15 steps"), train_images=96)


def test_fewer_steps_than_are_done_are_refused(run):
    """An epoch has become shorter."""
    rundir.write_json(run / "config.json", rundir.to_plain(config("1 epochs")))
    with pytest.raises(UserError, match="run has 12 steps behind it, more than config.train.duration='1 epochs'"):
        resume.check(run, config("1 epochs"), train_images=80)


@pytest.mark.parametrize("lost", ["deleted", "damaged"])
def test_a_finished_run_without_checkpoints_is_not_overwritten(run, lost):
    for step in ("6", "12"):
        data = run / "checkpoints" / step / "data"
        data.unlink() if lost == "deleted" else data.write_text("other numbers")
    with pytest.raises(UserError, match="run holds a finished run without an intact checkpoint.*delete the folder"):
        resume.check(run, config("12 steps"), train_images=96)
    (run / "summary.json").unlink()  # killed before its first checkpoint: it starts again
    resume.check(run, config("12 steps"), train_images=96)


def test_the_command_asks_before_it_writes(tmp_path, monkeypatch, capsys):
    def refuse(folder, *_):
        raise UserError(f"{folder} is refused")

    monkeypatch.setattr(resume, "check", refuse)
    assert train_here(tmp_path / "run", "--config.eval.every=", cache=tmp_path) == 1
    assert "run is refused" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_changed_data_is_told_at_each_start(tmp_path):
    """Compared with the first start's, not with the last's."""
    images = {"image": np.zeros((4, 8, 8, 1), np.uint8), "label": np.zeros((4, 1))}
    starts = []
    for mark in ("a", "b", "b"):
        info = SimpleNamespace(fingerprint=mark, to_dict=lambda mark=mark: {"fingerprint": mark})
        dataset = SimpleNamespace(info=info, arrays=lambda split: images, label_means=lambda: None)
        starts.append(rundir.record_provenance(tmp_path, dataset))
    assert starts == [True, False, False]
