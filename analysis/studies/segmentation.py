"""Segmenters x beginnings x fractions of the data x seeds, and of the flows steps x masks x sampler."""

import itertools
import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from analysis.metrics.patients import by_patient
from analysis.studies import commands, pairs, readings
from analysis.studies.job import Job
from data import UserError

SAMPLER, PUBLISHED = "euler", "flowsdf"
FLOW = "flow_seg"  # the family that has steps and masks
MEASURES = ("dice", "hd95")
SOURCE = "source"  # name of the pretraining


class Cell(NamedTuple):
    """One training."""

    arm: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.arm}/fraction_{self.fraction:g}/seed_{self.seed}"


class Reading(NamedTuple):
    """How masks are drawn; the deterministic baseline draws one, in one step."""

    sampler: str
    steps: int
    ensemble: int

    @property
    def name(self) -> str:
        return f"{self.sampler}_steps_{self.steps}_ensemble_{self.ensemble}" if self.sampler else "mask"

    @property
    def options(self) -> tuple[str, ...]:
        chosen = ("--sampler", self.sampler, "--steps", str(self.steps), "--ensemble", str(self.ensemble))
        return chosen if self.sampler else ()


ONE_PASS = Reading("", 1, 1)


def cells(config: ml_collections.ConfigDict) -> Iterator[Cell]:
    """Without the pretrained arms where the pretraining would be on the very images that are learned from."""
    same = config.source.preset == config.data.preset
    arms = [name for name, arm in config.arms.items() if not (same and arm.source)]
    yield from itertools.starmap(Cell, itertools.product(arms, config.fractions, config.seeds))


def usual(config: ml_collections.ConfigDict, arm: str) -> Reading:
    """The reading at which arms are compared."""
    return Reading(SAMPLER, **config.use) if config.arms[arm].family == FLOW else ONE_PASS


def readings_of(config: ml_collections.ConfigDict, cell: Cell) -> list[Reading]:
    """All readings of a training; the grid of arms that have one, at the largest fraction."""
    found = [usual(config, cell.arm)]
    if cell.arm in config.grid_arms and cell.fraction == max(config.fractions):
        found += [Reading(SAMPLER, *point) for point in itertools.product(config.steps, config.ensembles)]
        found += [Reading(PUBLISHED, *point) for point in itertools.product(config.published_steps, config.ensembles)]
    return list(dict.fromkeys(found))


def jobs(config: ml_collections.ConfigDict, work: Path) -> list[Job]:
    """The pretraining, if an arm begins from it, the trainings, and a scoring for each reading."""
    commands.check_known("grid_arms", config.grid_arms, config.arms)
    commands.check_known("baseline", [config.baseline], config.arms)
    source = _pretraining(config, work) if any(config.arms[cell.arm].source for cell in cells(config)) else None
    found = [source] if source else []
    for cell in cells(config):
        train = _training(config, work, cell, source)
        found.append(train)
        for reading in readings_of(config, cell):
            family, passes = config.arms[cell.arm].family, reading.steps * reading.ensemble
            found.append(commands.segmentation(config, work, train, family, reading.name, reading.options, passes))
    return found


def _pretraining(config, work: Path) -> Job:
    base = f"configs/{FLOW}.py:{config.source.preset}"
    fields = commands.ends(config.pretrain_steps)
    return commands.training(config, work, SOURCE, FLOW, fields, base, data=config.source)


def _training(config, work: Path, cell: Cell, source: Job | None) -> Job:
    arm = config.arms[cell.arm]
    fields = [*arm.fields, f"data.fraction={cell.fraction}", f"seed={cell.seed}", *commands.ends(config.train_steps)]
    if arm.source:
        fields.append(f"init.source={source.outputs[0].parent}")
    base, needs = f"configs/{arm.family}.py:{config.data.preset}", [source.name] if arm.source else []
    return commands.training(config, work, cell.name, arm.family, fields, base, needs)


