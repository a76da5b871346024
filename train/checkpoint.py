"""Checkpoints by Orbax, saved in the background, each sealed with a checksum of its own.

Orbax commits a step atomically but does not notice a flipped bit afterwards, and lists a damaged step as the
newest. So every step gets a SHA-256 beside it once it is committed, and restoring takes the newest intact one.
"""

import contextlib
import copy
import hashlib
import json
import logging
import math
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from data import UserError
from models.state import State
from train.durations import to_steps

LATE = "late_score.json"
logger = logging.getLogger(__name__)
logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax tells every save on stderr otherwise


class Checkpointer:
    """Saves and restores the state of one run, with a small dict of host values beside it."""

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        keep_best: int = 1,
        milestones: tuple[int, ...] = (),
        read_only: bool = False,
    ):
        """Opens `folder`; damaged or unsealed steps in it are put aside with a warning.

        Args:
          read_only: change nothing in `folder`; damaged steps are passed over.
          keep: newest steps kept; at least two, since the one before is what is left until the next is sealed.
          keep_best: steps of the smallest `score` kept beside them.
          milestones: steps kept for good.
        """
        self.folder = folder.absolute()
        self._damaged: set[int] = set()
        if read_only:
            self._damaged = {int(path.name) for path in _step_folders(self.folder) if not is_intact(path)}
        elif jax.process_index() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            _put_damaged_aside(self.folder)
        _wait_for_hosts("checkpoints are checked")
        self._scores = _late_scores(self.folder)
        for path in _step_folders(self.folder):
            if int(path.name) not in self._damaged:
                self._scores |= _scores(path)
        # Orbax deletes once a step is committed, before it is sealed: killed in between, nothing would be left.
        kept = [policies.LatestN(max(keep, 2)), _Best(self._scores, keep_best), policies.CustomSteps(list(milestones))]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(kept),
            enable_async_checkpointing=not read_only,
            read_only=read_only,
            create=not read_only,
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)
        self._sealer = ThreadPoolExecutor(max_workers=1)
        self._sealed: Future | None = None

    @property
    def latest_step(self) -> int | None:
        """The newest intact step, None where there is none."""
        return max(self.steps, default=None)

    @property
    def steps(self) -> list[int]:
        """Intact steps, oldest first."""
        return sorted(set(self._manager.all_steps()) - self._damaged)

    def save(self, state: State, host: dict[str, Any], score: float | None = None) -> None:
        """Starts saving; returns once the arrays are copied. A step that is there already is left as it is.

        Args:
          host: JSON values that belong to the state (sums of a metrics window).
          score: what decides the best checkpoints, the smaller the better.
        """
        self.wait()
        step = int(state.step)
        if step in self.steps:
            return
        if score is not None:
            self.set_score(step, score)
        # Written in the background: what the caller goes on to change must not change in the file.
        host = copy.deepcopy(host) | {"scores": {str(step): value for step, value in self._scores.items()}}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), host=ocp.args.JsonSave(host))
        self._manager.save(step, args=items, force=True)
        self._sealed = self._sealer.submit(self._seal, step)

    def restore(self, like: State, step: int | None = None) -> tuple[State, dict[str, Any]]:
        """(state, host values) of `step`, by default the newest.

        Args:
          like: a state, or its shapes with shardings, of the same architecture.

        Raises:
          UserError: no such step, or a checkpoint of another architecture.
        """
        step = self.latest_step if step is None else step
        if step not in self.steps:
            have = ", ".join(map(str, self.steps)) or "none"
            raise UserError(f"{self.folder} holds no intact checkpoint of step {step}; there are: {have}")
        # Asked beforehand, since a restore that fails half-way leaves threads behind which complain at exit.
        difference = _difference(_shapes(_saved_tree(self.folder / str(step))), _shapes(like))
        if difference:
            raise UserError(
                f"{self.folder / str(step)} is a checkpoint of another architecture ({difference}); "
                f"use the config that it was trained with, or another --workdir"
            )
        items = ocp.args.Composite(state=ocp.args.StandardRestore(like), host=ocp.args.JsonRestore())
        restored = self._manager.restore(step, args=items)
        return restored["state"], restored["host"]

    def find(self, name: str, batch_size: int, train_images: int) -> int:
        """The step called `name`: latest, best, a step's number, or a duration such as "75 epochs".

        Raises:
          UserError: no checkpoint at all, no scored one, or no duration.
        """
        if self.latest_step is None:
            raise UserError(f"{self.folder} holds no intact checkpoint; train the run first")
        if name == "latest":
            return self.latest_step
        if name == "best":
            best = self.best_step()
            if best is None:
                raise UserError(f"{self.folder}: no checkpoint has a score; use latest")
            return best
        duration = f"{name} steps" if name.isdigit() else name
        return to_steps(duration, "the checkpoint", batch_size, train_images)

    def set_score(self, step: int, score: float) -> None:
        """Scores a step. A score must be finite; that of a step that is saved already is kept beside the steps."""
        if math.isfinite(score):
            self._scores[step] = score
            if step in self.steps and jax.process_index() == 0:
                _write_whole(self.folder / LATE, json.dumps({step: score}))

    def best_step(self) -> int | None:
        """The kept step of the smallest score, None where none has one."""
        return next(iter(_ranked(self._scores, self.steps)), None)

    def wait(self) -> None:
        """Returns when the last save is committed and sealed; raises what went wrong in it, once.

        Raises:
          UserError: it could not be written.
        """
        sealed, self._sealed = self._sealed, None
        try:
            if sealed is not None:
                sealed.result()
        except Exception as error:
            with contextlib.suppress(Exception):  # Orbax raises it once in each thread: in the sealer's, and in this
                self._manager.wait_until_finished()
            if isinstance(error, OSError):
                raise UserError(
                    f"no checkpoint could be saved in {self.folder} ({error.strerror or error}); make room there, and "
                    f"the same command goes on from the one before"
                ) from error
            raise

    def close(self) -> None:
        """Waits as `wait` does, and ends the threads whatever it raises."""
        try:
            self.wait()
        finally:
            self._sealer.shutdown()
            self._manager.close()

    def _seal(self, step: int) -> None:
        self._manager.wait_until_finished()
        if jax.process_index() == 0:
            write_seal(self.folder / str(step))
            _remove_stray_seals(self.folder)


