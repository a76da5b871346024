"""One side of the evaluation's bench, in a process of its own: times what it is told to, and its memory.

    python -m analysis.bench_evaluate_worker --side ours|torch --folder FOLDER

FOLDER holds the arrays of `bench_evaluate.write_inputs`. Each line on standard input is a JSON object {"do", ...}, each
line out its answer. A side is a module, `analysis.bench_evaluate_SIDE`, with `extractor(network, folder, batch)` and
METRICS.
"""

import argparse
import contextlib
import importlib
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH, WARM = 32, 64
INPUTS = {"inception_score": ("logits",), "ms_ssim": ("images",), "spectrum": ("images",), "vendi": ("x",)}


class PeakMemory:
    """The most memory a block held over what the process held before; `mib` is None where Linux's /proc is absent."""

    def __enter__(self) -> "PeakMemory":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self._before, self.mib = _memory("VmRSS"), None
        return self

    def __exit__(self, *_) -> None:
        peak = _memory("VmHWM")
        self.mib = None if peak is None else peak - self._before


def _memory(name: str) -> float | None:
    """MiB of this process."""
    # Not getrusage's peak, which begins with that of the process that started this one.
    try:
        return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
    except OSError:
        return None


def open_network(side, folder: Path, network: str) -> tuple[Any, dict[str, Any]]:
    """(features of images, {"seconds", "peak_mib"} of building it and of its first batch)."""
    images = np.load(folder / "images.npy", mmap_mode="r")[:BATCH]
    with PeakMemory() as memory:
        start = time.perf_counter()
        extract = side.extractor(network, folder, BATCH)
        extract(np.asarray(images))
        seconds = time.perf_counter() - start
    return extract, {"seconds": seconds, "peak_mib": memory.mib}


def time_features(extract, folder: Path, order: dict[str, Any]) -> dict[str, float]:
    """Of images start to stop; the features themselves go to the file named."""
    images = np.asarray(np.load(folder / "images.npy", mmap_mode="r")[order["start"] : order["stop"]])
    start = time.perf_counter()
    features = extract(images)
    seconds = time.perf_counter() - start
    np.save(folder / order["file"], features)
    return {"seconds": seconds}


def time_metric(side, folder: Path, name: str) -> dict[str, Any]:
    """{"seconds", "peak_mib" over the inputs, "values"}."""
    arrays = [np.load(folder / f"{part}.npy") for part in INPUTS.get(name, ("x", "y"))]
    side.METRICS[name](*(array[:WARM] for array in arrays))  # imports what it needs
    with PeakMemory() as memory:
        start = time.perf_counter()
        values = side.METRICS[name](*arrays)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mib": memory.mib, "values": np.atleast_1d(values).astype(float).tolist()}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m analysis.bench_evaluate_worker")
    parser.add_argument("--side", required=True, choices=("ours", "torch"))
    parser.add_argument("--folder", required=True, type=Path)
    args = parser.parse_args(argv)
    out, extract = sys.stdout, None
    with contextlib.redirect_stdout(sys.stderr):  # packages print of their own
        side = importlib.import_module(f"analysis.bench_evaluate_{args.side}")
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "open":
                extract, answer = open_network(side, args.folder, order["network"])
            elif order["do"] == "features":
                answer = time_features(extract, args.folder, order)
            else:
                answer = time_metric(side, args.folder, order["metric"])
            print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
