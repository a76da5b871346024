"""Trainings that ended under other defaults than those of today: one results file must not hold both."""

import json
from collections.abc import Iterable

from analysis.studies.job import Job
from data import UserError
from train import rundir
from train.__main__ import define_flags
from train.cli import parse_config

# How a run is computed, and not what: it may differ between the runs of a study.
HOW = ("compilation_cache",)


def check(jobs: Iterable[Job]) -> None:
    """Compares the config that each finished training had with what its command says now.

    Args:
      jobs: those that are done and will be skipped.

    Raises:
      UserError: some differ, since the defaults of their config files have changed; names the first, and its fields.
    """
    changed = {job.name: lines for job in jobs if job.argv[0] == "train" and (lines := _differences(job))}
    if not changed:
        return
    name, lines = next(iter(changed.items()))
    raise UserError(
        f"finished trainings that had other defaults than their configs have now: {len(changed)}, the first of them "
        f"{name} ({'; '.join(lines)}); delete the folders of such runs, so that they are trained and scored again, use "
        f"another --workdir, or the version of the code that trained them: {', '.join(changed)}"
    )


def _differences(job: Job) -> list[str]:
    run = job.outputs[0].parent
    if not (run / "config.json").exists():
        return []
    config, _ = parse_config(list(job.argv), define_flags)
    saved = json.loads((run / "config.json").read_text())
    return rundir.differences(_what(saved), _what(rundir.to_plain(config)))


def _what(config: dict) -> dict:
    return {key: value for key, value in config.items() if key not in HOW}
