"""A study's results file, and what is drawn of it."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections

from analysis.studies import origins
from analysis.studies.job import Job, Records
from analysis.studies.runner import Outcome


def write(
    config: ml_collections.ConfigDict,
    study: Any,
    work: Path,
    jobs: Sequence[Job],
    bad: dict[str, Outcome],
    out: Path,
    command: list[str],
) -> Path:
    """Collects what is there into OUT/STUDY/SIZE.json, draws its figure and table beside it; returns its path.

    Pictures that the study names, pictures(config, work), are kept in the folder OUT/STUDY/SIZE.
    """
    from analysis.figures import draw_study
    from train import rundir

    path = out / config.study / f"{config.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    records, made = Records(work), origins.collect(jobs)
    content = {
        "study": config.study,
        "size": config.name,
        "config": _without_paths(rundir.to_plain(config)),
        **study.collect(config, work),
        "failed": {name: f"{outcome.state}: {_short(outcome.reason)}" for name, outcome in bad.items()},
        "job_seconds": round(sum(records.seconds.get(job.name, 0.0) for job in jobs), 1),
        "command": [_no_path(word) for word in command],
        "device": origins.devices(made),
        "origins": made,
        "git": rundir.git_revision(),
    }
    rundir.write_json(path, content)
    if hasattr(study, "pictures"):
        _keep(study.pictures(config, work), path.with_suffix(""))
    draw_study(path)
    return path


def _keep(pictures: dict[str, Path], folder: Path) -> None:
    """Copies pictures of runs to the results, where they stay when the runs are gone."""
    folder.mkdir(exist_ok=True)
    for name, source in pictures.items():
        shutil.copyfile(source, folder / f"{name}.tmp")
        os.replace(folder / f"{name}.tmp", folder / name)


def _without_paths(config: Any) -> Any:
    """Folders of this machine are nobody's business: only their last part is kept."""
    if isinstance(config, dict):
        return {key: _no_path(value) if key == "dir" else _without_paths(value) for key, value in config.items()}
    return config


def _no_path(word: str) -> str:
    """A word without the folders of an absolute path in it."""
    return re.sub(r"(?<![\w.])/(?:[^/\s=]+/)*([^/\s=]+)/?", r"\1", word)


def _short(reason: str) -> str:
    return _no_path(reason.partition("; see ")[0])
