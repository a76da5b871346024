"""The loop, on a family of one number: what it goes on from, and what a signal leaves behind."""

import dataclasses
import errno
import os
import signal
from types import SimpleNamespace

import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest

from configs import ddpm_cxr
from data import DataOptions, UserError, load
from models.state import State
from tests.train.helpers import write_npz
from train import checkpoint, loop, rundir, sharding
from train.checkpoint import Checkpointer

TOTAL, EVERY = 12, 4


@dataclasses.dataclass(frozen=True, eq=False)
class Countdown:
    """A family of one number (or several alike), which is lowered by a tenth a step."""

    size: int = 1

    def init(self, key, batch):
        return State(jnp.zeros((), jnp.int32), {"net": {"w": jnp.ones(self.size)}}, {"net": {}}, {}, {})

    def train_step(self, state, batch, key):
        lower = {"net": {"w": state.params["net"]["w"] - 0.1}}
        return state.replace(step=state.step + 1, params=lower), {"loss": lower["net"]["w"][0]}

    def param_group(self, path):
        return "body"

    def warnings(self, scalars):
        return []


@pytest.fixture
def opened(tmp_path):
    """A function that trains in a folder with an evaluator that calls `when(step)`; the best step is the 8th."""
    config = ddpm_cxr.get_config("medmnist,smoke").unlock()
    config.train.log_every = "4 steps"
    config.checkpoint.update(keep=2, keep_best=1)
    options = DataOptions(
        name="medmnist", dir=str(write_npz(tmp_path / "tiny.npz")), cache=str(tmp_path / "cache"), image_size=16
    )
    dataset = load(options, progress=False)

    def train(folder, when=lambda step: None, total=TOTAL, family=Countdown(), restart_at="", save_every=4):
        def score(state, step):
            when(step)
            return {"loss": abs(step - 8) + float(state.params["net"]["w"][0])}, {}

        folder.mkdir(exist_ok=True)
        config.train.duration, config.train.restart_at = f"{total} steps", restart_at
        config.checkpoint.every = f"{save_every} steps"
        evaluators = [loop.Evaluator("val", EVERY, score)]
        return loop.run(config, folder, dataset, family, sharding.make_mesh(1), evaluators)

    return SimpleNamespace(train=train, folder=tmp_path)


def stop():
    os.kill(os.getpid(), signal.SIGTERM)


def same(a, b):
    left, right = (rundir.read_json(folder / "summary.json") for folder in (a, b))
    keys = ("step", "images", "metrics", "best_step")
    assert {key: left[key] for key in keys} == {key: right[key] for key in keys} and left["best_step"] == 8
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    steps = [sorted(p.name for p in (folder / "checkpoints").glob("*.sha256")) for folder in (a, b)]
    assert steps[0] == steps[1] == ["12.sha256", "8.sha256"]


def test_within_an_evaluation(opened):
    opened.train(opened.folder / "whole")
    with pytest.raises(loop.Interrupted, match="SIGTERM at step 8"):
        opened.train(opened.folder / "stopped", lambda step: stop() if step == 8 else None)
    opened.train(opened.folder / "stopped")
    same(opened.folder / "whole", opened.folder / "stopped")


def test_before_an_evaluation_that_is_then_owed(opened, monkeypatch):
    opened.train(opened.folder / "whole")
    collect, seen = loop._Trainer._collect, []

    def collect_and_stop(self, step, scalars):
        collect(self, step, scalars)
        if step == 8 and 8 not in seen:
            seen.append(step)
            stop()

    monkeypatch.setattr(loop._Trainer, "_collect", collect_and_stop)
    with pytest.raises(loop.Interrupted, match="SIGTERM at step 8"):
        opened.train(opened.folder / "stopped", lambda step: seen.append(f"evaluated {step}"))
    assert seen == ["evaluated 4", 8]
    opened.train(opened.folder / "stopped")
    same(opened.folder / "whole", opened.folder / "stopped")


