"""python -m analysis.bench [--config configs/ddpm_cxr.py] [--torch PYTHON] [--out results/bench/NAME.json]

Measures the training step, the samplers, the input pipeline, the preparation of data and the first step of a fresh
process, prints a table and writes JSON; with --parts evaluate, what an evaluation costs. With --torch (a Python that
has the extra `bench`), the same network runs in PyTorch as well, the two taking turns, and the ratio of their rates is
printed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from analysis.bench_data import bench_input, bench_prepare
from analysis.bench_evaluate import bench_evaluate
from train.cli import guarded

PARTS = ("step", "samplers", "input", "prepare", "first_step", "families")
ALL_PARTS = (*PARTS, "evaluate")
FAMILIES = tuple(f"configs/{n}.py" for n in ("ddpm_cxr", "flow_cxr", "gan_cxr", "vae_cxr", "flow_seg", "unet_seg"))
SPECS = ("default", "plain32", "plain64", "plain128")


def main(argv: list[str] | None = None) -> int:
    """Runs the parts that are asked for; returns the exit status."""
    args = parse(argv)
    from train.rundir import device_name, git_revision, write_json

    parts = {"step": bench_step, "samplers": bench_samplers, "prepare": bench_prepare,
             "input": lambda args: bench_input(args, load_config(args.config)),
             "first_step": bench_first_step, "families": bench_families, "evaluate": bench_evaluate}  # fmt: skip
    results: dict[str, Any] = {
        "device": device_name(),
        "git": git_revision(),
        "config": args.config,
        "repeats": args.repeats,
    }
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in args.parts:
        results[name] = parts[name](args)
        _print(name, results[name])
        write_json(out, results)  # after every part: the whole takes half an hour
    if "step" in results and "input" in results:
        results["input_over_step"] = results["input"]["images_per_second"] / results["step"]["images_per_second"]
        print(f"input pipeline over training step: {results['input_over_step']:.1f}")
    if args.torch:
        from analysis.bench_pair import compare

        results["torch"] = []
        for spec in args.specs:
            results["torch"].append(compare(spec, args))
            _print(f"{spec} beside PyTorch", results["torch"][-1])
            write_json(out, results)
    write_json(out, results)
    print(f"written: {out}")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.bench", description=__doc__.split("\n\n")[1])
    parser.add_argument("--config", default="configs/ddpm_cxr.py", help="config whose network and batch are measured")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=ALL_PARTS, help="default: but for evaluate")
    parser.add_argument("--torch", default="", help="a Python with PyTorch and diffusers, to compare with")
    parser.add_argument("--specs", nargs="*", default=list(SPECS), choices=SPECS, help="networks compared with PyTorch")
    parser.add_argument("--images", type=int, default=10_000, help="images that are prepared, or evaluated")
    parser.add_argument("--pairs", type=int, default=50_000, help="features a set of evaluate's all-pairs metrics")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each; the median is quoted")
    parser.add_argument("--out", default="results/bench/bench.json", help="JSON file to write")
    return parser.parse_args(argv)


def bench_step(args) -> dict[str, Any]:
    """The compiled training step: median rate, spread, compile time and memory."""
    import jax

    family, info, mesh, config, step, state = _open(args)
    batch = _device_batch(info, config, mesh)
    start = time.perf_counter()
    compiled = step.lower(state, batch).compile()
    compile_seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    times = []
    for _ in range(args.repeats + 1):
        start = time.perf_counter()
        for _ in range(5):
            state, scalars = compiled(state, batch)
        jax.block_until_ready(scalars)
        times.append((time.perf_counter() - start) / 5)
    rates = config.train.batch_size / np.array(times[1:])
    return {
        "images_per_second": float(np.median(rates)),
        "lowest": float(rates.min()),
        "highest": float(rates.max()),
        "parameters": sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state.params)),
        "compile_seconds": compile_seconds,
        "memory_mib": (memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**20,
        "peak_device_mib": _peak_memory(),
    }


def bench_samplers(args) -> dict[str, Any]:
    """Images/s of samplers at the steps they are used with, one batch of 64."""
    import jax

    from analysis.sampling import Sampler

    family, info, mesh, config, step, state = _open(args)
    rows = {"as configured": _as_configured(family, config, info, state)}
    if config.model.family == "ddpm":
        for name, steps in (("dpmpp", 10), ("dpmpp", 20), ("dpmpp_sde", 20), ("heun", 18), ("ddim", 50), ("ddpm", 50)):
            options = config.sample.to_dict() | {"sampler": name, "steps": steps}
            rows[f"{name} {steps} steps"] = _sampling_rate(Sampler(family, options, info.bits), state, info)
            jax.clear_caches()
    return rows


def _as_configured(family, config, info, state) -> float:
    """Images/s of a generator, or of a segmenter given images, by `config.sample`."""
    import jax

    from analysis.sampling import Sampler
    from models.cpu import jit

    options = config.sample.to_dict()
    if not hasattr(family, "predict"):
        return _sampling_rate(Sampler(family, options, info.bits), state, info)
    images, state = np.zeros((64, *info.image_shape), np.float32), state.replace(opt_state={})
    predict = jit(lambda state, seed: family.predict(state, images, jax.random.split(seed, 64), **options))
    return _rate_of_64(lambda repeat: jax.block_until_ready(predict(state, jax.random.key(repeat))))


def _sampling_rate(sampler, state, info) -> float:
    labels = np.zeros((64, len(info.labels)), np.float32)
    return _rate_of_64(lambda repeat: sampler.draw(state, labels, repeat))


def _rate_of_64(draw) -> float:
    """Images/s: the median of three batches of 64, after one that compiles."""
    times = []
    for repeat in range(4):
        start = time.perf_counter()
        draw(repeat)
        times.append(time.perf_counter() - start)
    return 64 / float(np.median(times[1:]))


def bench_families(args) -> dict[str, Any]:
    """Training step and sampling (segmenting, of the segmenters) of every family at its own config."""
    import jax

    rows = {}
    for config in FAMILIES:
        one = argparse.Namespace(**vars(args) | {"config": config})
        step = bench_step(one)
        jax.clear_caches()
        family, info, _, config, _, state = _open(one)
        rate = _as_configured(family, config, info, state)
        rows[config.name] = step | {"batch_size": config.train.batch_size, "samples_per_second": rate}
        jax.clear_caches()
    return rows


def bench_first_step(args) -> dict[str, Any]:
    """Seconds from the command to the end of its first step, without and then with the compilation cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "train", "--config", args.config, f"--config.compilation_cache={folder}/jax",
            f"--config.data.cache={folder}/data", "--config.data.num_images=100", "--config.train.duration=2 steps",
            "--config.eval.every=", "--config.eval.final_images=0",
        ]  # fmt: skip
        seconds = [_until_step_1([*command, "--workdir", f"{folder}/{run}"]) for run in ("cold", "warm", "warm2")]
    return {"cold_seconds": seconds[0], "warm_seconds": min(seconds[1:])}


