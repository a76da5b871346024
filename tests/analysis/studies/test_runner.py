"""Jobs: in the order of their needs, skipped when done, and a failure stops no other."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.studies import runner
from analysis.studies.job import Job, Records

WRITE = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.parent.mkdir(exist_ok=True); p.write_text('x')"


def start(job, log, cores):
    """`python -c` in the place of `python -m`."""
    return subprocess.Popen([sys.executable, "-c", *job.argv], stdout=log, stderr=log)


def job(folder, name, code=WRITE, needs=()):
    return Job(name, (code, str(folder / name)), (folder / name,), needs)


def run(jobs, folder, workers=1):
    (folder / "work").mkdir(exist_ok=True)
    outcomes = runner.run(jobs, folder / "work", workers, start)
    return {name: outcome.state for name, outcome in outcomes.items()}


def times(folder):
    lines = (folder / "work" / "jobs.jsonl").read_text().splitlines()
    return [json.loads(line)["name"] for line in lines]


@pytest.mark.parametrize("workers", [1, 3])
def test_needs_come_first_and_what_is_done_is_skipped(tmp_path, workers):
    copy = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.write_text(p.with_name('first').read_text())"
    jobs = [job(tmp_path, "second", copy, ("first",)), job(tmp_path, "first"), job(tmp_path, "third")]
    assert set(run(jobs, tmp_path, workers=workers).values()) == {"done"}
    assert times(tmp_path).index("first") < times(tmp_path).index("second") and len(times(tmp_path)) == 3
    run(jobs, tmp_path)
    assert len(times(tmp_path)) == 3
    (tmp_path / "third").unlink()
    changed = [jobs[0], job(tmp_path, "first", WRITE + "  # changed"), jobs[2]]
    run(changed, tmp_path)
    assert sorted(times(tmp_path)[3:]) == ["first", "second", "third"]  # "second" was made from the old "first"


def test_what_was_made_from_an_older_output_is_not_done(tmp_path):
    """A training that ended anew, and a study that stopped before it was scored again."""
    jobs = [job(tmp_path, "train"), job(tmp_path, "score", needs=("train",)), job(tmp_path, "show", needs=("score",))]
    run(jobs, tmp_path)
    assert Records(tmp_path / "work").done(jobs) == {"train", "score", "show"}
    Records(tmp_path / "work").add(jobs[0], 0, 1.0)
    assert Records(tmp_path / "work").done(jobs) == {"train"}


def test_what_an_interrupted_job_left_goes_with_what_it_was_made_from(tmp_path):
    """It has no record, and would go on from the old source."""
    folder = tmp_path / "tuned"
    tuned = Job("tuned", (WRITE, str(folder / "end")), (folder / "end",), ("train",), folder=folder)
    jobs = [job(tmp_path, "train"), tuned]
    run(jobs[:1], tmp_path)
    folder.mkdir()
    (folder / "checkpoint").write_text("of the first source")
    states = run(jobs, tmp_path)
    assert (folder / "checkpoint").exists() and states["tuned"] == "done"  # its source is the same
    for name in (tmp_path / "train", folder / "end"):
        name.unlink()
    lines = (tmp_path / "work" / "jobs.jsonl").read_text().splitlines()
    (tmp_path / "work" / "jobs.jsonl").write_text(lines[0] + "\n")
    run(jobs, tmp_path)
    assert not (folder / "checkpoint").exists()


def test_a_record_that_a_crash_cut_short_is_passed_over(tmp_path):
    jobs = [job(tmp_path, "first"), job(tmp_path, "second")]
    run(jobs, tmp_path)
    path = tmp_path / "work" / "jobs.jsonl"
    path.write_text(path.read_text()[:-9])  # of the second
    assert Records(tmp_path / "work").done(jobs) == {"first"}
    run(jobs, tmp_path)
    assert Records(tmp_path / "work").done(jobs) == {"first", "second"}


def test_nothing_old_stands_where_making_it_again_fails(tmp_path):
    """A training that fails anew: neither its old scores are left, nor a run that began from it."""
    folder = tmp_path / "tuned"
    tuned = Job("tuned", (WRITE, str(folder / "end")), (folder / "end",), ("train",), folder=folder)
    jobs = [job(tmp_path, "train"), job(tmp_path, "score", needs=("train",)), tuned]
    run(jobs, tmp_path)
    (folder / "checkpoint").write_text("x")
    run(jobs, tmp_path)
    assert (folder / "checkpoint").exists() and (tmp_path / "score").exists()  # all done: nothing is touched
    (folder / "end").unlink()
    run(jobs, tmp_path)
    assert (folder / "checkpoint").exists()  # it alone goes on where it was
    states = run([job(tmp_path, "train", "raise SystemExit('not finite')"), *jobs[1:]], tmp_path)
    assert states == {"train": "failed", "score": "left out", "tuned": "left out"}
    assert not (tmp_path / "score").exists() and not folder.exists()


def test_a_failure_is_told_and_stops_no_other(tmp_path, capsys):
    jobs = [
        job(tmp_path, "bad", "raise SystemExit('out of luck')"), job(tmp_path, "child", WRITE, ("bad",)),
        job(tmp_path, "grandchild", WRITE, ("child",)), job(tmp_path, "idle", "pass"), job(tmp_path, "good"),
    ]  # fmt: skip
    outcomes = runner.run(jobs, _made(tmp_path), 1, start)
    states = {name: outcome.state for name, outcome in outcomes.items()}
    assert states == {"bad": "failed", "child": "left out", "grandchild": "left out", "idle": "failed", "good": "done"}
    assert "out of luck" in outcomes["bad"].reason and "was not written" in outcomes["idle"].reason
    assert outcomes["child"].reason == "bad is missing" and "failed: bad" in capsys.readouterr().err
    run([job(tmp_path, "bad"), *jobs[1:]], tmp_path)
    assert (tmp_path / "grandchild").exists()


def _made(folder: Path) -> Path:
    (folder / "work").mkdir()
    return folder / "work"


def test_an_interrupt_reaches_the_jobs(tmp_path):
    """SIGTERM to the study: the job is asked to end, and is none that is done."""
    code = (
        "import pathlib, signal, sys, time\n"
        "def save(*a): pathlib.Path(sys.argv[1] + '.saved').write_text('x'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "pathlib.Path(sys.argv[1] + '.begun').write_text('x')\n"
        "time.sleep(60)"
    )
    script = (
        "import pathlib, sys; from analysis.studies import runner; from tests.analysis.studies.test_runner import *\n"
        f"folder = pathlib.Path({str(tmp_path)!r}); runner.run([job(folder, 'slow', {code!r})], folder, 1, start)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "slow.begun").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) != 0
    assert (tmp_path / "slow.saved").exists() and not (tmp_path / "jobs.jsonl").exists()


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4}, raising=False)
    assert runner._shares(1) == [None]
    assert runner._shares(2) == [frozenset({0, 2, 4}), frozenset({1, 3})]
