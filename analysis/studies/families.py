"""Families x modalities x seeds, at their ends and at equal training time."""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from analysis.studies import commands, pairs, readings
from analysis.studies.job import Job

END = "end"  # name of the evaluations of a run's last checkpoint, which hold more than the others
MEASURES = ("fd_infinity", "precision", "recall", "spectrum")  # beside KID


class Cell(NamedTuple):
    """One training."""

    modality: str
    family: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.modality}/{self.family}/seed_{self.seed}"


def cells(config: ml_collections.ConfigDict) -> Iterator[Cell]:
    """By seed, so that a study that is stopped has whole comparisons."""
    for seed, modality, family in itertools.product(config.seeds, config.chosen, config.families):
        yield Cell(modality, family, seed)


def jobs(config: ml_collections.ConfigDict, work: Path) -> list[Job]:
    """A training for each cell, an evaluation at its saved points, and one of its end with likelihood."""
    commands.check_known("chosen", config.chosen, config.modalities)
    commands.check_known("families", config.families, config.points)
    commands.check_known("baseline", [config.baseline], config.families)
    found = []
    for cell in cells(config):
        points = config.points[cell.family]
        fields = [f"seed={cell.seed}", *commands.ends(*points)]
        data = config.modalities[cell.modality]
        train = commands.training(config, work, cell.name, cell.family, fields, data=data)
        options = ("--likelihood-n", str(config.likelihood_n))
        found += [
            train,
            commands.evaluation(config, work, train, cell.family, points[:-1]),
            commands.evaluation(
                config, work, train, cell.family, points[-1:], name=END, parts="likelihood", options=options
            ),
        ]
    return found


def _path(config, work: Path, cell: Cell, step: int) -> Path:
    return commands.result_of(work, cell.name, step, END if step == config.points[cell.family][-1] else "at")


def _end(config, work: Path, cell: Cell) -> Path:
    return _path(config, work, cell, config.points[cell.family][-1])


def collect(config: ml_collections.ConfigDict, work: Path) -> dict[str, Any]:
    """{"modalities", "parameters", "curves", "ends", "equal_time", "contrasts", "strips", "rows"} of what is there."""
    rows = [row for cell in cells(config) for row in _rows(config, work, cell)]
    return {
        "metric": "kid",
        "modalities": _references(config, work),
        "parameters": parameters(config, rows),
        "curves": curves(rows),
        "ends": [_end_of(config, *group) for group in _last(config, rows)],
        **equal_time(config, rows),
        "strips": _strips(config, work),
        "rows": [row.facts for row in rows],
    }


def _rows(config, work: Path, cell: Cell) -> list[pairs.Scored]:
    paths = [_path(config, work, cell, step) for step in config.points[cell.family]]
    rows = [readings.scored(config, path, cell._asdict(), _more) for path in paths]
    return [row for row in rows if row]


def _more(result: dict[str, Any]) -> dict[str, Any]:
    drawn = result["sampling"]
    found = {name: result[name] for name in ("parameters", "fitted")}
    found |= {"sampling": {name: drawn[name] for name in ("sampler", "steps", "guidance") if name in drawn}}
    found |= {"images_per_second": drawn["images_per_second"]}
    if likelihood := result.get("likelihood"):
        found |= {"bits_per_dim": readings.estimate(likelihood["bits_per_dim"]), "bits_kind": likelihood["kind"]}
    return found


def parameters(config: ml_collections.ConfigDict, rows: list[pairs.Scored]) -> dict[str, dict[str, Any]]:
    """{modality: {"counts": {family: numbers in all its networks, and fitted beside them}, "apart", "equal"}}.

    `apart` is the largest over the smallest, less 1; above the tolerance they are not called equal.
    """
    found = {}
    for facts, group in pairs.grouped(rows, "modality"):
        counts = {row.facts["family"]: row.facts["parameters"] + row.facts["fitted"] for row in group}
        apart = max(counts.values()) / min(counts.values()) - 1.0
        found[facts["modality"]] = {"counts": counts, "apart": apart, "equal": apart <= config.tolerance}
    return found


