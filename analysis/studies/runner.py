"""Runs jobs in the order of their needs, several at once if wished; skips what is done; what fails stops no other."""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from analysis.studies.job import Job, Records
from train.progress import say

POLL = 0.2  # seconds between looks at what is running
PATIENCE = 120  # seconds that an interrupted job has to save

Launch = Callable[[Job, IO[str], frozenset[int] | None], subprocess.Popen]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """done; failed or left out, with the reason in one line."""

    state: str
    reason: str = ""


def start(job: Job, log: IO[str], cores: frozenset[int] | None) -> subprocess.Popen:
    """The job as a process of its own, so that a crash or a lack of memory stops no other."""
    process = subprocess.Popen([sys.executable, "-m", *job.argv], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    if cores:  # from here, as a function run in the child could not be forked safely; its threads come later
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(process.pid, cores)
    return process


def run(jobs: Sequence[Job], work: Path, workers: int, launch: Launch) -> dict[str, Outcome]:
    """Runs what is not done yet; returns what became of every job, by name.

    Args:
      work: folder of the study; each job's output goes to WORK/logs/NAME.log.
      workers: jobs at once; on a CPU each has its share of the cores for itself.
      launch: begins a job, see `start`.

    Raises:
      KeyboardInterrupt: SIGINT or SIGTERM; jobs that were running have saved what they save then.
    """
    return _Run(jobs, work, workers, launch).all()


class _Run:
    def __init__(self, jobs: Sequence[Job], work: Path, workers: int, launch: Launch):
        self.jobs = {job.name: job for job in jobs}
        assert len(self.jobs) == len(jobs), "two jobs of one name"
        self.work, self.launch = work, launch
        self.records = Records(work)
        done = self.records.done(jobs)
        self.outcomes = {name: Outcome("done") for name in done}
        self.outdated = {job.name for job in self.records.outdated(jobs, done)}
        self.free: list[frozenset[int] | None] = _shares(workers)
        self.running: dict[str, tuple[subprocess.Popen, frozenset[int] | None, float]] = {}

    def all(self) -> dict[str, Outcome]:
        if self.outcomes:
            say(f"{len(self.outcomes)} of {len(self.jobs)} jobs are done already")
        with _term_as_interrupt():
            try:
                while len(self.outcomes) < len(self.jobs):
                    self._leave_out()
                    self._begin()
                    self._collect()
                    time.sleep(POLL if self.running else 0.0)
            finally:
                self._stop()
        return {name: self.outcomes[name] for name in self.jobs}

    def _leave_out(self) -> None:
        """Jobs whose needs did not end well."""
        for name, job in self._open():
            bad = [need for need in job.needs if self.outcomes.get(need, Outcome("done")).state != "done"]
            if bad:
                self.outcomes[name] = Outcome("left out", f"{bad[0]} is missing")
                self._remove_old(job)

    def _begin(self) -> None:
        for name, job in self._open():
            ready = all(need in self.outcomes for need in job.needs)
            if self.free and ready and name not in self.running:
                cores = self.free.pop()
                log = self._log(name)
                log.parent.mkdir(parents=True, exist_ok=True)
                say(f"[{len(self.outcomes) + len(self.running) + 1}/{len(self.jobs)}] {name}")
                self._remove_old(job)
                self._remove_dependents(job)
                with log.open("w") as file:
                    self.running[name] = self.launch(job, file, cores), cores, time.monotonic()

    def _remove_old(self, job: Job) -> None:
        """What stands there from before, so that it is not taken for what the job makes now, or fails to."""
        if job.folder and job.name in self.outdated:
            shutil.rmtree(job.folder, ignore_errors=True)
        for path in job.outputs:
            path.unlink(missing_ok=True)

    def _remove_dependents(self, job: Job) -> None:
        """What jobs that need this one have begun, an interrupted one without a record, was of what it made before."""
        for other in self.jobs.values():
            if job.name in other.needs and other.folder:
                shutil.rmtree(other.folder, ignore_errors=True)

    def _open(self) -> list[tuple[str, Job]]:
        return [(name, job) for name, job in self.jobs.items() if name not in self.outcomes]

    def _collect(self) -> None:
        for name, (process, cores, begun) in list(self.running.items()):
            if process.poll() is not None:
                del self.running[name]
                self.free.append(cores)
                self._judge(self.jobs[name], process.returncode, time.monotonic() - begun)

    def _judge(self, job: Job, code: int, seconds: float) -> None:
        self.records.add(job, code, seconds)
        missing = [path for path in job.outputs if not path.exists()]
        if code == 0 and not missing:
            self.outcomes[job.name] = Outcome("done")
            return
        reason = self._last_line(job.name) if code else f"{missing[0]} was not written"
        self.outcomes[job.name] = Outcome("failed", f"status {code}: {reason}; see {self._log(job.name)}")
        say(f"failed: {job.name}: {self.outcomes[job.name].reason}")

    def _log(self, name: str) -> Path:
        return self.work / "logs" / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = [line for line in self._log(name).read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it said nothing"

    def _stop(self) -> None:
        """After an interrupt: asks what is running to save and end."""
        for process, _, _ in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process, _, _ in self.running.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _shares(workers: int) -> list[frozenset[int] | None]:
    """The cores of each worker; None, all of them, where there is one worker or this system cannot pin."""
    if workers == 1 or not hasattr(os, "sched_getaffinity"):
        return [None] * workers
    cores = sorted(os.sched_getaffinity(0))
    return [frozenset(cores[i::workers]) or None for i in range(workers)]


@contextlib.contextmanager
def _term_as_interrupt():
    """SIGTERM as Ctrl-C, where signals can be handled."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
