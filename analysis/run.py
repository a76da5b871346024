"""A trained run, opened again without its data: the model, its parameters and what it knows of the dataset."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from data import Info, UserError
from models.family import Family
from models.state import State
from train import build, rundir, sharding
from train.checkpoint import Checkpointer
from train.fine_tune import options_of, read_start


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What `load` returns.

    Attributes:
      folder: the run directory.
      config: its config.
      info: of the dataset it was trained on.
      family: the model.
      state: parameters, averages and step of one checkpoint.
      train_seconds: of the training up to it, without compiling; None of checkpoints that do not say.
      train_labels: [n, k] labels of the training split, to draw labels from; all of them.
    """

    folder: Path
    config: ml_collections.ConfigDict
    info: Info
    family: Family
    state: State
    train_seconds: float | None
    train_labels: np.ndarray

    @property
    def step(self) -> int:
        return int(self.state.step)

    @property
    def parameters(self) -> int:
        """Numbers in all networks together."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.state.params))

    @property
    def fitted(self) -> int:
        """Numbers fitted to the training split in closed form, which its images are drawn with too."""
        return getattr(self.family, "fitted", 0)

    def sample_options(self, **changes: Any) -> dict[str, Any]:
        """`config.sample` with changes; None changes nothing.

        Raises:
          UserError: the family's sampler has no such option.
        """
        options = self.config.sample.to_dict()
        changes = {key: value for key, value in changes.items() if value is not None}
        for key in changes:
            if key not in options:
                raise UserError(f"--{key}: the family {self.config.model.family!r} samples without it; "
                                f"it has {', '.join(sorted(options))}")  # fmt: skip
        return options | changes


def load(folder: str | Path, checkpoint: str = "") -> Run:
    """Opens a run directory.

    Args:
      checkpoint: latest, best, a step's number, or a duration ("75 epochs"); "" is `config.checkpoint.use`.

    Raises:
      UserError: no run there, or no such checkpoint.
    """
    folder = Path(folder)
    config = rundir.read_config(folder)
    starts = rundir.read_json(folder / "provenance.json")
    info = Info.from_dict(starts[-1]["data"])
    try:
        start = read_start(folder, options_of(config))
        known = (rundir.read_label_means(folder, info), start, rundir.read_covariance(folder, info))
        family = build.build_family(config, info, *known)
    except (AttributeError, KeyError) as error:  # a field that has come since
        raise UserError(
            f"{folder} was trained by another version of this code (its config lacks {error}); "
            f"check out the revision named in {folder / 'provenance.json'}"
        ) from error
    mesh = sharding.mesh_here(config.mesh.fsdp)
    checkpointer = Checkpointer(folder / "checkpoints", read_only=True)
    try:
        name = checkpoint or config.checkpoint.use
        step = checkpointer.find(name, config.train.batch_size, info.sizes["train"])
        state, host = checkpointer.restore(build.state_shapes(family, info, mesh), step)
    finally:
        checkpointer.close()
    labels = np.load(folder / "train_labels.npy")
    return Run(folder, config, info, family, state, host.get("seconds"), labels)
