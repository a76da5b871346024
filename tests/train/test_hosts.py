"""Two hosts on one machine, as Slurm starts them: they learn what one learns, stop at one step, and go on."""

import json
import os
import signal
import socket
import subprocess
import time

import numpy as np
import pytest

from tests.train.helpers import ENVIRONMENT, ROOT, train, train_command

OPTIONS = ("--config.train.accumulate=1", "--config.train.duration=24 steps")


def start(folder, cache, *options):
    """Both hosts' processes. The coordinator's port comes of the job's number."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        job = {"SLURM_JOB_ID": str(free.getsockname()[1])}
    found = []
    for host in range(2):
        env = ENVIRONMENT | job | {
            "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2", "SLURM_PROCID": str(host), "SLURM_LOCALID": "0",
        }  # fmt: skip
        command = train_command(folder, *OPTIONS, *options, "--distributed", cache=cache)
        log = (folder.parent / f"{folder.name}_{host}.log").open("w")
        found.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
    return found


def ended(processes, seconds=240):
    try:
        return [process.wait(seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_hosts_learn_what_one_learns_and_stop_together(tmp_path):
    train(tmp_path / "one", *OPTIONS, cache=tmp_path)
    both = start(tmp_path / "two", tmp_path)
    path = tmp_path / "two" / "metrics.jsonl"
    for _ in range(2400):
        if path.exists() and path.read_text().count("\n") >= 1:
            break
        assert all(process.poll() is None for process in both), (tmp_path / "two_0.log").read_text()
        time.sleep(0.1)
    os.kill(both[1].pid, signal.SIGTERM)  # to one alone
    logs = [tmp_path / f"two_{host}.log" for host in range(2)]
    assert ended(both) == [0, 0], "\n".join(log.read_text() for log in logs)
    said = [[line for line in log.read_text().splitlines() if "stopped by SIGTERM at step" in line] for log in logs]
    assert said[0] and said[0] == said[1]
    assert ended(start(tmp_path / "two", tmp_path)) == [0, 0], "\n".join(log.read_text() for log in logs)
    left, right = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert [sorted(row) for row in left] == [sorted(row) for row in right]
    for x, y in zip(left, right, strict=True):
        np.testing.assert_allclose([x[k] for k in sorted(x)], [y[k] for k in sorted(y)], rtol=2e-4)
