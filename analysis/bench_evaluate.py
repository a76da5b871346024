"""What an evaluation costs: features of images and metrics of features, beside PyTorch's with the same weights.

For `analysis.bench --parts evaluate`. Every measurement is of a process of its own, so that its peak of memory is; the
two sides of a network take turns, and the one that waits uses no processor time.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from analysis.bench_weights import random_inception

SIDE = 64  # pixels of the images
NETWORKS = ("efficientnet_lite0", "inception")
METRICS = ("frechet", "frechet_infinity", "kid", "prdc", "vendi", "inception_score", "ms_ssim", "spectrum")
COMPARED = ("frechet", "kid", "prdc", "vendi", "inception_score")  # which packages have too
ALL_PAIRS = ("kid", "prdc")
WIDTH = 1280  # of the invented features, as of EfficientNet-Lite0


def bench_evaluate(args) -> dict[str, Any]:
    """Rates, seconds and peaks of memory.

    Args:
      args: of `analysis.bench`: images (a set), pairs (features a set of the all-pairs metrics, 0 for none), repeats
        (turns), torch (a Python to compare with, or "").

    Returns:
      {"n", "features": {network: {"images_per_second", "torch_images_per_second", "ratio", "difference", ...}},
      "metrics": {name: {"seconds", "peak_mib", "torch_seconds", ...}}, "all_pairs": {"n", name: ...}}. `peak_mib` is
      over the network's images or the metric's inputs; `ratio` above 1 is ours faster, the median over turns;
      `difference` is the largest between both sides, relative to the largest value.
    """
    result: dict[str, Any] = {"n": args.images, "side": SIDE, "width": WIDTH}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, args.images)
        result["features"] = {network: _features(network, folder, args) for network in NETWORKS}
        result["metrics"] = {metric: _metric(metric, folder, args.torch) for metric in METRICS}
        if args.pairs:
            _write_features(folder, args.pairs)
            result["all_pairs"] = {"n": args.pairs} | {metric: _metric(metric, folder, "") for metric in ALL_PAIRS}
    return result


def write_inputs(folder: Path, n: int) -> None:
    """Images, features and logits of n images, and Inception's weights; speed does not depend on what they hold."""
    rng = np.random.default_rng(0)
    np.save(folder / "images.npy", rng.integers(0, 256, (n, SIDE, SIDE, 1), np.uint8))
    np.save(folder / "logits.npy", 3.0 * rng.standard_normal((n, 1008), np.float32))
    np.savez(folder / "inception.npz", **random_inception())
    _write_features(folder, n)


def _write_features(folder: Path, n: int) -> None:
    """Two sets [n, 1280], not below 0 and correlated, the second a little apart."""
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((WIDTH, WIDTH), np.float32) / np.sqrt(np.arange(1, WIDTH + 1, dtype=np.float32))[:, None]
    for name, shift in (("x", 0.4), ("y", 0.5)):
        np.save(folder / f"{name}.npy", np.maximum(0.3 * rng.standard_normal((n, WIDTH), np.float32) @ mix + shift, 0))


class Worker:
    """A process of `bench_evaluate_worker`; it ends with the block."""

    def __init__(self, side: str, python: str, folder: Path):
        command = [python, "-m", "analysis.bench_evaluate_worker", "--side", side, "--folder", str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **order: Any) -> dict[str, Any]:
        """Its answer.

        Raises:
          RuntimeError: it ended instead; why stands on standard error.
        """
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with code {self._process.wait()}; its message is above")
        return json.loads(line)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()


def _features(network: str, folder: Path, args) -> dict[str, Any]:
    with Worker("ours", sys.executable, folder) as ours:
        row = _opened(ours.ask(do="open", network=network), "")
        if not args.torch:
            return row | _rates(_turns([ours], args)[0], args, "")
        with Worker("torch", args.torch, folder) as theirs:
            row |= _opened(theirs.ask(do="open", network=network), "torch_")
            seconds = _turns([ours, theirs], args)
    row |= _rates(seconds[0], args, "") | _rates(seconds[1], args, "torch_")
    ratios = seconds[1] / seconds[0]
    row |= {"ratio": float(np.median(ratios)), "ratio_range": [float(ratios.min()), float(ratios.max())]}
    return row | {"difference": _difference(*(_joined(folder, side, args) for side in (0, 1)))}


def _opened(answer: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}first_batch_seconds": answer["seconds"], f"{prefix}peak_mib": answer["peak_mib"]}


def _turns(workers: list[Worker], args) -> np.ndarray:
    """Seconds [workers, turns]; the images are split among the turns."""
    ends, rows = _ends(args), []
    for turn, (start, stop) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        order = {"do": "features", "start": start, "stop": stop}
        rows.append([w.ask(**order, file=f"{i}_{turn}.npy")["seconds"] for i, w in enumerate(workers)])
    return np.array(rows).T


def _ends(args) -> list[int]:
    return [args.images * turn // args.repeats for turn in range(args.repeats + 1)]


def _rates(seconds: np.ndarray, args, prefix: str) -> dict[str, float]:
    return {f"{prefix}images_per_second": float(np.median(np.diff(_ends(args)) / seconds))}


def _joined(folder: Path, worker: int, args) -> np.ndarray:
    return np.concatenate([np.load(folder / f"{worker}_{turn}.npy") for turn in range(args.repeats)])


def _metric(metric: str, folder: Path, python: str) -> dict[str, Any]:
    with Worker("ours", sys.executable, folder) as ours:
        row = ours.ask(do="metric", metric=metric)
    if not python or metric not in COMPARED:
        return row
    with Worker("torch", python, folder) as theirs:
        other = theirs.ask(do="metric", metric=metric)
    row |= {f"torch_{name}": value for name, value in other.items()}
    row["ratio"] = other["seconds"] / row["seconds"]
    return row | {"difference": _difference(np.array(row["values"]), np.array(other["values"]))}


def _difference(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.abs(x - y).max() / np.abs(y).max())
