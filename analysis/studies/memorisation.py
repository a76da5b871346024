"""Families x augmentations x fractions of the data x seeds, audited at several checkpoints of each run."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from analysis.memorisation.threshold import band, smallest
from analysis.studies import commands, pairs, readings
from analysis.studies.job import Job

MEASURES = ("copies", "authentic", "membership")
UNSEEN = ("copies_unseen", "authentic_unseen")  # the same of images that no run has learned from
NONE = "none"  # the augmentation that the others are compared with


class Cell(NamedTuple):
    """One training."""

    family: str
    augmentation: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.family}/{self.augmentation}/fraction_{self.fraction:g}/seed_{self.seed}"


def cells(config: ml_collections.ConfigDict) -> Iterator[Cell]:
    """By seed, so that a study that is stopped has whole comparisons."""
    for seed, family, fraction in itertools.product(config.seeds, config.families, config.fractions):
        for arm in config.augmentations[family]:
            yield Cell(family, arm, fraction, seed)


def jobs(config: ml_collections.ConfigDict, work: Path) -> list[Job]:
    """A training for each cell, and an evaluation with the audit at its saved points."""
    commands.check_known("families", config.families, config.points)
    found = []
    for cell in cells(config):
        points = config.points[cell.family]
        chosen = config.augmentations[cell.family][cell.augmentation]
        fields = [*chosen, f"data.fraction={cell.fraction}", f"seed={cell.seed}", *commands.ends(*points)]
        train = commands.training(config, work, cell.name, cell.family, fields)
        found += [train, commands.evaluation(config, work, train, cell.family, points, parts="memorisation")]
    return found


def collect(config: ml_collections.ConfigDict, work: Path) -> dict[str, Any]:
    """{"rows", "curves", "contrasts", "space", "floor", "ceilings", ...} of the evaluations that are there."""
    rows = [row for cell in cells(config) for row in _rows(config, work, cell)]
    return {
        "metric": "copies",
        "space": config.space,
        "curves": curves(rows),
        "contrasts": contrasts(config, rows),
        "rows": [row.facts for row in rows],
        **_references(config, work),
    }


def _rows(config, work: Path, cell: Cell) -> list[pairs.Scored]:
    paths = [commands.result_of(work, cell.name, step) for step in config.points[cell.family]]
    rows = [readings.scored(config, path, cell._asdict(), lambda r: audited(r, config.space)) for path in paths]
    return [row for row in rows if row]


def audited(result: dict[str, Any], space: str) -> dict[str, Any]:
    """Of a result's audit: images trained on, share of copies, AuthPct, membership AUC, what stands beside them.

    "expected" is the share of copies of a generator that copies nothing, with the band in which 95 % of such lie;
    "smallest" the least share that is suspected.
    """
    audit = result["memorisation"]
    near = audit["spaces"][space]
    scores = audit["membership"]
    score = scores.get("logit") or scores["loss"]
    unseen, samples = audit["calibration"], audit["samples"]
    images = audit["train"] // (2 if audit["mirrored"] else 1)
    patients = audit["patients"]["calibration"]
    low, high = band(samples, unseen, patients)
    return {
        "images": images,
        "rounds": result["images_trained"] / images,
        "expected": {"value": near["ratio"]["expected"], "low": low, "high": high},
        "smallest": smallest(samples, unseen, audit["p_limit"], patients),
        "copies": readings.estimate(near["ratio"]["samples"]),
        "copies_unseen": readings.estimate(near["ratio"]["held_out"]),
        "authentic": readings.estimate(near["authentic"]["samples"]),
        "authentic_unseen": readings.estimate(near["authentic"]["held_out"]),
        "membership": readings.estimate(score["auc"]),
        "suspected": bool(audit["suspected"]),
    }


def curves(rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Each measure at each point, mean over seeds, and in how many seeds copies were suspected."""
    found = []
    for facts, group in pairs.grouped(rows, "family", "augmentation", "fraction", "step"):
        shares = {name: [row.facts[name] for row in group] for name in (*MEASURES, *UNSEEN)}
        found.append(facts | {name: pairs.over_seeds(values, (0.0, 1.0)) for name, values in shares.items()} | {
            "images": round(float(np.mean([row.facts["images"] for row in group]))),
            "rounds": float(np.mean([row.facts["rounds"] for row in group])),
            "seconds": float(np.mean([row.facts["seconds"] for row in group])),
            "expected": group[0].facts["expected"],
            "smallest": group[0].facts["smallest"],
            "suspected": sum(row.facts["suspected"] for row in group),
            "kid": pairs.mean(group),
        })  # fmt: skip
    return found


def contrasts(config: ml_collections.ConfigDict, rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Each augmentation minus none at the runs' ends, by seed."""
    found = []
    ended = [row for row in rows if row.facts["step"] == config.points[row.facts["family"]][-1]]
    for facts, group in pairs.grouped(ended, "family", "fraction"):
        arms = {arm["augmentation"]: {row.facts["seed"]: row for row in members}
                for arm, members in pairs.grouped(group, "augmentation")}  # fmt: skip
        for name in [name for name in config.augmentations[facts["family"]] if name in arms and name != NONE]:
            seeds = sorted(set(arms[name]) & set(arms.get(NONE, {})))
            if seeds:
                sides = ([arms[arm][seed] for seed in seeds] for arm in (name, NONE))
                found.append(facts | {"augmentation": name} | _differences(*sides))
    return found


def _differences(arm: list[pairs.Scored], none: list[pairs.Scored]) -> dict[str, Any]:
    shares = {name: [[row.facts[name] for row in side] for side in (arm, none)] for name in MEASURES}
    found = {name: pairs.share_difference(*sides) for name, sides in shares.items()}
    return found | {"kid": pairs.paired(arm, none)["difference"]}


def _references(config, work: Path) -> dict[str, Any]:
    ends = ((cell.fraction, commands.result_of(work, cell.name, config.points[cell.family][-1]))
            for cell in cells(config))  # fmt: skip
    return readings.references_of_fractions(config, ends)
