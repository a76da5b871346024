"""The beginning of a run: what `config.init` asks for, told to the person at the terminal and kept in the run."""

import sys
from pathlib import Path

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from data import Info, UserError
from data.covariance import PixelCovariance
from data.label_means import LabelMeans
from models import family as families
from models.lora import is_factor
from models.state import State
from train import build, rundir
from train.fine_tune import FILE, Start, counts, in_words, make_start, options_of, read_start
from train.progress import say


def prepare(
    config: ml_collections.ConfigDict,
    folder: Path,
    info: Info,
    means: LabelMeans,
    covariance: PixelCovariance | None = None,
) -> Start | None:
    """How the run in `folder` began, or is to begin; None where it begins from nothing.

    Raises:
      UserError: fields that do not go together, no such source, another model's, or one that has changed since.
    """
    options = options_of(config)
    plain = build.build_family(config, info, means, covariance=covariance)
    options.check(families.networks(config.model.family, config.model.to_dict()))
    known = read_start(folder, options)
    if not options.source or (known and any((folder / "checkpoints").glob("*.sha256"))):
        return known
    alone = Mesh(np.asarray(jax.local_devices()[:1])[:, None], ("data", "fsdp"))  # every host sees all of it
    state = build.init_state(plain, info, alone, config.seed)
    start = make_start(options, plain, rundir.to_plain(config)["model"], info, state)
    if known and known.facts["sha256"] != start.facts["sha256"]:
        raise UserError(
            f"config.init.source={options.source!r} has changed since {folder} began from it; use another --workdir"
        )
    return start


def record(folder: Path, start: Start | None) -> None:
    """Writes RUN/init.json, once."""
    if start and jax.process_index() == 0 and not (folder / FILE).exists():
        rundir.write_json(folder / FILE, start.to_json())


def unchanged(state: State) -> State:
    """The beginning of a run from nothing."""
    return state


def tell(start: Start | None) -> None:
    """What became of every tensor; those that came as they are, and the adapters, in one line a network."""
    if start is None or start.params is None:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"parameters from {start.facts['path']}")
    for name in ("tensor", "shape", "what", "how", "training"):
        table.add_column(name, overflow="fold")
    alike: dict[tuple, list[int]] = {}
    for row in start.rows:
        role = start.role(row) or ""
        if row.status == "loaded" or is_factor(row.path):
            alike.setdefault((row.network, row.status, row.rule, role), []).append(row.size)
        else:
            name, shape = f"{row.network}/{'/'.join(row.path)}", " x ".join(map(str, row.shape))
            table.add_row(name, shape, row.status, row.rule, role)
    for (network, status, rule, role), sizes in alike.items():
        table.add_row(f"{network}: {len(sizes)} tensors", f"{sum(sizes):,} numbers", status, rule, role)
    Console(stderr=True, width=None if sys.stderr.isatty() else 120).print(table)
    for line in start.differences:
        say(f"the source was another model in {line}")
    say(f"parameters: {in_words(counts(start))}; every tensor is listed in {FILE} of the run")
