"""A run that is stopped, however rudely, ends in the same bits as one that is not."""

import json
import os
import random
import signal
import subprocess
import time

import numpy as np
import pytest

import analysis
from tests.train.helpers import ENVIRONMENT, ROOT, train, train_command


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """A run without interruption."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(folder, "--config.train.duration=24 steps", cache=cache)
    return folder


def assert_same_run(a, b):
    """Every number of two finished runs, to the bit: parameters, optimiser, average, and the metrics file."""
    import jax

    left, right = analysis.load(a).state, analysis.load(b).state
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for x, y in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    pngs = sorted(p.name for p in (a / "samples").iterdir())
    assert pngs == sorted(p.name for p in (b / "samples").iterdir())
    assert all((a / "samples" / n).read_bytes() == (b / "samples" / n).read_bytes() for n in pngs)


def kill_when(folder, cache, signum, ready):
    """Starts a run, sends `signum` as soon as `ready()`, and returns the exit status."""
    command = train_command(folder, "--config.train.duration=24 steps", cache=cache)
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and not ready():
        assert time.monotonic() < deadline, "the run never got ready"
        time.sleep(0.005)
    if process.poll() is None:
        process.send_signal(signum)
    return process.wait(timeout=120)


def test_kill_9_at_a_random_moment(whole, tmp_path, cache):
    """Twice: some time after the first checkpoint, wherever that falls."""
    folder = tmp_path / "killed"
    pause, killed = random.Random(os.getpid()), []
    for nth in (1, 2):
        wait = pause.uniform(0.0, 0.6)

        def ready(nth=nth, wait=wait):
            if len(list(folder.glob("checkpoints/*.sha256"))) >= nth:
                time.sleep(wait)
                return True
            return False

        killed.append(kill_when(folder, cache, signal.SIGKILL, ready))
    assert -signal.SIGKILL in killed, "the run had ended before it was killed"
    train(folder, "--config.train.duration=24 steps", cache=cache)
    assert_same_run(whole, folder)


def test_sigterm_saves_and_goes_on(whole, tmp_path, cache):
    folder = tmp_path / "stopped"
    rows = folder / "metrics.jsonl"
    code = kill_when(folder, cache, signal.SIGTERM, lambda: rows.exists() and rows.read_text().count("\n") >= 1)
    steps = [int(p.stem) for p in folder.glob("checkpoints/*.sha256")]
    assert code == 0 and steps and max(steps) < 24
    train(folder, "--config.train.duration=24 steps", cache=cache)
    assert_same_run(whole, folder)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, cache):
    folder = tmp_path / "stopped"
    rows = folder / "metrics.jsonl"
    code = kill_when(folder, cache, signal.SIGINT, lambda: rows.exists() and rows.read_text().count("\n") >= 1)
    assert code == 130 and list(folder.glob("checkpoints/*.sha256")) and not (folder / "summary.json").exists()


def test_a_changed_config_is_refused_with_the_difference(whole, cache):
    before = (whole / "config.json").read_bytes()
    done = train(
        whole, "--config.train.duration=24 steps", "--config.optim.net.learning_rate=0.5", cache=cache, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    rate = json.loads(before)["optim"]["net"]["learning_rate"]
    assert f"optim.net.learning_rate: {rate} -> 0.5" in done.stderr
    assert (whole / "config.json").read_bytes() == before


def test_a_finished_run_prints_its_result(whole, cache):
    summary = (whole / "summary.json").read_bytes()
    done = train(whole, "--config.train.duration=24 steps", cache=cache)
    assert done.stdout.startswith("finished: step 24") and str(whole / "samples") in done.stdout
    assert (whole / "summary.json").read_bytes() == summary
