"""Quality against network evaluations, sampler by sampler, and against guidance."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from analysis.studies import commands, pairs, readings
from analysis.studies.job import Job
from models import ode, samplers

GUIDED = "guided"  # name of the evaluations over guidance
EVALUATIONS = {"ddpm": samplers.evaluations, "flow": ode.evaluations}


def evaluations(family: str, sampler: str, steps: int, guidance: float = 1.0) -> int:
    """Evaluations of the network that an image takes; guidance, where there are labels, takes each twice."""
    return EVALUATIONS[family](sampler, steps) * (1 if guidance == 1.0 else 2)


def jobs(config: ml_collections.ConfigDict, work: Path) -> list[Job]:
    """A training for each family and seed, an evaluation for each of its samplers, and one over guidance."""
    commands.check_known("families", config.families, config.samplers)
    found = []
    for family, seed in itertools.product(config.families, config.seeds):
        fields = [f"seed={seed}", *commands.ends(config.steps)]
        train = commands.training(config, work, _name(family, seed), family, fields)
        found += [train, *(_sweep(config, work, train, family, sampler) for sampler in config.samplers[family])]
        found.append(_guided(config, work, train, family))
    return found


def _name(family: str, seed: int) -> str:
    return f"{family}/seed_{seed}"


def _sweep(config, work: Path, train: Job, family: str, sampler: str) -> Job:
    steps = config.samplers[family][sampler]
    options = ("--sampler", sampler, "--guidance", "1.0")
    passes = sum(evaluations(family, sampler, number) for number in steps)
    grid = {"steps": steps}
    return commands.evaluation(config, work, train, family, name=sampler, grid=grid, options=options, passes=passes)


def _guided(config, work: Path, train: Job, family: str) -> Job:
    passes = config.passes[family] * len(config.guidances)
    grid = {"guidance": config.guidances}
    return commands.evaluation(config, work, train, family, name=GUIDED, grid=grid, parts="findings", passes=passes)


def collect(config: ml_collections.ConfigDict, work: Path) -> dict[str, Any]:
    """{"steps", "guidance", "contrasts", "rows", "real", "floor", "ceiling", ...} of the evaluations that are there."""
    swept, guided = list(_swept(config, work)), list(_by_guidance(config, work))
    return {
        "metric": "kid",
        "steps": step_curves(swept),
        "contrasts": contrasts(config, swept),
        "guidance": guidance_curves(guided),
        "rows": [row.facts for row in (*swept, *guided)],
        **_references(config, work),
    }


def _swept(config, work: Path) -> Iterator[pairs.Scored]:
    for family, seed in itertools.product(config.families, config.seeds):
        for sampler, numbers in config.samplers[family].items():
            for steps in numbers:
                path = commands.result_of(work, _name(family, seed), name=sampler, steps=steps)
                facts = {"family": family, "seed": seed, "sampler": sampler, "steps": steps}
                if row := readings.scored(config, path, facts, _speed):
                    yield row


def _by_guidance(config, work: Path) -> Iterator[pairs.Scored]:
    for family, seed, guidance in itertools.product(config.families, config.seeds, config.guidances):
        path = commands.result_of(work, _name(family, seed), name=GUIDED, guidance=guidance)
        facts = {"family": family, "seed": seed, "guidance": guidance}
        if row := readings.scored(config, path, facts, _fidelity):
            yield row


def _speed(result: dict[str, Any]) -> dict[str, Any]:
    return {"images_per_second": result["sampling"]["images_per_second"]}


def _fidelity(result: dict[str, Any]) -> dict[str, Any]:
    """Of the samples, each finding's AUROC and their mean."""
    rows = {name: row for name, row in (result.get("label_fidelity") or {}).items() if all(row.values())}
    findings = {name: row["samples"]["auroc"] for name, row in rows.items()}
    mean = float(np.mean(list(findings.values()))) if findings else None
    used = {name: result["sampling"][name] for name in ("sampler", "steps")}
    return {"auroc": {"value": mean}, "findings": findings} | used


def step_curves(rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Mean KID over seeds after each number of steps of each sampler, what it cost, and how fast it was."""
    found = []
    for facts, group in pairs.grouped(rows, "family", "sampler", "steps"):
        speeds = [row.facts["images_per_second"] for row in group if row.facts["images_per_second"]]
        cost = {"evaluations": evaluations(**facts), "images_per_second": float(np.mean(speeds)) if speeds else None}
        found.append(facts | cost | {"kid": pairs.mean(group)})
    return found


def contrasts(config: ml_collections.ConfigDict, rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """KID of each point less that of its family's reference, by seed: of the same runs, real images and noise.

    p-values are corrected together (Holm 1979).
    """
    points = {tuple(facts.values()): {row.facts["seed"]: row for row in group}
              for facts, group in pairs.grouped(rows, "family", "sampler", "steps")}  # fmt: skip
    found = []
    for (family, sampler, steps), one in points.items():
        against = tuple(config.reference[family])
        other = points.get((family, *against), {})
        seeds = sorted(set(one) & set(other))
        if seeds and (sampler, steps) != against:
            facts = {"family": family, "sampler": sampler, "steps": steps, "against": list(against)}
            found.append(facts | pairs.paired([one[seed] for seed in seeds], [other[seed] for seed in seeds]))
    pairs.correct(found)
    return found


def guidance_curves(rows: list[pairs.Scored]) -> list[dict[str, Any]]:
    """Mean KID, and mean AUROC over findings and seeds, at each guidance."""
    found = []
    for facts, group in pairs.grouped(rows, "family", "guidance"):
        seen = [row.facts["auroc"] for row in group if row.facts["auroc"]["value"] is not None]
        names = group[0].facts["findings"]
        each = {name: float(np.mean([row.facts["findings"][name] for row in group if name in row.facts["findings"]]))
                for name in names}  # fmt: skip
        used = {name: group[0].facts[name] for name in ("sampler", "steps")}
        auroc = pairs.over_seeds(seen, (0.0, 1.0)) if seen else None
        found.append(facts | used | {"kid": pairs.mean(group), "auroc": auroc, "findings": each})
    return found


def _references(config, work: Path) -> dict[str, Any]:
    """Floor and ceiling, and each finding's AUROC in real images, of the first evaluation over guidance."""
    points = itertools.product(config.families, config.seeds, config.guidances)
    paths = (commands.result_of(work, _name(family, seed), name=GUIDED, guidance=s) for family, seed, s in points)
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return {}
    found = json.loads(path.read_text()).get("label_fidelity") or {}
    real = {name: row["real"] for name, row in found.items() if all(row.values())}
    return {"real_findings": real} | readings.references(config, path)