def collect(config: ml_collections.ConfigDict, work: Path) -> dict[str, Any]:
    """{"grid", "by_data", "contrasts", "transfer", "pretraining", ...} of the scorings that are there."""
    rows = [row for cell in cells(config) for row in _rows(config, work, cell)]
    return {
        "metric": "dice",
        "baseline": config.baseline,
        "grid": grid(config, rows),
        "by_data": by_data(config, rows),
        "contrasts": contrasts(config, rows),
        "pretraining": {"steps": config.pretrain_steps, "seconds": readings.training_seconds(work / "runs" / SOURCE)},
        "transfer": _transfers(config, work),
        "rows": [row.facts for row in rows],
        **_about(config, work),
    }


def _rows(config, work: Path, cell: Cell) -> list[pairs.Scored]:
    """A row for each reading and measure."""
    found = []
    for reading in readings_of(config, cell):
        path = commands.result_of(work, cell.name, name=reading.name)
        if path.exists():
            result, run = json.loads(path.read_text()), work / "runs" / cell.name
            images = len(np.load(run / "train_labels.npy", mmap_mode="r"))
            seconds = readings.training_seconds(run)
            facts = cell._asdict() | reading._asdict() | {"seconds": seconds, "images": images}
            found += [scored(result, facts, measure) for measure in MEASURES]
    return found


def scored(result: dict[str, Any], facts: dict[str, Any], measure: str) -> pairs.Scored:
    """A result of analysis.segment by one of its scores, whose mean is over images; it varies with the patients."""
    images = np.asarray(result["images"][measure], np.float64)
    value = {"value": float(images.mean()), "low": result[measure]["low"], "high": result[measure]["high"]}
    more = {"parameters": result["parameters"], "images_per_second": result["sampling"]["images_per_second"]}
    facts = facts | more | {"step": result["step"], "measure": measure, measure: value}
    if "groups" not in result:
        raise UserError(f"a result does not say which images are of one patient: delete it to score again ({facts})")
    influence = by_patient(images - images.mean(), np.array(result["groups"]))
    return pairs.Scored(facts, influence, measure)


def _groups(rows: list[pairs.Scored], *names: str) -> Iterator[tuple[dict[str, Any], dict[str, list[pairs.Scored]]]]:
    """(facts, {measure: rows}) of rows that are alike in `names`."""
    for facts, group in pairs.grouped(rows, *names):
        yield facts, {measure: [row for row in group if row.metric == measure] for measure in MEASURES}


