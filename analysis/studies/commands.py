"""The commands that studies are made of: a training, and the evaluation of a run."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import ml_collections

from analysis.studies.job import Job


def training(
    config: ml_collections.ConfigDict,
    work: Path,
    name: str,
    family: str,
    fields: Iterable[str],
    base: str = "",
    needs: Sequence[str] = (),
) -> Job:
    """`python -m train` into WORK/runs/NAME.

    Args:
      config: of the study; `fields` of all its trainings and `family_fields` come before those given here.
      fields: what differs between its trainings, as "train.duration=400 steps".
      base: configs/NAME.py with presets; configs/FAMILY_cxr.py with the study's data by default.
    """
    run = work / "runs" / name
    chosen = [*config.fields, *config.family_fields[family], *fields]
    source = (base or f"configs/{family}_cxr.py:{config.data.preset}", *_data_dir(config.data.dir, base))
    argv = ("train", "--config", *source, *(f"--config.{field}" for field in chosen), "--workdir", str(run))
    steps = float(last(chosen, "train.duration").split()[0])
    return Job(f"{name}/train", argv, (run / "summary.json",), tuple(needs), f"training {family}", steps)


def _data_dir(folder: str, base: str) -> list[str]:
    return [f"--config.data.dir={folder}"] if folder and not base else []


def last(fields: Iterable[str], name: str) -> str:
    """The value that a field has in the end."""
    return [field.partition("=")[2] for field in fields if field.partition("=")[0] == name][-1]


def evaluation(
    config: ml_collections.ConfigDict,
    work: Path,
    of: Job,
    family: str,
    checkpoints: Sequence[int],
    options: Sequence[str] = (),
) -> Job:
    """`python -m analysis.evaluate` of checkpoints of a training; one result file each, see `result_of`."""
    name = of.name.removesuffix("/train")
    settings = config.evaluate
    folder = work / "evaluations"
    argv = (
        "analysis.evaluate", "--run", str(work / "runs" / name), "--n", str(settings.n), "--split", settings.split,
        "--features", settings.features, "--parts", "", "--influence", "--out", str(folder), "--study", name,
        "--name", "at", "--feature-cache", str(work / "features"),
        "--vary", f"checkpoint={','.join(map(str, checkpoints))}", *options,
    )  # fmt: skip
    outputs = tuple(result_of(work, name, step) for step in checkpoints)
    passes = settings.n * len(checkpoints) * config.passes[family]
    return Job(f"{name}/evaluate", argv, outputs, (of.name,), f"evaluation {family}", passes)


def result_of(work: Path, name: str, step: int) -> Path:
    """The result file of a training's checkpoint."""
    return work / "evaluations" / name / f"at_checkpoint_{step}.json"
