"""Families x beginnings x fractions of the data x seeds, read at several checkpoints of each training."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from analysis.studies import commands, pairs, readings
from analysis.studies.job import Job

SCRATCH = "scratch"


class Cell(NamedTuple):
    """One training."""

    family: str
    start: str  # scratch, or the name of a source
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.family}/{self.start}/fraction_{self.fraction:g}/seed_{self.seed}"


def cells(config: ml_collections.ConfigDict) -> Iterator[Cell]:
    starts = (SCRATCH, *config.sources)
    yield from itertools.starmap(Cell, itertools.product(config.families, starts, config.fractions, config.seeds))


def points(config: ml_collections.ConfigDict, start: str) -> tuple[int, ...]:
    """Steps at which a run is scored. From scratch it may go on for the steps of the pretraining."""
    longer = config.charge_pretraining and start == SCRATCH and len(config.sources)
    return (*config.points, config.points[-1] + config.pretrain_steps) if longer else tuple(config.points)


def jobs(config: ml_collections.ConfigDict, work: Path) -> list[Job]:
    """Pretrainings, trainings, and an evaluation of each."""
    before = {
        (family, source): _pretraining(config, work, family, source)
        for family, source in itertools.product(config.families, config.sources)
    }
    found = list(before.values())
    for cell in cells(config):
        train = _training(config, work, cell, before.get((cell.family, cell.start)))
        found += [train, commands.evaluation(config, work, train, cell.family, points(config, cell.start))]
    return found


def _pretraining(config, work: Path, family: str, source: str) -> Job:
    data = config.sources[source]
    own = f"configs/pretrain_natural.py:{family},{data.preset}" if source == "natural" else ""
    fields = commands.ends(config.pretrain_steps)
    return commands.training(config, work, f"sources/{family}/{source}", family, fields, own, data=data)


def _training(config, work: Path, cell: Cell, source: Job | None) -> Job:
    steps = points(config, cell.start)
    fields = [f"data.fraction={cell.fraction}", f"seed={cell.seed}", *commands.ends(*steps)]
    if source:
        folder = source.outputs[0].parent
        fields += [f"init.source={folder}", *config.finetune_fields]
    return commands.training(config, work, cell.name, cell.family, fields, needs=[source.name] if source else [])


def collect(config: ml_collections.ConfigDict, work: Path) -> dict[str, Any]:
    """{"rows", "curves", "contrasts", "pretraining", "strips", "floor", "ceiling"} of what has been evaluated."""
    rows = [row for cell in cells(config) for row in _rows(config, work, cell)]
    folder = work / "runs" / "sources"
    cost = {
        family: {source: readings.training_seconds(folder / family / source) for source in config.sources}
        for family in config.families
    }
    return {
        "metric": "kid",
        "rows": [row.facts for row in rows],
        "curves": curves(rows),
        "contrasts": contrasts(config, rows, cost),
        "pretraining": {"steps": config.pretrain_steps, "seconds": cost},
        "strips": _strips(config, work),
        **_references(config, work),
    }


def _rows(config, work: Path, cell: Cell) -> list[pairs.Scored]:
    paths = [commands.result_of(work, cell.name, step) for step in points(config, cell.start)]
    rows = [readings.scored(config, path, cell._asdict()) for path in paths]
    return [row for row in rows if row]


def _references(config, work: Path) -> dict[str, Any]:
    """Floor and ceiling, of the first evaluation with the most data."""
    for cell in sorted(cells(config), key=lambda cell: -cell.fraction):
        if found := readings.references(config, _end(config, work, cell)):
            return found
    return {}


def curves(rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Mean KID over seeds at each point, with its interval."""
    return [
        facts | {"seconds": float(np.mean([row.facts["seconds"] for row in group])), "kid": pairs.mean(group)}
        for facts, group in pairs.grouped(rows, "family", "start", "fraction", "step")
    ]


def contrasts(config: ml_collections.ConfigDict, rows: list[pairs.Scored], cost: dict) -> list[dict[str, Any]]:
    """Fine-tuned minus scratch, paired by seed, for each family, source and fraction, at equal steps, wall-clock, and
    wall-clock with pretraining counted; the primary one marked, the others' p-values corrected together (Holm 1979).
    """
    found = []
    for family, source, fraction in itertools.product(config.families, config.sources, config.fractions):
        here = [row for row in rows if (row.facts["family"], row.facts["fraction"]) == (family, fraction)]
        arms = [_by_seed([row for row in here if row.facts["start"] == start]) for start in (source, SCRATCH)]
        seeds = sorted(set(arms[0]) & set(arms[1]))
        chosen = {"family": family, "source": source, "fraction": fraction}
        for budget, (tuned, scratch) in _budgets(config, arms, seeds, cost[family][source]).items():
            test = pairs.paired(tuned, scratch)
            primary = budget == "steps" and chosen == config.primary.to_dict()
            found.append(chosen | {"budget": budget, "primary": primary} | test)
    pairs.correct([row for row in found if not row["primary"]])
    return found


def _by_seed(rows: list[pairs.Scored]) -> dict[int, list[pairs.Scored]]:
    found: dict[int, list[pairs.Scored]] = {}
    for row in rows:
        found.setdefault(row.facts["seed"], []).append(row)
    return found


def _budgets(config, arms, seeds: list[int], pretraining: float | None) -> dict[str, tuple[list, list]]:
    """{budget: (fine-tuned, from scratch)}, scored runs in the order of `seeds`; without budgets not reached.

    steps: at the last common step. wall-clock: at the time that the faster of the two took for it. with pretraining:
    the fine-tuned at its end, beside scratch at that time and that of the pretraining.
    """
    tuned, scratch = ([arm[seed] for seed in seeds] for arm in arms)
    ends = [[pairs.at_step(run, config.points[-1]) for run in arm] for arm in (tuned, scratch)]
    if not seeds or any(end is None for arm in ends for end in arm):
        return {}
    found = {"steps": tuple(ends)}
    least = [min(a.facts["seconds"], b.facts["seconds"]) for a, b in zip(*ends, strict=True)]
    found["wall-clock"] = tuple(
        [pairs.at_seconds(run, time) for run, time in zip(arm, least, strict=True)] for arm in (tuned, scratch)
    )
    if config.charge_pretraining and pretraining is not None:
        times = [end.facts["seconds"] + pretraining for end in ends[0]]
        found["with pretraining"] = (ends[0], [pairs.at_seconds(r, t) for r, t in zip(scratch, times, strict=True)])
    return {name: arms for name, arms in found.items() if all(run is not None for arm in arms for run in arm)}


def pictures(config: ml_collections.ConfigDict, work: Path) -> dict[str, Path]:
    """{name: file} of the first samples of the first seed, at the last common step."""
    return {f"{_picture(cell)}.png": _end(config, work, cell).with_suffix(".png") for cell in _drawn(config, work)}


def _strips(config, work: Path) -> list[dict[str, Any]]:
    return [
        {"family": cell.family, "start": cell.start, "fraction": cell.fraction, "seed": cell.seed}
        | readings.strip(_end(config, work, cell), _picture(cell))
        for cell in _drawn(config, work)
    ]


def _picture(cell: Cell) -> str:
    return f"{cell.family}_{cell.start}_{cell.fraction:g}"


def _end(config, work: Path, cell: Cell) -> Path:
    return commands.result_of(work, cell.name, config.points[-1])


def _drawn(config, work: Path) -> list[Cell]:
    first = [cell for cell in cells(config) if cell.seed == config.seeds[0]]
    return [cell for cell in first if _end(config, work, cell).exists()]