def _until_step_1(command: list[str]) -> float:
    """Seconds until a training run says on stderr that its first step is done; the run is let finish."""
    start, seconds, said = time.perf_counter(), None, []
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:  # text mode makes the progress bar's returns line ends
            said.append(line)
            if seconds is None and "step 1/" in line:
                seconds = time.perf_counter() - start
    if process.returncode or seconds is None:
        raise RuntimeError(f"{' '.join(command)}\n{''.join(said)}")
    return seconds


def load_config(argument: str):
    """The config that --config FILE.py:presets names."""
    import importlib.util

    path, _, arg = argument.partition(":")
    spec = importlib.util.spec_from_file_location("bench_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg or None)


def _open(args):
    """Family, info, mesh, config, compiled-to-be step and a fresh state, for invented images of the config's size."""
    from train import build, sharding

    config = load_config(args.config)
    mesh = sharding.make_mesh(config.mesh.fsdp)
    info = invented_info(config)
    family = build.build_family(config, info, _no_means(info), None, _invented_covariance(config, info))
    step = build.jit_train_step(family, info, mesh, build.root_key(0, "train"))
    return family, info, mesh, config, step, build.init_state(family, info, mesh, 0)


def _no_means(info):
    from data.label_means import LabelMeans

    k = len(info.labels)
    return LabelMeans(np.zeros((k + 1, *info.image_shape), np.float32), np.zeros(k, np.float32), 0.5)


def _invented_covariance(config, info):
    from data.covariance import PixelCovariance
    from train.build import covariance_rank

    size = int(np.prod(info.image_shape))
    rank = min(covariance_rank(config), size)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((size, rank)))[0].T.astype(np.float32)
    return PixelCovariance(basis, np.ones(rank, np.float32), 0.1) if rank else None


def invented_info(config):
    """Info of a dataset that is not there: speed does not depend on what the pixels hold."""
    from data import Info

    channels, size = config.data.channels, config.data.image_size
    sizes = {"train": 10_000, "val": 100, "test": 100}
    return Info(
        name="invented", image_shape=(size, size, channels), bits=config.data.bits, classes=("a", "b", "c", "d"),
        exclusive=False, attributes=(), mask_channels=("mask",), raters=1, factors=(), sizes=sizes, patients=None,
        mean=(0.0,) * channels, std=(0.5,) * channels, licence="", citation="", fingerprint="", skipped=0,
    )  # fmt: skip


def _device_batch(info, config, mesh):
    from train import sharding

    n = config.train.batch_size
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 255, (n, *info.image_shape), np.uint8),
        "label": rng.integers(0, 2, (n, len(info.labels))).astype(np.float32),
        "id": np.arange(n, dtype=np.int32),
        "weight": np.ones(n, np.float32),
        "mask": rng.integers(0, 2, (n, *info.image_shape[:2], 1)).astype(np.float32),
    }
    return sharding.put_batch(batch, mesh)


def _peak_memory() -> float | None:
    """MiB that the device has held at most, where the backend counts it; on a CPU the process's own peak."""
    import resource

    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _print(title: str, values: dict[str, Any]) -> None:
    print(f"\n{title}")
    for name, value in values.items():
        if isinstance(value, dict):
            _print(f"{title}: {name}", value)
        else:
            shown = f"{value:,.2f}" if isinstance(value, float) else json.dumps(value)
            print(f"  {name:<28}{shown:>12}")


if __name__ == "__main__":
    guarded(main)
