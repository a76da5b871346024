"""What the data path costs: preparation from files, in a process of its own, and batches from the prepared array."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data import DataOptions, load

SIDE = 128  # pixels of the images that are prepared
_PREPARE = """
import json, resource, sys, time
from data import DataOptions, load
start = time.perf_counter()
options = DataOptions(name="folder", dir=sys.argv[1], cache=sys.argv[2], image_size=int(sys.argv[3]))
dataset = load(options, progress=False)
seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024, "images": sum(dataset.info.sizes.values())}))
"""


def bench_prepare(args) -> dict[str, Any]:
    """args.images PNGs of 128 x 128 from a folder to the array of that size: rate and peak memory.

    Near-duplicates are looked for, as by default; the time is of everything from the call to the opened dataset.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder) / "images", args.images)
        command = [sys.executable, "-c", _PREPARE, f"{folder}/images", f"{folder}/cache", str(SIDE)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        result = json.loads(said) | {"size": SIDE}
    return result | {"images_per_second": result["images"] / result["seconds"]}


def write_pictures(folder: Path, count: int) -> None:
    """Gray PNGs, each another piece of one smooth picture with noise: about as large as radiographs of that size."""
    from scipy.ndimage import gaussian_filter

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.standard_normal((2048, 2048)), 6, mode="wrap")
    field *= 50 / field.std()
    noise = rng.integers(-6, 7, (SIDE, SIDE))
    for i in range(count):
        y, x = rng.integers(0, 2048 - SIDE, 2)
        pixels = np.uint8(np.clip(128 + field[y : y + SIDE, x : x + SIDE] + np.roll(noise, i), 0, 255))
        Image.fromarray(pixels).save(folder / f"{i:06}.png", compress_level=1)


def bench_input(args, config) -> dict[str, Any]:
    """Batches of 128 from a prepared array of the config's dataset, alone: no model, no transfer."""
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        dataset = load(DataOptions(**config.data.to_dict() | {"cache": cache, "num_images": 2000}))
        prepare = time.perf_counter() - start
        batches = dataset.batches("train", 128, 0, raw=True)
        rates = []
        for repeat in range(args.repeats):
            start = time.perf_counter()
            for index in range(repeat * 200, repeat * 200 + 200):
                batches[index]
            rates.append(200 * 128 / (time.perf_counter() - start))
    return {"images_per_second": float(np.median(rates)), "prepare_images_per_second": 2000 / prepare}
