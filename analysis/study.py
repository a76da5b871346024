"""python -m analysis.study --config configs/studies/NAME.py:smoke|cpu|gpu [--workdir DIR] [--out results] [--dry-run]

Runs a study, or goes on with it: what is done is skipped, what fails is told and stops nothing else. Writes one results
file, OUT/NAME/SIZE.json, and its figure and table beside it.
"""

import re
import sys
from pathlib import Path
from typing import Any

from absl import flags

from data import UserError
from train.cli import guarded, parse_config

FREE = "expected"  # the field that may change when a study goes on: how long it takes changes no job


def main() -> int:
    """Runs one study; returns the exit status: 1 where a job failed."""
    config, values = parse_config(sys.argv, _define_flags)
    import jax

    jax.config.update("jax_platforms", "cpu")  # of this process alone: an accelerator's memory is left to the jobs
    from analysis.studies import estimate, results, runner, stale
    from analysis.studies.job import Records
    from analysis.studies.registry import STUDIES
    from train import rundir

    _check(config.name, values.workers)
    study = STUDIES[config.study]
    work = Path(values.workdir or Path("runs/studies") / config.study / config.name)
    jobs = study.jobs(config, work)
    done = Records(work).done(jobs)
    stale.check(job for job in jobs if job.name in done)
    plain = rundir.to_plain(config)
    if values["dry-run"].value:
        rundir.check_config(work, plain, FREE)
        print(estimate.report(jobs, work, values.workers))
        return 0
    rundir.keep_config(work, plain, FREE)
    with rundir.locked(work):
        outcomes = runner.run(jobs, work, values.workers, runner.start)
        bad = {name: outcome for name, outcome in outcomes.items() if outcome.state != "done"}
        path = results.write(config, study, work, jobs, bad, Path(values.out), _command(sys.argv))
    for name, outcome in bad.items():
        print(f"{outcome.state}: {name}: {outcome.reason}")
    print(path)
    return 1 if bad else 0


def _check(name: str, workers: int) -> None:
    if workers < 1:
        raise UserError(f"--workers={workers}: at least 1 job runs at a time")
    if not re.fullmatch(r"[\w-]+", name):
        raise UserError(
            f"config.name={name!r} names the study's files, so that it may hold letters, digits, _ and - alone"
        )


def _command(argv: list[str]) -> list[Any]:
    return ["python -m analysis.study", *argv[1:]]


def _define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", "", "folder of its runs; default runs/studies/NAME/SIZE", flag_values=values)
    flags.DEFINE_string("out", "results", "folder of results files", flag_values=values)
    flags.DEFINE_integer("workers", 1, "jobs at once; on a CPU they share its cores", flag_values=values)
    flags.DEFINE_boolean("dry-run", False, "print the jobs and the time they take here, and stop", flag_values=values)


if __name__ == "__main__":
    guarded(main)
