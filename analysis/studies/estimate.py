"""`--dry-run` of a study: its jobs by kind, and the time that they take on this device."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.studies.job import Job, Records

START = 20.0  # seconds of imports, compiling and data that a job takes beside its work; measured ones hold their own
FORWARD = 1.0 / 3.0  # of a training step is one evaluation of the network: the backward pass takes twice that


def report(jobs: Sequence[Job], work: Path, workers: int) -> str:
    """A line for each kind of job, and the sum; trains nothing but a few steps of each family."""
    records = Records(work)
    finished = records.done(jobs)
    rates: dict[str, float | None] = {}
    lines, total, unknown = [f"{len(jobs)} jobs in {work}, {workers} at once"], 0.0, 0
    for kind in dict.fromkeys(job.kind for job in jobs):
        of = [job for job in jobs if job.kind == kind]
        left = [job for job in of if job.name not in finished]
        seconds, how = _seconds(kind, of, left, records.seconds, jobs, rates)
        words = f"{seconds / 60:,.0f} min, {how}" if seconds is not None else "time unknown"
        lines.append(f"{kind:<24}{len(of):>5} jobs, {len(left):>4} to run: {words}")
        total += seconds or 0.0
        unknown += len(left) if seconds is None else 0
    lines.append(f"in all {total / 60 / workers:,.0f} min on this device"
                 + (f", if {workers} jobs at once are as fast as one alone" if workers > 1 else "")
                 + (f", and the {unknown} jobs whose time is unknown" if unknown else ""))  # fmt: skip
    return "\n".join(lines)


def _seconds(kind, of, left, spent: dict[str, float], jobs, rates) -> tuple[float | None, str]:
    """(seconds of what is left, where they come from): of this kind's finished jobs, else of a few training steps."""
    size = sum(job.size for job in left)
    done = [job for job in of if job not in left and job.size]
    if not left:
        return 0.0, "all done"
    if done:
        each = float(np.median([spent[job.name] / job.size for job in done]))
        return size * each, f"by the {len(done)} that are done"
    action, _, family = kind.partition(" ")
    rate = _rate(family, jobs, rates) if action in ("training", "evaluation") else None
    if rate is None:
        return None, ""
    step, image = rate
    work = size * step if action == "training" else size * image * FORWARD
    return work + START * len(left), "by a few steps of training here"


def _rate(family: str, jobs: Sequence[Job], rates: dict) -> tuple[float, float] | None:
    """(seconds a training step, seconds an image of it) of a family, by `python -m train --dry-run`."""
    if family not in rates:
        job = next((job for job in jobs if job.kind == f"training {family}"), None)
        rates[family] = _probe(job) if job else None
    return rates[family]


def _probe(job: Job) -> tuple[float, float] | None:
    # What a run begins from is not there yet, and does not change the time of a step.
    argv = [word for word in job.argv if not word.startswith("--config.init.")]
    done = subprocess.run(
        [sys.executable, "-m", *argv, "--dry-run"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    found = re.search(r"step: ([\d,]+) ms, ([\d,]+) images/s", done.stdout)
    if not found:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        print(f"no time of {job.name}: {said[-1]}", file=sys.stderr)
        return None
    step, rate = (float(number.replace(",", "")) for number in found.groups())
    return step / 1000.0, 1.0 / max(rate, 1.0)