def grid(config: ml_collections.ConfigDict, rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Of all the data, every reading of the arms that have a grid, and the baseline; mean over seeds.

    "difference" is Dice less the baseline's, and "to_euler" that of the published sampler less Euler's at the same
    steps and masks, both by seed and in the same images; None where there is nothing to compare with.
    """
    arms = (*config.grid_arms, config.baseline)
    full = [row for row in rows if row.facts["fraction"] == max(config.fractions) and row.facts["arm"] in arms]
    groups = [(facts, group) for facts, group in _groups(full, "arm", "sampler", "steps", "ensemble")]
    known = {tuple(facts.values()): group["dice"] for facts, group in groups}
    base = known.get((config.baseline, *ONE_PASS))
    found = []
    for facts, group in groups:
        euler = known.get((facts["arm"], SAMPLER, facts["steps"], facts["ensemble"]))
        found.append(facts | _means(group) | {
            "evaluations": facts["steps"] * facts["ensemble"],
            "difference": _difference(group["dice"], None if facts["arm"] == config.baseline else base),
            "to_euler": _difference(group["dice"], euler if facts["sampler"] == PUBLISHED else None),
        })  # fmt: skip
    return found


def _difference(a: list[pairs.Scored], b: list[pairs.Scored] | None) -> dict[str, Any] | None:
    """a less b by seed, of the seeds that both have; None where there are none."""
    one, other = ({row.facts["seed"]: row for row in side or ()} for side in (a, b))
    seeds = sorted(set(one) & set(other))
    return pairs.paired([one[s] for s in seeds], [other[s] for s in seeds])["difference"] if seeds else None


def by_data(config: ml_collections.ConfigDict, rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Each arm at each fraction, at the reading that all are compared at; with what it cost, and its Dice less the
    baseline's at the same fraction.
    """
    groups = list(_groups(_usual(config, rows), "arm", "fraction", "steps", "ensemble"))
    base = {facts["fraction"]: group["dice"] for facts, group in groups if facts["arm"] == config.baseline}
    return [
        facts | _means(group) | {
            "seconds": float(np.mean([row.facts["seconds"] for row in group["dice"]])),
            "images": group["dice"][0].facts["images"],
            "difference": _difference(
                group["dice"], None if facts["arm"] == config.baseline else base.get(facts["fraction"])
            ),
        }
        for facts, group in groups
    ]  # fmt: skip


def _means(group: dict[str, list[pairs.Scored]]) -> dict[str, Any]:
    facts = [row.facts for row in group["dice"]]
    speeds = [row["images_per_second"] for row in facts if row["images_per_second"]]
    return {
        "parameters": facts[0]["parameters"],
        "images_per_second": float(np.mean(speeds)) if speeds else None,
        **{measure: pairs.mean(rows) for measure, rows in group.items()},
    }


def _usual(config, rows: list[pairs.Scored]) -> list[pairs.Scored]:
    names = Reading._fields
    return [row for row in rows if tuple(row.facts[name] for name in names) == usual(config, row.facts["arm"])]


def contrasts(config: ml_collections.ConfigDict, rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Dice of each arm minus the baseline's at each fraction, and of what is pretrained minus the same from scratch,
    paired by seed; p-values corrected together (Holm 1979).
    """
    usual_rows = [row for row in _usual(config, rows) if row.metric == "dice"]
    arms = {tuple(facts.values()): {row.facts["seed"]: row for row in group}
            for facts, group in pairs.grouped(usual_rows, "arm", "fraction")}  # fmt: skip
    found = []
    for (a, b), fraction in itertools.product(_compared(config), config.fractions):
        one, other = arms.get((a, fraction), {}), arms.get((b, fraction), {})
        seeds = sorted(set(one) & set(other))
        if seeds:
            test = pairs.paired([one[seed] for seed in seeds], [other[seed] for seed in seeds])
            found.append({"arm": a, "against": b, "fraction": fraction} | test)
    pairs.correct(found)
    return found


def _compared(config) -> list[tuple[str, str]]:
    """(arm, what it is compared with)."""
    found = [(arm, config.baseline) for arm in config.arms if arm != config.baseline]
    scratch = {(arm.family, tuple(arm.fields)): name for name, arm in config.arms.items() if not arm.source}
    tuned = [(name, scratch.get((arm.family, tuple(arm.fields)))) for name, arm in config.arms.items() if arm.source]
    return list(dict.fromkeys([*found, *((a, b) for a, b in tuned if b)]))


def _transfers(config, work: Path) -> dict[str, dict[str, float]]:
    """{arm: {"loaded", "adapted", "fresh"}}: shares of the model's numbers that came of the pretraining, and how."""
    found = {}
    for cell in cells(config):
        path = work / "runs" / cell.name / "init.json"
        if config.arms[cell.arm].source and cell.arm not in found and path.exists():
            found[cell.arm] = shares(json.loads(path.read_text())["tensors"])
    return found


def shares(tensors: list[dict[str, Any]]) -> dict[str, float]:
    """Of a run's init.json: shares of the model's numbers by what became of them."""
    sizes = dict.fromkeys(("loaded", "adapted", "fresh"), 0)
    for tensor in tensors:
        if tensor["status"] in sizes:
            sizes[tensor["status"]] += prod(tensor["shape"])
    return {status: size / sum(sizes.values()) for status, size in sizes.items()}


def _about(config, work: Path) -> dict[str, Any]:
    """What was segmented, of the first result."""
    for cell in cells(config):
        path = commands.result_of(work, cell.name, name=usual(config, cell.arm).name)
        if path.exists():
            result = json.loads(path.read_text())
            facts = {key: result[key] for key in ("data", "split", "n", "image_shape")}
            return facts | {"dataset": config.data.preset}
    return {}
