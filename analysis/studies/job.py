"""A job: one command of this project that a study needs, and the record of what became of it."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Job:
    """One command, as a user could type it.

    Attributes:
      name: unique in its study; a path, such as "ddpm/natural/0.1/seed_0/train".
      argv: what follows `python -m`.
      outputs: files that are there once it is done; each is written whole or not at all.
      needs: names of jobs that come first.
      kind: jobs of one kind take about as long as each other, per unit of `size`.
      size: optimiser steps of a training; network evaluations (images times evaluations an image) of a sampling.
      folder: where a job of its kind would go on with what it finds; removed once what the job needs was made anew.
    """

    name: str
    argv: tuple[str, ...]
    outputs: tuple[Path, ...]
    needs: tuple[str, ...] = ()
    kind: str = "other"
    size: float = 1.0
    folder: Path | None = None


class Records:
    """What became of a study's jobs, a line each in WORK/jobs.jsonl; the last line of a name counts."""

    def __init__(self, work: Path):
        self.path = work / "jobs.jsonl"
        self.last: dict[str, dict[str, Any]] = {}
        self.seconds: dict[str, float] = {}  # of all attempts together
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):  # a crash cut it short
                self._take(json.loads(line))

    def add(self, job: Job, code: int, seconds: float) -> None:
        record = {"name": job.name, "argv": list(job.argv), "code": code, "seconds": round(seconds, 1)}
        torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a") as file:
            file.write(("\n" if torn else "") + json.dumps(record) + "\n")
        self._take(record)

    def _take(self, record: dict[str, Any]) -> None:
        self.last.pop(record["name"], None)  # so that names stand in the order in which they last ended
        self.last[record["name"]] = record
        self.seconds[record["name"]] = self.seconds.get(record["name"], 0.0) + record["seconds"]

    def done(self, jobs: Sequence[Job]) -> set[str]:
        """Names of the jobs that need not be run: ended well, and after whatever of these jobs they need."""
        found = {job.name for job in jobs if self._ended_well(job)}
        while bad := {job.name for job in self.outdated(jobs, found)} & found:
            found -= bad
        return found

    def outdated(self, jobs: Sequence[Job], done: set[str]) -> list[Job]:
        """Those that ended, in whatever way, before something that they need; or what they need is to be made again."""
        names, place = {job.name for job in jobs}, {name: i for i, name in enumerate(self.last)}

        def since(need: str, job: Job) -> bool:
            return need in names and (need not in done or place[need] > place[job.name])

        return [job for job in jobs if job.name in place and any(since(need, job) for need in job.needs)]

    def _ended_well(self, job: Job) -> bool:
        """Whether this very command did, and its files are still there."""
        record = self.last.get(job.name)
        same = record is not None and record["code"] == 0 and record["argv"] == list(job.argv)
        return same and all(path.exists() for path in job.outputs)