@pytest.mark.parametrize("at", [8, 12])
def test_an_evaluation_that_fails_loses_no_step_and_is_owed(at, opened, capsys):
    """Also the last one, whose score no later checkpoint holds."""

    def fail(step):
        if step == at:
            raise MemoryError("out of memory")

    opened.train(opened.folder / "whole")
    opened.train(opened.folder / "failed", total=4)  # whose summary is not that of the whole
    with pytest.raises(MemoryError):
        opened.train(opened.folder / "failed", fail)
    assert f"step {at} is saved" in capsys.readouterr().err
    opened.train(opened.folder / "failed")
    assert f"going on from step {at}" in capsys.readouterr().err
    same(opened.folder / "whole", opened.folder / "failed")
    before = (opened.folder / "failed" / "summary.json").read_bytes()
    opened.train(opened.folder / "failed", fail)  # nothing is owed any more
    assert (opened.folder / "failed" / "summary.json").read_bytes() == before
    folders = (opened.folder / name / "checkpoints" for name in ("whole", "failed"))
    whole, failed = (Checkpointer(folder, read_only=True)._scores for folder in folders)
    assert whole == failed and set(whole) == {4, 8, 12}


@pytest.mark.parametrize("owed", [False, True])
def test_a_checkpoint_made_for_a_signal_is_never_the_best(owed, opened, monkeypatch):
    """Evaluated at 4, 8 and 12 but saved at 6 and 12: the one of step 8 is there for the signal alone."""
    collect = loop._Trainer._collect
    folder, seen = opened.folder / "stopped", []

    def stop_once(step):
        if step == 8 and not seen:
            seen.append(step)
            stop()

    if owed:
        monkeypatch.setattr(
            loop._Trainer, "_collect", lambda self, step, scalars: (collect(self, step, scalars), stop_once(step))
        )
    with pytest.raises(loop.Interrupted, match="at step 8"):
        opened.train(folder, lambda step: None if owed else stop_once(step), save_every=6)
    assert opened.train(folder, save_every=6)["best_step"] == 12


