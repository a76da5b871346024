"""Families x beginnings x fractions of the data x seeds, read at several checkpoints of each training."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from analysis.studies import commands, pairs, readings
from analysis.studies.job import Job

SCRATCH = "scratch"
COUNTED = "with pretraining"  # the budget that counts it


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
    """By seed, and the beginnings side by side, so that a study that is stopped has whole comparisons."""
    starts = (SCRATCH, *config.sources)
    for seed, family, fraction, start in itertools.product(config.seeds, config.families, config.fractions, starts):
        yield Cell(family, start, fraction, seed)


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
    """{"rows", "curves", "contrasts", "pretraining", "strips", ...} of what has been evaluated."""
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
        "guidance": _guidance(config, work),
        **_references(config, work),
    }


def _rows(config, work: Path, cell: Cell) -> list[pairs.Scored]:
    paths = [commands.result_of(work, cell.name, step) for step in points(config, cell.start)]
    rows = [readings.scored(config, path, cell._asdict()) for path in paths]
    return [row for row in rows if row]


def _references(config, work: Path) -> dict[str, Any]:
    ends = ((cell.fraction, _end(config, work, cell)) for cell in cells(config))
    return readings.references_of_fractions(config, ends)


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
        chosen = {"family": family, "source": source, "fraction": fraction}
        for budget, runs in _budgets(config, arms, cost[family][source]).items():
            both = {seed: pair for seed, pair in runs.items() if None not in pair}
            if both:
                primary = budget == "steps" and chosen == config.primary.to_dict()
                tuned, scratch = zip(*both.values(), strict=True)
                before = cost[family][source] if budget == COUNTED else 0.0
                facts = {"budget": budget, "primary": primary, "seeds": list(both)} | _arms(tuned, scratch, before)
                found.append(chosen | facts | pairs.paired(tuned, scratch))
    pairs.correct([row for row in found if not row["primary"]])
    return found


def _by_seed(rows: list[pairs.Scored]) -> dict[int, list[pairs.Scored]]:
    found: dict[int, list[pairs.Scored]] = {}
    for row in rows:
        found.setdefault(row.facts["seed"], []).append(row)
    return found


def _arms(tuned, scratch, before: float) -> dict[str, Any]:
    """Mean of each arm over the seeds compared, and how many seconds the fine-tuned took longer, with those before."""
    late = [before + a.facts["seconds"] - b.facts["seconds"] for a, b in zip(tuned, scratch, strict=True)]
    return {"tuned": pairs.mean(tuned), "scratch": pairs.mean(scratch), "seconds_apart": float(np.mean(late))}


def _budgets(config, arms, pretraining: float | None) -> dict[str, dict[int, tuple]]:
    """{budget: {seed: (fine-tuned, from scratch)}}; None where a run has not been scored there.

    steps: at the last common step. wall-clock: at the time that the faster of the two took for it. with pretraining:
    the fine-tuned at its end, beside scratch when it had been trained for that time and the pretraining's, or at its
    own end, which has as many steps, where the clock says a little more.
    """
    found: dict[str, dict[int, tuple]] = {"steps": {}, "wall-clock": {}, COUNTED: {}}
    last, end = config.points[-1], points(config, SCRATCH)[-1]
    for seed in sorted(set(arms[0]) | set(arms[1])):
        tuned, scratch = (arm.get(seed, []) for arm in arms)
        ends = tuple(pairs.at_step(run, last) for run in (tuned, scratch))
        found["steps"][seed] = ends
        if None in ends:
            continue
        least = min(run.facts["seconds"] for run in ends)
        found["wall-clock"][seed] = tuple(pairs.at_seconds(run, least) for run in (tuned, scratch))
        final = pairs.at_step(scratch, end)
        if config.charge_pretraining and pretraining is not None and final:
            time = min(ends[0].facts["seconds"] + pretraining, final.facts["seconds"])
            found[COUNTED][seed] = (ends[0], pairs.at_seconds(scratch, time))
    return found


def pictures(config: ml_collections.ConfigDict, work: Path) -> dict[str, Path]:
    """{name: file} of the first samples of the first seed, at the last common step."""
    return {f"{_picture(cell)}.png": _end(config, work, cell).with_suffix(".png") for cell in _drawn(config, work)}


def _strips(config, work: Path) -> list[dict[str, Any]]:
    return [
        {"family": cell.family, "start": cell.start, "fraction": cell.fraction, "seed": cell.seed}
        | readings.strip(_end(config, work, cell), _picture(cell))
        for cell in _drawn(config, work)
    ]


def _guidance(config, work: Path) -> dict[str, float]:
    """{family: guidance that its images were drawn with}, of families that have such a thing."""
    found = {}
    for cell in _drawn(config, work):
        guidance = json.loads(_end(config, work, cell).read_text())["sampling"].get("guidance")
        if guidance is not None:
            found.setdefault(cell.family, guidance)
    return found


def _picture(cell: Cell) -> str:
    return f"{cell.family}_{cell.start}_{cell.fraction:g}"


def _end(config, work: Path, cell: Cell) -> Path:
    return commands.result_of(work, cell.name, config.points[-1])


def _drawn(config, work: Path) -> list[Cell]:
    first = [cell for cell in cells(config) if cell.seed == config.seeds[0]]
    return [cell for cell in first if _end(config, work, cell).exists()]
