"""The commands that studies are made of: a training, the evaluation of a run, and the scoring of a segmenter."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from analysis.studies.job import Job
from data import UserError


def training(
    config: ml_collections.ConfigDict,
    work: Path,
    name: str,
    family: str,
    fields: Iterable[str],
    base: str = "",
    needs: Sequence[str] = (),
    data: ml_collections.ConfigDict | None = None,
) -> Job:
    """`python -m train` into WORK/runs/NAME.

    Args:
      config: of the study; `fields` of all its trainings and `family_fields` come before those given here.
      fields: what differs between its trainings, as "train.duration=400 steps".
      base: configs/NAME.py with presets; configs/FAMILY_cxr.py with the data by default.
      data: its preset and folder; the study's by default.
    """
    run = work / "runs" / name
    # Runs are scored when they have ended, by the same command for all.
    chosen = ["eval.kid_every=", *config.fields, *config.family_fields[family], *fields]
    data = data or config.data
    folder = [f"--config.data.dir={data.dir}"] if data.dir else []
    source = (base or f"configs/{family}_cxr.py:{data.preset}", *folder)
    argv = ("train", "--config", *source, *(f"--config.{field}" for field in chosen), "--workdir", str(run))
    steps = float(last(chosen, "train.duration").split()[0])
    # What begins from another run must begin again once that one was trained anew; alone it goes on where it was.
    folder = run if needs else None
    return Job(f"{name}/train", argv, (run / "summary.json",), tuple(needs), f"training {family}", steps, folder)


def last(fields: Iterable[str], name: str) -> str:
    """The value that a field has in the end."""
    return [field.partition("=")[2] for field in fields if field.partition("=")[0] == name][-1]


def check_known(field: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises UserError where a field of a study's config names what the study has not."""
    known = list(known)
    strange = [name for name in names if name not in known]
    if strange:
        raise UserError(f"config.{field} names {', '.join(strange)}; choose from {', '.join(known)}")


def ends(*steps: int) -> list[str]:
    """Fields of how long a training is, and the checkpoints that it keeps; no others."""
    named = ",".join(f'"{step} steps"' for step in steps)
    kept = [f"checkpoint.milestones=({named},)", f"checkpoint.every={steps[-1]} steps", "checkpoint.keep=1"]
    return [f"train.duration={steps[-1]} steps", *kept]


def evaluation(
    config: ml_collections.ConfigDict,
    work: Path,
    of: Job,
    family: str,
    checkpoints: Sequence[int] = (),
    *,
    name: str = "at",
    grid: Mapping[str, Sequence[Any]] | None = None,
    parts: str = "",
    options: Sequence[str] = (),
    passes: float = 0.0,
) -> Job:
    """`python -m analysis.evaluate` of a training; one result file for each point, see `result_of`.

    Args:
      checkpoints: steps of the training, all of them in turn; none: its last.
      name: of the job (the usual one has "evaluate") and of its result files.
      grid: sampling options and their values, all combinations in turn, as of `--vary`.
      parts: what is evaluated beside the metrics, as of `--parts`.
      passes: network evaluations that an image takes at all points of the grid together; `config.passes` by default.
    """
    training, settings, grid = of.name.removesuffix("/train"), config.evaluate, grid or {}
    varied = {"checkpoint": checkpoints, **grid} if checkpoints else grid
    argv = (
        "analysis.evaluate", "--run", str(work / "runs" / training), "--n", str(settings.n), "--split", settings.split,
        "--features", settings.features, "--parts", parts, "--influence", "--out", str(work / "evaluations"),
        "--study", training, "--name", name, "--feature-cache", str(work / "features"),
        *(word for field, values in varied.items() for word in ("--vary", f"{field}={','.join(map(str, values))}")),
        *options,
    )  # fmt: skip
    points = itertools.product(*([(field, value) for value in values] for field, values in varied.items()))
    outputs = tuple(result_of(work, training, name=name, **dict(point)) for point in points)
    size = settings.n * max(len(checkpoints), 1) * (passes or config.passes[family])
    job = "evaluate" if name == "at" else name
    return Job(f"{training}/{job}", argv, outputs, (of.name,), f"evaluation {family}", size)


def segmentation(
    config: ml_collections.ConfigDict, work: Path, of: Job, family: str, name: str, options: Sequence[str], passes: int
) -> Job:
    """`python -m analysis.segment` of a training, into WORK/evaluations/TRAINING/NAME.json.

    Args:
      passes: network evaluations that an image takes.
    """
    training = of.name.removesuffix("/train")
    argv = (
        "analysis.segment", "--run", str(work / "runs" / training), "--split", config.evaluate.split,
        "--out", str(work / "evaluations"), "--study", training, "--name", name, *options,
    )  # fmt: skip
    path = result_of(work, training, name=name)
    return Job(f"{training}/{name}", argv, (path,), (of.name,), f"evaluation {family}", config.evaluate.n * passes)


def result_of(work: Path, training: str, checkpoint: int | None = None, name: str = "at", **point: Any) -> Path:
    """The result file of a training's checkpoint, at a point of the grid of its evaluation (in the grid's order)."""
    fields = ({} if checkpoint is None else {"checkpoint": checkpoint}) | point
    ending = "".join(f"_{field}_{value}" for field, value in fields.items())
    return work / "evaluations" / training / f"{name}{ending}.json"