def test_what_is_changed_after_saving_is_not_in_the_file(opened, monkeypatch):
    """Sums of the metrics go on while the file is written in the background."""
    saved, real = {}, ocp.args.JsonSave
    monkeypatch.setattr(ocp.args, "JsonSave", lambda host: saved.update(host=host) or real(host))
    kept = Checkpointer(opened.folder / "checkpoints")
    host = {"sums": {"loss": 1.0}}
    kept.save(Countdown().init(None, None), host)
    host["sums"]["loss"] = 2.0
    assert saved["host"]["sums"] == {"loss": 1.0}
    kept.close()


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("where", ["Orbax", "seal"])
def test_a_save_that_fails_is_told_once_and_all_is_closed(where, waits, opened, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = (ocp.CheckpointManager, "_finalize") if where == "Orbax" else (checkpoint, "write_seal")
    monkeypatch.setattr(*place, full)
    kept = Checkpointer(opened.folder / "checkpoints")
    kept.save(Countdown().init(None, None), {})
    with pytest.raises(UserError, match="could be saved in .*checkpoints .No space left on device."):
        kept.wait() if waits else kept.close()
    kept.close()
    assert kept._sealer._shutdown


def test_the_one_before_stays_even_where_one_is_kept(opened):
    """Killed between Orbax's commit of a step and its seal, a run goes on from the one before."""
    kept, state = Checkpointer(opened.folder / "checkpoints", keep=1), Countdown().init(None, None)
    for step in (4, 8, 12):
        kept.save(state.replace(step=state.step + step), {})
    kept.close()
    assert kept.steps == [8, 12]


@pytest.mark.parametrize("sealed, used", [((4, 8), "step 4 is used"), ((8,), "training starts from step 0")])
def test_a_damaged_checkpoint_is_put_aside_with_what_is_used_instead(sealed, used, tmp_path, caplog):
    for step in (4, 8):
        (tmp_path / str(step)).mkdir()
        (tmp_path / str(step) / "data").write_text("as it was")
        if step in sealed:
            checkpoint.write_seal(tmp_path / str(step))
    (tmp_path / "8" / "data").write_text("changed")
    checkpoint._put_damaged_aside(tmp_path)
    assert f"set aside as damaged_8 and {used}" in caplog.text


def test_a_score_that_is_not_a_number_is_never_the_best(opened):
    scored = Checkpointer(opened.folder / "checkpoints")
    for step, score in ((4, float("nan")), (8, 1.0), (12, 0.5)):
        scored.set_score(step, score)
    scored.close()
    assert scored._scores == {8: 1.0, 12: 0.5}


def test_a_damaged_checkpoint_is_not_read_where_nothing_may_be_changed(opened):
    opened.train(opened.folder / "run")
    (opened.folder / "run" / "checkpoints" / "12" / "host" / "metadata").write_text('{"scores": {"8"')
    readable = Checkpointer(opened.folder / "run" / "checkpoints", read_only=True)
    assert readable.latest_step == 8 and readable.best_step() == 8
    readable.close()


def test_a_longer_duration_goes_on_where_the_shorter_ended(opened, capsys):
    opened.train(opened.folder / "whole")
    opened.train(opened.folder / "longer", total=8)
    assert opened.train(opened.folder / "longer")["last_start"]["steps"] == 4
    assert "going on from step 8" in capsys.readouterr().err
    same(opened.folder / "whole", opened.folder / "longer")


def test_a_finished_run_without_its_summary_knows_how_long_it_took(opened):
    before = opened.train(opened.folder / "run")["train_seconds"]
    (opened.folder / "run" / "summary.json").unlink()
    assert opened.train(opened.folder / "run")["train_seconds"] == before > 0


def test_a_shorter_duration_than_the_run_has_behind_it_is_refused(opened):
    opened.train(opened.folder / "run")
    with pytest.raises(UserError, match="has 12 steps behind it, more than config.train.duration='8 steps'"):
        opened.train(opened.folder / "run", total=8)


def test_a_run_that_is_saved_at_no_step_is_saved_at_its_end(opened, monkeypatch):
    saved, save = [], Checkpointer.save
    keep = lambda self, state, *rest: saved.append(int(state.step)) or save(self, state, *rest)  # noqa: E731
    monkeypatch.setattr(Checkpointer, "save", keep)
    opened.train(opened.folder / "run", save_every=0)
    assert saved == [12]


def test_a_rehearsed_restart_changes_nothing(opened, capsys):
    opened.train(opened.folder / "whole")
    opened.train(opened.folder / "restarted", restart_at="8 steps")
    assert "going on from step 8" in capsys.readouterr().err
    same(opened.folder / "whole", opened.folder / "restarted")


def test_a_damaged_newest_checkpoint_is_recognised(opened, capsys, caplog):
    """One flipped bit in the newest: a warning, the one before it, and the same end."""
    opened.train(opened.folder / "whole")
    folder = opened.folder / "damaged"
    opened.train(folder, total=8)
    victim = max((p for p in (folder / "checkpoints" / "8").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(bytes(data))
    opened.train(folder)
    assert "8 does not match its checksum" in caplog.text
    assert "going on from step 4" in capsys.readouterr().err
    assert (folder / "checkpoints" / "damaged_8").exists()
    same(opened.folder / "whole", folder)


def test_a_checkpoint_of_another_architecture_is_refused(opened):
    opened.train(opened.folder / "run", total=8)
    with pytest.raises(UserError, match="8 is a checkpoint of another architecture.*w is .1,. there and .2,. in"):
        opened.train(opened.folder / "run", family=Countdown(2))


class Broken(Countdown):
    """Its loss is infinite at step 7."""

    def train_step(self, state, batch, key):
        state, scalars = super().train_step(state, batch, key)
        return state, {"loss": jnp.where(state.step == 7, jnp.inf, scalars["loss"])}


def test_a_loss_that_is_not_finite_stops_the_run(opened):
    with pytest.raises(UserError, match="loss is inf at step 7; the last good checkpoint is that of step 4"):
        opened.train(opened.folder / "run", family=Broken())