def read_params(step_folder: Path) -> dict[str, Any]:
    """{"params", "ema"} of a saved step as nested dicts of NumPy arrays; the rest is not read."""
    step_folder = step_folder.absolute()  # below a relative path Orbax finds no metadata
    saved = _saved_tree(step_folder)
    wanted = {name: saved[name] for name in ("params", "ema")}
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
    args = ocp.args.PyTreeRestore(item=wanted, restore_args=as_numpy, partial_restore=True)
    return ocp.PyTreeCheckpointer().restore(step_folder / "state", args=args)


def _saved_tree(step_folder: Path):
    """The tree of a saved state: shapes and dtypes, no values."""
    return ocp.StandardCheckpointer().metadata(step_folder / "state").item_metadata.tree


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}


def _difference(saved: dict[str, tuple], wanted: dict[str, tuple]) -> str:
    """The first difference between two trees' names and shapes, in words; "" where there is none."""
    for name in sorted(saved.keys() | wanted.keys()):
        if saved.get(name) != wanted.get(name):
            words = ["nothing" if shape is None else str(shape) for shape in (saved.get(name), wanted.get(name))]
            return f"{name} is {words[0]} there and {words[1]} in the config's"
    return ""


class _Best(policies.PreservationPolicy):
    """Keeps the steps of the n smallest scores (Orbax's own needs metrics that a StandardSave does not store)."""

    def __init__(self, scores: dict[int, float], n: int):
        self._scores, self._n = scores, n

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        best = _ranked(self._scores, [checkpoint.step for checkpoint in checkpoints])[: self._n]
        return [checkpoint.step in best for checkpoint in checkpoints]


def _ranked(scores: dict[int, float], steps: list[int]) -> list[int]:
    """The steps that have a score, best (smallest) first."""
    return sorted((s for s in steps if s in scores), key=lambda s: (scores[s], s))


def write_seal(step_folder: Path) -> None:
    """Writes the checksum of a committed step beside it."""
    _write_whole(_seal_path(step_folder), content_hash(step_folder) + "\n")


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def is_intact(step_folder: Path) -> bool:
    """Whether a step has a seal and its content still matches it."""
    seal = _seal_path(step_folder)
    return seal.exists() and seal.read_text().strip() == content_hash(step_folder)


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def _put_damaged_aside(folder: Path) -> None:
    """Renames every step that is not intact, so that the newest one left can be trusted."""
    intact = [path for path in _step_folders(folder) if is_intact(path)]
    used = f"step {intact[-1].name} is used" if intact else "training starts from step 0"
    for step_folder in _step_folders(folder):
        if step_folder in intact:
            continue
        reason = "does not match its checksum" if _seal_path(step_folder).exists() else "was not sealed"
        aside = folder / f"damaged_{step_folder.name}"
        while aside.exists():
            aside = aside.with_name(aside.name + "_")
        os.replace(step_folder, aside)
        _seal_path(step_folder).unlink(missing_ok=True)
        logger.warning("checkpoint %s %s; it is set aside as %s and %s", step_folder, reason, aside.name, used)


def _step_folders(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.name.isdigit()) if folder.exists() else ()
    return sorted(found, key=lambda path: int(path.name))


def _remove_stray_seals(folder: Path) -> None:
    for seal in folder.glob("*.sha256"):
        if not (folder / seal.stem).exists():
            seal.unlink(missing_ok=True)


def _seal_path(step_folder: Path) -> Path:
    return step_folder.with_name(f"{step_folder.name}.sha256")


def _scores(step_folder: Path) -> dict[int, float]:
    """The scores that were known when this step was saved, its own among them."""
    path = step_folder / "host" / "metadata"
    saved = json.loads(path.read_text()).get("scores", {}) if path.exists() else {}
    return {int(step): score for step, score in saved.items()}


def _late_scores(folder: Path) -> dict[int, float]:
    """The score of a step that was evaluated after it had been saved; later saves hold it too."""
    path = folder / LATE
    return {int(step): score for step, score in json.loads(path.read_text()).items()} if path.exists() else {}


def _wait_for_hosts(what: str) -> None:
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(what)
