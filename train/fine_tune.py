"""Fine-tuning: a run that begins from trained parameters (`config.init`).

What became of every parameter is decided once, written to RUN/init.json, and read from there when the run goes on, is
sampled or evaluated: the source is needed only until the first checkpoint.

Of the source only parameters are taken. The optimiser, its warm-up, the moving average and the step begin anew; the
scale and centre of the pixels and the mean images are those of the new data, so that the network meets what it was
trained on: images about 0 of the deviation `sigma_data`.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from data import Info, UserError
from models.family import Family
from models.lora import is_factor
from models.state import State
from models.trainable import check_kind, role
from models.transfer import Images, Row, transfer
from train import rundir
from train.sources import flatten, read_source, unflatten

FILE = "init.json"
LEAST = 0.5  # share of the model's numbers that a source must give


@dataclasses.dataclass(frozen=True)
class Options:
    """`config.init`; its fields are explained in configs/base.py."""

    source: str = ""
    checkpoint: str = ""
    average: bool = True
    train: str = "all"
    rate: float = 1.0
    freeze_levels: int = 2
    lora_rank: int = 8
    lora_alpha: float = 8.0

    def check(self, networks: tuple[str, ...]) -> None:
        """Raises UserError where the fields cannot be meant, for a model of these networks."""
        try:
            check_kind(self.train, networks)
        except ValueError as error:
            raise UserError(str(error)) from error
        if self.train != "all" and not self.source:
            raise UserError(f"config.init.train={self.train!r} needs config.init.source; give it, or train 'all'")
        for name, least in (("lora_rank", 1), ("freeze_levels", 1)):
            if getattr(self, name) < least:
                raise UserError(f"config.init.{name}={getattr(self, name)} must be at least {least}")
        if not 0 <= self.rate < math.inf:
            raise UserError(f"config.init.rate={self.rate} must be a factor of 0 or more on the learning rate")

    @property
    def adapters(self) -> tuple[int, float] | None:
        """(rank, alpha) of the model's low-rank adapters; None without."""
        return (self.lora_rank, self.lora_alpha) if self.train == "lora" else None


def options_of(config: ml_collections.ConfigDict) -> Options:
    """`config.init`; the defaults for a run from before there was fine-tuning."""
    return Options(**config.init.to_dict()) if "init" in config else Options()


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """How a run began.

    Attributes:
      facts: of the source, see `train.sources.Source`.
      rows: what became of each parameter, and of those of the source that are not used.
      roles: network -> {"a/b/kernel": new, pretrained or frozen}.
      differences: fields of `config.model` in which the source was another model, "field: there -> here".
      params: network -> parameters by path, None once the run has a checkpoint.
    """

    facts: dict[str, Any]
    rows: list[Row]
    roles: dict[str, dict[str, str]]
    differences: list[str]
    params: dict[str, Any] | None = None

    def begin(self, state: State) -> State:
        """A fresh state with these parameters, and with averages that begin at them.

        Raises:
          UserError: the run had checkpoints, so that the source was not read, and none of them is intact.
        """
        if self.params is None:
            raise UserError("no intact checkpoint is left of this run; begin again with another --workdir")
        place = lambda value, like: jnp.copy(jax.device_put(value, like.sharding))  # noqa: E731
        params = jax.tree.map(place, {name: unflatten(flat) for name, flat in self.params.items()}, state.params)
        return state.replace(params=params, ema={name: jax.tree.map(jnp.copy, params[name]) for name in state.ema})

    def to_json(self) -> dict[str, Any]:
        tensors = [
            {"network": row.network, "path": "/".join(row.path), "shape": list(row.shape), "status": row.status,
             "rule": row.rule, "whole": row.whole, "training": self.role(row)}
            for row in self.rows
        ]  # fmt: skip
        return {"source": self.facts, "model_differences": self.differences, "tensors": tensors}

    def role(self, row: Row) -> str | None:
        """new, pretrained or frozen; None for what is not used."""
        return None if row.status == "unused" else self.roles[row.network]["/".join(row.path)]


def read_start(folder: Path, options: Options) -> Start | None:
    """How the run in `folder` began, without the parameters; None where it has not begun, or begins from none.

    Raises:
      UserError: the file is lost.
    """
    if not options.source:
        return None
    path = folder / FILE
    if not path.exists():
        if any((folder / "checkpoints").glob("*.sha256")):
            raise UserError(f"{path} is missing, which says how this run began; begin again with another --workdir")
        return None
    saved = rundir.read_json(path)
    rows, roles = [], {}
    for tensor in saved["tensors"]:
        training = tensor.pop("training")
        if training:
            roles.setdefault(tensor["network"], {})[tensor["path"]] = training
        rows.append(Row(**tensor | {"path": tuple(tensor["path"].split("/")), "shape": tuple(tensor["shape"])}))
    return Start(saved["source"], rows, roles, saved["model_differences"])


def make_start(options: Options, family: Family, model: Mapping[str, Any], info: Info, state: State) -> Start:
    """Reads the source and decides what becomes of each parameter.

    Args:
      family: of the config, for where its parameters stand.
      model: `config.model`, as JSON holds it.
      state: a fresh one.

    Raises:
      UserError: no such source, or one of another model.
    """
    images = Images(info.image_shape[-1], info.labels)
    source = read_source(options.source, options.checkpoint, options.average, images)
    params, rows = {}, []
    for name, tree in state.params.items():
        here, there = flatten(jax.device_get(tree)), source.networks.get(name, {})
        params[name], some = transfer(name, here, there, family.param_group, images, source.images)
        rows += some
    _check_share(options.source, rows)
    roles: dict[str, dict[str, str]] = {name: {} for name in params}
    for row in rows:
        if row.status != "unused":
            roles[row.network]["/".join(row.path)] = role(options.train, family, row, options.freeze_levels)
    for name in source.networks.keys() - params.keys():
        rows += [Row(name, path, value.shape, "unused", "no such network here")
                 for path, value in source.networks[name].items()]  # fmt: skip
    differences = [] if source.model is None else rundir.differences(source.model, dict(model))
    return Start(source.facts, rows, roles, differences, params)


def _check_share(given: str, rows: list[Row]) -> None:
    """Raises UserError where the source gives less than half of the model's numbers."""
    ours = [row for row in rows if row.status != "unused" and not is_factor(row.path)]
    total = sum(row.size for row in ours)
    found = sum(row.size for row in ours if row.status != "fresh")
    if found >= LEAST * total:
        return
    missing = [row for row in ours if row.status == "fresh"]
    first = "; ".join(f"{row.network}/{'/'.join(row.path)} {row.shape}: {row.rule}" for row in missing[:3])
    raise UserError(
        f"config.init.source={given!r} gives only {found / max(total, 1):.0%} of this model's numbers ({first}); "
        f"use the config.model it was trained with (docs/fine_tuning.md has those of published weights)"
    )


def counts(start: Start) -> dict[str, int]:
    """Numbers that are trained anew, trained on from the source, and frozen."""
    sizes = {"new": 0, "pretrained": 0, "frozen": 0}
    for row in start.rows:
        if row.status != "unused":
            sizes[start.role(row)] += row.size
    return sizes


def in_words(sizes: Mapping[str, int]) -> str:
    """`counts` for a person."""
    trained = sizes["new"] + sizes["pretrained"]
    return f"{trained:,} trained, of which {sizes['pretrained']:,} come from the source; {sizes['frozen']:,} frozen"