def curves(rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Mean KID over seeds at each saved point."""
    return [
        facts | {"seconds": float(np.mean([row.facts["seconds"] for row in group])), "kid": pairs.mean(group)}
        for facts, group in pairs.grouped(rows, "modality", "family", "step")
    ]


def _last(config, rows: list[pairs.Scored]) -> Iterator[tuple[dict[str, Any], list[pairs.Scored]]]:
    ended = [row for row in rows if row.facts["step"] == config.points[row.facts["family"]][-1]]
    yield from pairs.grouped(ended, "modality", "family")


def _end_of(config, facts: dict[str, Any], group: list[pairs.Scored]) -> dict[str, Any]:
    """A family on a modality where its own runs end."""
    speeds = [row.facts["images_per_second"] for row in group if row.facts["images_per_second"]]
    bits = [row.facts["bits_per_dim"] for row in group if "bits_per_dim" in row.facts]
    return facts | _measures(group) | {
        "parameters": group[0].facts["parameters"],
        "fitted": group[0].facts["fitted"],
        "sampling": group[0].facts["sampling"],
        "images_per_second": float(np.mean(speeds)) if speeds else None,
        "bits_per_dim": pairs.over_seeds(bits) if bits else None,
        "bits_kind": group[0].facts.get("bits_kind"),
    }  # fmt: skip


def _measures(group: list[pairs.Scored]) -> dict[str, Any]:
    """Time, KID and what stands beside it, mean over seeds."""
    known = {name: [row.facts[name] for row in group if name in row.facts] for name in MEASURES}
    return {
        "seconds": float(np.mean([row.facts["seconds"] for row in group])),
        "kid": pairs.mean(group),
        **{name: pairs.over_seeds(values, readings.limits(name)) for name, values in known.items()
           if len(values) == len(group)},
    }


def equal_time(config: ml_collections.ConfigDict, rows: list[pairs.Scored]) -> dict[str, Any]:
    """Families of one modality and seed when the first of them to end had ended, between the points saved.

    Returns:
      {"equal_time": a row for each modality and family; "contrasts": the difference of KID of each family and the
      baseline, by seed, p-values corrected together (Holm 1979)}.
    """
    found, tests = [], []
    for modality in config.chosen:
        read = _read_alike(config, [row for row in rows if row.facts["modality"] == modality])
        found += [{"modality": modality, "family": family} | _measures(group) for family, group in read.items()]
        base = config.baseline
        for family in [family for family in read if family != base and base in read]:
            tests.append({"modality": modality, "a": family, "b": base} | pairs.paired(read[family], read[base]))
    pairs.correct(tests)
    return {"equal_time": found, "contrasts": tests}


def _read_alike(config, rows: list[pairs.Scored]) -> dict[str, list[pairs.Scored]]:
    """{family: its runs at the same time as the others' of the same seed}; seeds that all families have."""
    runs = {tuple(facts.values()): sorted(group, key=lambda row: row.facts["step"])
            for facts, group in pairs.grouped(rows, "family", "seed")}  # fmt: skip
    runs = {key: run for key, run in runs.items() if run[-1].facts["step"] == config.points[key[0]][-1]}
    families = [family for family in config.families if any(key[0] == family for key in runs)]
    found: dict[str, list[pairs.Scored]] = {family: [] for family in families}
    for seed in config.seeds:
        here = {family: runs.get((family, seed)) for family in families}
        if not all(here.values()):
            continue
        seconds = min(run[-1].facts["seconds"] for run in here.values())
        then = {family: pairs.at_seconds(run, seconds) for family, run in here.items()}
        if all(then.values()):
            for family, row in then.items():
                found[family].append(dataclasses.replace(row, facts=row.facts | {"seconds": seconds}))
    return {family: group for family, group in found.items() if group}


def _references(config, work: Path) -> dict[str, Any]:
    """{modality: what was measured, floor and ceiling}, of its first run that has ended."""
    found: dict[str, Any] = {}
    for cell in cells(config):
        if reference := readings.references(config, _end(config, work, cell)):
            found.setdefault(cell.modality, reference)
    return found


def pictures(config: ml_collections.ConfigDict, work: Path) -> dict[str, Path]:
    """{name: file} of the strips of the first seed: the first samples, and those farthest from all real images."""
    found = {}
    for cell in _drawn(config, work):
        path = _end(config, work, cell)
        found[f"{cell.modality}_{cell.family}.png"] = path.with_suffix(".png")
        found[f"{cell.modality}_{cell.family}_worst.png"] = path.with_name(f"{path.stem}_worst.png")
    return found


def _strips(config, work: Path) -> list[dict[str, Any]]:
    found = []
    for cell in _drawn(config, work):
        path, name = _end(config, work, cell), f"{cell.modality}_{cell.family}"
        worst = {"worst_file": f"{name}_worst.png", "worst": json.loads(path.read_text())["worst"]}
        found.append({"modality": cell.modality, "family": cell.family} | readings.strip(path, name) | worst)
    return found


def _drawn(config, work: Path) -> list[Cell]:
    first = [cell for cell in cells(config) if cell.seed == config.seeds[0]]
    return [cell for cell in first if _end(config, work, cell).exists()]
