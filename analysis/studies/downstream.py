"""Classifiers on real, synthetic, mixed and repeated images, tested on held-out real ones."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from analysis.studies import commands, readings
from analysis.studies.job import Job

GENERATOR = "generator"
LEARNED = ("images", "real", "duplicates", "synthetic")  # numbers of images that a classifier learned from
GUIDED = ("ddpm", "flow")  # families that have guidance
SAMPLES = "samples"  # the job that draws from it, and its folder


class Arm(NamedTuple):
    """What a classifier learns from; `ratio` is 0 for real images alone."""

    arm: str  # real, synthetic, mixed or duplicated
    ratio: float

    @property
    def name(self) -> str:
        return f"{self.arm}_{self.ratio:g}" if self.ratio else self.arm


def arms(config: ml_collections.ConfigDict) -> list[Arm]:
    return [Arm("real", 0.0), Arm("synthetic", 1.0), *itertools.starmap(Arm, itertools.product(
        ("mixed", "duplicated"), config.ratios
    ))]  # fmt: skip


def cells(config: ml_collections.ConfigDict) -> Iterator[tuple[str, Arm, int]]:
    yield from itertools.product(config.networks, arms(config), config.seeds)


def jobs(config: ml_collections.ConfigDict, work: Path) -> list[Job]:
    """Generator, images drawn from it, a classifier for each network, arm and seed, and what arms gain over others."""
    fields = [f"train.duration={config.generator_steps} steps", f"data.fraction={config.fraction}"]
    generator = commands.training(config, work, GENERATOR, config.family, fields)
    trained = [_classifier(config, work, *cell) for cell in cells(config)]
    gains = [_contrast(config, work, network, *pair) for network in config.networks for pair in contrasts(config)]
    return [generator, _samples(config, work, generator), _scored(config, work, generator), *trained, *gains]


def _source(config) -> list[str]:
    """The dataset, as all commands name it."""
    data = [field for field in config.fields if field.startswith("data.")]
    folder = [f"--config.data.dir={config.data.dir}"] if config.data.dir else []
    preset = f"configs/{config.family}_cxr.py:{config.data.preset}"
    return ["--config", preset, *folder, *(f"--config.{field}" for field in data),
            f"--config.data.fraction={config.fraction}"]  # fmt: skip


def _samples(config, work: Path, generator: Job) -> Job:
    """What the generator draws, once for all arms."""
    run, ratio = str(generator.outputs[0].parent), str(max(1.0, *config.ratios))
    argv = ("analysis.downstream.draw", *_source(config), "--run", run, "--ratio", ratio,
            "--guidance", str(config.guidance), "--out", str(work / SAMPLES))  # fmt: skip
    path = work / SAMPLES / "samples.npz"
    return Job(SAMPLES, argv, (path,), (generator.name,), f"sampling {config.family}", folder=path.parent)


def _scored(config, work: Path, generator: Job) -> Job:
    """How good it is: a classifier that gains nothing may have had poor images, or copies."""
    guided = ("--guidance", str(config.guidance)) if config.family in GUIDED else ()
    return commands.evaluation(config, work, generator, config.family, parts="findings,memorisation", options=guided)


def _classifier(config, work: Path, network: str, arm: Arm, seed: int) -> Job:
    argv = [
        "analysis.downstream", *_source(config), "--arm", arm.arm, "--network", network, "--seed", str(seed),
        "--steps", str(config.classifier_steps[network]), "--input_size", str(config.input_size),
        "--out", str(work / "classifiers"), "--name", _name(network, arm, seed),
    ]  # fmt: skip
    argv += ["--ratio", str(arm.ratio)] if arm.ratio else []
    drawn = arm.arm in ("synthetic", "mixed")
    argv += ["--samples", str(work / SAMPLES)] if drawn else []
    if config.explain and seed == config.seeds[0]:
        argv += ["--explain", str(config.explain)]
    name, needs = _name(network, arm, seed), (SAMPLES,) if drawn else ()
    return Job(name, tuple(argv), (_result(work, network, arm, seed),), needs, f"classifier {network}")


def _name(network: str, arm: Arm, seed: int) -> str:
    return f"{network}_{arm.name}_seed_{seed}"


def _result(work: Path, network: str, arm: Arm, seed: int) -> Path:
    return work / "classifiers" / f"{_name(network, arm, seed)}.json"


def contrasts(config: ml_collections.ConfigDict) -> list[tuple[Arm, Arm]]:
    """Mixed beside its control, and both beside real alone, at each ratio; and synthetic beside real."""
    real = Arm("real", 0.0)
    pairs = [(Arm("mixed", ratio), Arm("duplicated", ratio)) for ratio in config.ratios]
    pairs += [(Arm(arm, ratio), real) for arm in ("mixed", "duplicated") for ratio in config.ratios]
    return [*pairs, (Arm("synthetic", 1.0), real)]


def _contrast(config, work: Path, network: str, a: Arm, b: Arm) -> Job:
    files = [[str(_result(work, network, arm, seed)) for seed in config.seeds] for arm in (a, b)]
    path = work / "contrasts" / f"{network}_{a.name}_{b.name}.json"
    argv = ("analysis.downstream.paired", "--a", *files[0], "--b", *files[1], "--out", str(path))
    needs = tuple(_name(network, arm, seed) for arm in (a, b) for seed in config.seeds)
    return Job(f"{network}_{a.name}_minus_{b.name}", argv, (path,), needs, "contrast")


def collect(config: ml_collections.ConfigDict, work: Path) -> dict[str, Any]:
    """{"rows" of every classifier, "arms", means over seeds, "contrasts", and what was tested}."""
    rows, facts = [], {}
    for network, arm, seed in cells(config):
        path = _result(work, network, arm, seed)
        if path.exists():
            result = json.loads(path.read_text())
            rows.append(_row(result, network, arm, seed))
            facts |= {key: result[key] for key in ("dataset", "image_shape", "classes", "exclusive", "test", "data")}
            drawn = result["training"].get("generator")
            facts |= {"sampling": drawn["options"] | {"seed": drawn["seed"]}} if drawn else {}
    found = [_difference(work, network, *pair) for network in config.networks for pair in contrasts(config)]
    found = [row for row in found if row]
    return facts | {
        "family": config.family, "fraction": config.fraction, "rows": rows, "arms": list(_means(config, rows, found)),
        "contrasts": found, "generator": _generator(config, work),
    }  # fmt: skip


def _generator(config, work: Path) -> dict[str, Any]:
    """How good it is: KID, whether copies are suspected, and how well the labels asked for are seen; {} if missing."""
    path = commands.result_of(work, GENERATOR)
    if not path.exists():
        return {}
    result = json.loads(path.read_text())
    kid, audit = result["metrics"][readings.space(config)]["kid"], result["memorisation"]
    names = ("generated", "floor", "ceiling")
    return {
        "kid": {name: readings.estimate(kid[name]) | {"n": kid[name]["n"]} for name in names if name in kid},
        "suspected": audit["suspected"],
        "copies": {space: readings.estimate(row["ratio"]["samples"]) for space, row in audit["spaces"].items()},
        "label_fidelity": result.get("label_fidelity"),
    }


def _means(config, rows: list[dict[str, Any]], contrasts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each arm of which all seeds were tested: its metrics as a side of one of the contrasts."""
    for network, arm in itertools.product(config.networks, arms(config)):
        of = [row for row in contrasts if row["network"] == network]
        sides = [(row, side) for row in of for side in "ab" if row[side] == arm.name]
        if sides:
            row, side = sides[0]
            learned = [r for r in rows if (r["network"], r["arm"], r["ratio"]) == (network, *arm)]
            metrics = {metric: values[side] for metric, values in row["metrics"].items()}
            images = {key: learned[0][key] for key in LEARNED}
            yield {"network": network, **arm._asdict(), **images, "metrics": metrics}


def _row(result: dict[str, Any], network: str, arm: Arm, seed: int) -> dict[str, Any]:
    facts = {"network": network, "arm": arm.arm, "ratio": arm.ratio, "seed": seed}
    facts |= {key: result["training"][key] for key in LEARNED}
    inside = (result.get("explanations") or {}).get("inside_mask")
    return facts | {"metrics": result["metrics"]["all"]} | ({"inside_mask": inside} if inside else {})


def _difference(work: Path, network: str, a: Arm, b: Arm) -> dict[str, Any] | None:
    path = work / "contrasts" / f"{network}_{a.name}_{b.name}.json"
    if not path.exists():
        return None
    metrics = json.loads(path.read_text())["metrics"]["all"]
    return {"network": network, "a": a.name, "b": b.name, "ratio": a.ratio, "metrics": metrics}
