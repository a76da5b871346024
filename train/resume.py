"""Whether a run directory that is there may be gone on with: asked before anything is written."""

from pathlib import Path

import ml_collections

from data import UserError
from train import build, rundir
from train.checkpoint import is_intact
from train.durations import to_steps


def check(folder: Path, config: ml_collections.ConfigDict, train_images: int) -> None:
    """Asks of a run whose config is this one but for its length; a new folder passes.

    Args:
      train_images: images of the training split.

    Raises:
      UserError: fewer steps than the run was started with or has behind it, or a finished run without checkpoints.
    """
    if (folder / "config.json").exists():
        _check_length(folder, config, train_images)
        _check_not_lost(folder)


def _check_length(folder: Path, config: ml_collections.ConfigDict, train_images: int) -> None:
    total, duration = build.make_plan(config, train_images).total, config.train.duration
    saved = rundir.read_config(folder).train.duration
    if total < to_steps(saved, "config.train.duration", config.train.batch_size, train_images):
        raise UserError(
            f"config.train.duration={duration!r} is shorter than the {saved!r} of {folder}, by which its learning "
            f"rates are set: give at least as many, or use another --workdir"
        )
    done = max((int(seal.stem) for seal in (folder / "checkpoints").glob("[0-9]*.sha256")), default=0)
    if total < done:
        raise UserError(
            f"{folder} has {done} steps behind it, more than config.train.duration={duration!r}: give at least as "
            f"many, or use another --workdir"
        )


def _check_not_lost(folder: Path) -> None:
    """A run that was killed before its first checkpoint starts again; one that ended would be overwritten."""
    steps = sorted((folder / "checkpoints").glob("[0-9]*/"), key=lambda path: path.name.zfill(12), reverse=True)
    if (folder / "summary.json").exists() and not any(map(is_intact, steps)):
        raise UserError(
            f"{folder} holds a finished run without an intact checkpoint to go on from: use another --workdir, or "
            f"delete the folder to train again"
        )
