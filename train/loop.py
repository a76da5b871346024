"""The training loop. It knows no family: a state, a step, and evaluators that it is handed."""

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from data import UserError
from data.dataset import Dataset
from models.family import Family
from models.state import State
from train import build, rundir, sharding, writers
from train.checkpoint import Checkpointer
from train.feed import prefetch
from train.progress import Progress, say

Scalars = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Something done every so many steps, and at the end.

    Attributes:
      name: prefix of its scalars.
      every: steps; 0 is only at the end.
      fn: (state, step) -> scalars, and uint8 images by name to log.
    """

    name: str
    every: int
    fn: Callable[[State, int], tuple[Scalars, Mapping[str, Any]]]

    def due(self, step: int, total: int) -> bool:
        return step == total or (self.every > 0 and step % self.every == 0)


class Interrupted(Exception):
    """A signal asked the run to stop; its state is saved."""

    def __init__(self, signum: int, step: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} at step {step}")
        self.signum, self.step = signum, step


class _Restart(Exception):
    """The rehearsed interruption of `config.train.restart_at`."""


@dataclasses.dataclass
class Window:
    """Sums of scalars since the last row; they travel in the checkpoint, so rows do not depend on interruptions."""

    sums: dict[str, float] = dataclasses.field(default_factory=dict)
    count: int = 0

    def add(self, scalars: Scalars) -> None:
        self.count += 1
        for name, value in scalars.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def means(self) -> dict[str, float]:
        return {name: total / self.count for name, total in self.sums.items()}


def run(
    config: ml_collections.ConfigDict,
    folder: Path,
    dataset: Dataset,
    family: Family,
    mesh: Mesh,
    evaluators: list[Evaluator],
    begin: Callable[[State], State] = lambda state: state,
) -> dict[str, Any]:
    """Trains from where `folder` stands to the end, and returns the summary.

    Args:
      begin: what becomes of a fresh state before its first step.

    Raises:
      UserError: the loss is not finite, or the directory does not fit.
      Interrupted: SIGTERM or SIGINT, after saving.
    """
    plan = build.make_plan(config, dataset.info.sizes["train"])
    checkpointer = Checkpointer(
        folder / "checkpoints", config.checkpoint.keep, config.checkpoint.keep_best, plan.milestones
    )
    try:
        trainer = _Trainer(config, folder, dataset, family, mesh, evaluators, plan, checkpointer)
        while True:
            with contextlib.suppress(_Restart):
                return trainer.train(*_start(config, dataset, family, mesh, checkpointer, begin))
    finally:
        checkpointer.close()


def _start(config, dataset, family, mesh, checkpointer, begin) -> tuple[State, dict[str, Any]]:
    """The newest intact checkpoint, or a fresh state."""
    if checkpointer.latest_step is None:
        return begin(build.init_state(family, dataset.info, mesh, config.seed)), {}
    state, host = checkpointer.restore(build.state_shapes(family, dataset.info, mesh))
    say(f"going on from step {int(state.step)}")
    return state, host


class _Trainer:
    """One call of `run`: what its parts share."""

    def __init__(self, config, folder, dataset, family, mesh, evaluators, plan, checkpointer):
        self.config, self.folder, self.plan, self.mesh = config, folder, plan, mesh
        self.family = family
        self.dataset, self.evaluators, self.checkpointer = dataset, evaluators, checkpointer
        key = build.root_key(config.seed, "train")
        self.train_step = build.jit_train_step(family, dataset.info, mesh, key)
        self.latest: dict[str, float] = {}  # newest value of every scalar, for the summary
        self.window = Window()
        self.trained, self.timed, self.seconds = 0, 0, 0.0  # steps in this start; those after the first, and their time
        self.total_seconds = 0.0  # of training in all starts

    def train(self, state: State, host: dict[str, Any]) -> dict[str, Any]:
        step, total = int(state.step), self.plan.total
        self.latest = dict(host.get("latest", {}))
        self.total_seconds = float(host.get("seconds", 0.0))
        if step > total:
            raise UserError(
                f"{self.folder} has {step} steps behind it, more than config.train.duration="
                f"{self.config.train.duration!r}: give at least as many, or use another --workdir"
            )
        if step == total and (self._summed_up(step) or not host.get("owed")):
            return self._finished(step)
        self.window = Window(dict(host.get("sums", {})), int(host.get("count", 0)))
        self.rows = int(host.get("rows", 0))
        self.writer = _open_writers(self.folder, self.rows)
        if host.get("owed"):
            score = self._evaluate_due(state, step)
            if score is not None and self._saves(step):
                self.checkpointer.set_score(step, score)
        batches = prefetch(self._batch, step, total)
        with _stop_signals() as stop, contextlib.closing(batches), contextlib.closing(self.writer):
            with Progress(total, self.config.train.batch_size, step) as self.progress:
                state = self._steps(state, step, batches, stop)
        return self._finished(int(state.step))

    def _steps(self, state: State, step: int, batches: Iterator, stop: list[int]) -> State:
        start, pending = step, None  # scalars of the step before, fetched while this one computes
        if not step:
            say("compiling the training step")
        clock = time.monotonic()
        for batch in batches:
            state, scalars = self.train_step(state, batch)
            if pending is not None:
                self._collect(step, pending)
            step, pending = step + 1, scalars
            self.trained += 1
            if self.trained == 1:  # waits for the compiler, whose time is not training's
                jax.block_until_ready(scalars)
                clock = time.monotonic()
            if self._pauses(step) or (stop and jax.process_count() == 1):
                self._collect(step, pending)
                pending = None
                self._clock_in(time.monotonic() - clock)
                asked = _agreed(stop)
                self._pause(state, step, asked)
                if asked and step < self.plan.total:
                    raise Interrupted(asked[0], step)
                if step == self.plan.restart_at > start and step < self.plan.total:
                    raise _Restart
                self.progress.restart_clock()
                clock = time.monotonic()
        return state

    def _clock_in(self, seconds: float) -> None:
        self.timed, self.seconds = self.trained - 1, self.seconds + seconds
        self.total_seconds += seconds

    def _batch(self, index: int) -> dict[str, jax.Array]:
        """Batch `index` of the run, on the devices."""
        return sharding.put_batch(self._source[index], self.mesh)

    @property
    def _source(self):
        if not hasattr(self, "_batches"):
            shard = (jax.process_index(), jax.process_count())
            self._batches = self.dataset.batches(
                "train", self.config.train.batch_size, self.config.seed, shard=shard, raw=True
            )
        return self._batches

    def _collect(self, step: int, scalars) -> None:
        """Takes in one step's scalars; stops the run where one is not finite."""
        values = {name: float(value) for name, value in jax.device_get(scalars).items()}
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            good = self.checkpointer.latest_step
            where = f"the last good checkpoint is that of step {good}" if good else "there is no checkpoint yet"
            raise UserError(
                f"{bad[0]} is {values[bad[0]]} at step {step}; {where} in {self.checkpointer.folder}: "
                f"lower config.optim.*.learning_rate or set config.optim.*.clip, in another --workdir"
            )
        self.window.add(values)
        self.progress.update(step, f"loss {values['loss']:.4f}" if "loss" in values else "")

    def _pauses(self, step: int) -> bool:
        return (
            step % self.plan.log_every == 0
            or self._saves(step)
            or any(e.due(step, self.plan.total) for e in self.evaluators)
        )

    def _saves(self, step: int) -> bool:
        plan = self.plan
        return step % plan.save_every == 0 or step in (plan.total, plan.restart_at, *plan.milestones)

    def _pause(self, state: State, step: int, stop: list[int]) -> None:
        """Logs, evaluates and saves what is due after `step`; a signal may enter `stop` meanwhile."""
        total, score = self.plan.total, None
        if step % self.plan.log_every == 0:
            means = self.window.means()
            self._log(step, {f"train_{k}": v for k, v in means.items()})
            for warning in self.family.warnings(means):
                say(f"warning at step {step}: {warning}")
            self.window = Window()
        # A signal leaves little time: what is due is evaluated when the run goes on. A checkpoint that is there only
        # for the signal is never the best, since an uninterrupted run has none.
        owed = bool(stop) and step < total
        if not owed:
            score = self._evaluate_or_save(state, step)
        self.writer.flush()
        if stop or self._saves(step):
            self.checkpointer.save(state, self._host(owed), score if self._saves(step) else None)
        if stop or step in (total, self.plan.restart_at):
            self.checkpointer.wait()

    def _host(self, owed: bool) -> dict[str, Any]:
        """What goes with a state into its checkpoint, as it is now; `owed`: what is due is not evaluated yet."""
        host = {"sums": self.window.sums, "count": self.window.count, "latest": dict(self.latest), "owed": owed}
        return host | {"rows": self.rows, "seconds": round(self.total_seconds, 2)}

    def _evaluate_or_save(self, state: State, step: int) -> float | None:
        """Evaluates what is due; where that fails the state is saved first, and the evaluation is owed."""
        before = self._host(owed=True)
        try:
            return self._evaluate_due(state, step)
        except Exception:
            if jax.process_count() == 1:  # of several hosts one may fail alone, and would wait for the others for ever
                self.writer.flush()
                self.checkpointer.save(state, before)
                self.checkpointer.wait()
                say(f"an evaluation failed; step {step} is saved, and the same command goes on with that evaluation")
            raise

    def _evaluate_due(self, state: State, step: int) -> float | None:
        """Calls the evaluators that are due, and returns the scalar that decides the best checkpoint."""
        score = None
        for evaluator in self.evaluators:
            if evaluator.due(step, self.plan.total):
                score = self._evaluate(evaluator, state, step).get(self.plan.best, score)
        return score

    def _evaluate(self, evaluator: Evaluator, state: State, step: int) -> Scalars:
        scalars, images = evaluator.fn(state, step)
        scalars = {f"{evaluator.name}_{k}": float(v) for k, v in scalars.items()}
        if scalars:
            self._log(step, scalars)
        self.writer.write_images(step, images)
        return scalars

    def _log(self, step: int, scalars: Scalars) -> None:
        self.latest |= scalars
        self.rows += 1
        self.writer.write_scalars(step, scalars)

    def _summed_up(self, step: int) -> bool:
        """Whether there is a summary of this step."""
        path = self.folder / "summary.json"
        return path.exists() and rundir.read_json(path)["step"] == step

    def _finished(self, step: int) -> dict[str, Any]:
        """Writes and returns summary.json; a finished run's own is returned as it is."""
        path = self.folder / "summary.json"
        if not self.trained and self._summed_up(step):
            return rundir.read_json(path)
        images = self.timed * self.config.train.batch_size
        summary = {
            "step": step,
            "images": step * self.config.train.batch_size,
            "metrics": self.latest,
            "train_seconds": round(self.total_seconds, 2),
            "best_step": self.checkpointer.best_step(),
            "device": rundir.device_name(),
            "last_start": {
                "steps": self.trained,
                "seconds": round(self.seconds, 2),
                "images_per_second": round(images / self.seconds, 2) if self.seconds else None,
            },
        }
        if jax.process_index() == 0:
            rundir.write_json(path, summary)
        return summary


def _open_writers(folder: Path, rows: int) -> writers.MultiWriter:
    """Only the first host writes."""
    if jax.process_index():
        return writers.MultiWriter()
    out = [writers.JsonlWriter(folder / "metrics.jsonl", rows)]
    if writers.tensorboard_installed():
        out.append(writers.TensorBoardWriter(folder / "tensorboard"))
    return writers.MultiWriter(*out)


def _agreed(stop: list[int]) -> list[int]:
    """The signals to act on. Of several hosts those that any of them has had, so that all save and end at one step:
    they ask each other at pauses, and a host alone in a save would wait for the others for ever.
    """
    if jax.process_count() == 1:
        return stop  # itself, as a signal may enter it meanwhile
    from jax.experimental import multihost_utils

    signals = multihost_utils.process_allgather(np.int32(stop[0] if stop else 0))
    return [int(signals.max())] if signals.any() else []


@contextlib.contextmanager
def _stop_signals():
    """A list that the first SIGTERM or SIGINT enters; a second SIGINT interrupts at once."""
    received: list[int] = []

    def handle(signum, frame):
        if received and signum == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(signum)
        say(f"{signal.Signals(signum).name}: saving after this step")

    old = {s: signal.signal(s, handle) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)
