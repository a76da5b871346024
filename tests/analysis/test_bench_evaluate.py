"""The evaluation's bench: its memory, its turns, and a metric measured in a process of its own."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis import bench_evaluate as bench
from analysis.bench import parse
from analysis.bench_evaluate_worker import PeakMemory, time_metric
from analysis.metrics.kid import kid
from tests.analysis.metrics.peers import peer

on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")


@on_linux
def test_memory_is_the_peak_over_what_was_held():
    held = np.ones(32 << 20, np.uint8)
    with PeakMemory() as memory:
        np.ones(64 << 20, np.uint8).sum()
    assert 48 < memory.mib < 80 and held.any()  # the system may take back some pages of before, and counts in lots
    with PeakMemory() as memory:
        np.ones(8 << 20, np.uint8).sum()
    assert memory.mib < 20  # that of the block before is forgotten


@on_linux
def test_metrics_of_all_pairs_hold_blocks_alone(tmp_path, monkeypatch):
    """At 6,000 features one matrix of all pairs would be 275 MiB."""
    monkeypatch.setattr(bench, "WIDTH", 4)
    bench._write_features(tmp_path, 6_000)
    from analysis import bench_evaluate_ours

    assert time_metric(bench_evaluate_ours, tmp_path, "kid")["peak_mib"] < 200


def test_a_metric_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "WIDTH", 8)
    bench._write_features(tmp_path, 70)
    row = bench._metric("kid", tmp_path, "")
    x, y = (np.load(tmp_path / f"{name}.npy") for name in "xy")
    assert row["values"] == [pytest.approx(kid(x, y).value)] and row["seconds"] > 0 and "ratio" not in row
    with bench.Worker("ours", sys.executable, tmp_path) as worker:
        with pytest.raises(RuntimeError, match="a worker ended with code 1; its message is above"):
            worker.ask(do="metric", metric="unknown")


def test_turns_take_every_image_once_and_their_ratio_is_of_pairs(tmp_path, monkeypatch):
    """Of a side that takes 1, 2, 3 seconds a turn and one that takes 4, 2, 9."""
    features = np.arange(20.0).reshape(10, 2)

    class Fake:
        def __init__(self, side, python, folder):
            self.index, self.seconds = ("ours", "torch").index(side), iter([[1, 2, 3], [4, 2, 9]][side == "torch"])

        def ask(self, do, **order):
            if do == "open":
                return {"seconds": 1.0, "peak_mib": 2.0}
            np.save(tmp_path / order["file"], features[order["start"] : order["stop"]] + 0.19 * self.index)
            return {"seconds": next(self.seconds)}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(bench, "Worker", Fake)
    row = bench._features("inception", tmp_path, SimpleNamespace(images=10, repeats=3, torch="python"))
    assert row["ratio"] == 3 and row["ratio_range"] == [1, 4]
    assert row["images_per_second"] == 1.5 and row["torch_images_per_second"] == 0.75
    assert row["difference"] == pytest.approx(0.19 / 19.19) and row["peak_mib"] == row["torch_peak_mib"] == 2


def test_evaluate_is_run_when_named_alone():
    assert "evaluate" not in parse([]).parts and parse(["--parts", "evaluate"]).parts == ["evaluate"]


def test_both_sides_give_the_same_metrics(tmp_path, monkeypatch):
    """In this process; needs the extra `bench`."""
    for name in ("torch_fidelity.metric_fid", "prdc", "vendi_score"):
        peer(name)
    from analysis import bench_evaluate_ours, bench_evaluate_torch

    monkeypatch.setattr(bench, "WIDTH", 16)
    bench._write_features(tmp_path, 80)
    np.save(tmp_path / "logits.npy", np.random.default_rng(0).normal(0, 3, (80, 1008)).astype(np.float32))
    for name in bench.COMPARED:
        ours, theirs = (time_metric(s, tmp_path, name)["values"] for s in (bench_evaluate_ours, bench_evaluate_torch))
        assert ours == pytest.approx(theirs, rel=1e-4), name
