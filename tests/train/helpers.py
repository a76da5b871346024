"""A run small enough for tests, on a MedMNIST-format file that the test writes."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from tests.quick import SOME
from train.__main__ import define_flags, main
from train.cli import guarded, parse_config

ROOT = Path(__file__).resolve().parents[2]

ENVIRONMENT = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": SOME}

SHARED = ("--config.data.image_size=16", "--config.train.restart_at=")
UNET = (
    "--config.model.unet.channels=16", "--config.model.unet.multipliers=(1,)", "--config.model.unet.patch=4",
    "--config.model.unet.attention=()", "--config.model.unet.local_channels=16",
    "--config.model.unet.mid_attention=False", "--config.model.unet.dropout=0.1", "--config.sample.steps=2",
)  # fmt: skip
SEGMENTER = (
    "--config.data.dir=", "--config.data.num_images=100", "--config.model.channels=(8,8)",
    "--config.model.dropout=0.1",
)
TINY = {
    "ddpm_cxr": UNET,
    "flow_cxr": UNET,
    "gan_cxr": (
        "--config.model.generator_channels=(16,)", "--config.model.discriminator_channels=(16,)",
        "--config.model.ada_kimg=0.1",
    ),
    "vae_cxr": (
        "--config.model.channels=(16,16)", "--config.model.groups=(1,1)",
        "--config.model.latents=(4,2)", "--config.model.embedding=16",
        "--config.model.discriminator.channels=(16,)",
    ),
    "flow_seg": SEGMENTER,
    "unet_seg": SEGMENTER,
}  # fmt: skip


def write_npz(path: Path) -> Path:
    """Two classes of smooth gray images, 96/32/16, written once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rng, arrays = np.random.default_rng(0), {}
        for split, n in (("train", 96), ("val", 32), ("test", 16)):
            coarse = rng.integers(20, 235, (n, 4, 4), np.uint8)
            arrays[f"{split}_images"] = coarse.repeat(4, 1).repeat(4, 2)
            arrays[f"{split}_labels"] = rng.integers(0, 2, (n, 1), np.uint8)
        np.savez(path, **arrays)
    return path


def train(workdir, *options, cache, check=True, env=None, preset="medmnist,smoke", config="ddpm_cxr", **kwargs):
    """`python -m train` as a user runs it; returns the finished process."""
    command = train_command(workdir, *options, cache=cache, preset=preset, config=config)
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT | (env or {}), capture_output=True, text=True, **kwargs,
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stderr}")
    return done


def train_here(workdir, *options, cache, preset="medmnist,smoke", config="ddpm_cxr"):
    """The same within this process, which spares its start and imports; returns the exit status."""
    return call(*train_command(workdir, *options, cache=cache, preset=preset, config=config)[3:])


def run_train(workdir, config, cache, *options):
    """`python -m train` within this process, on a config as it is but for the options given."""
    arguments = ("--config", config, "--workdir", str(workdir), f"--config.data.cache={cache}/data", *options)
    assert call(*arguments) == 0, f"{' '.join(arguments)} failed: see its stderr"


def call(*arguments) -> int:
    """Exit status of `python -m train` with these arguments, within this process."""
    argv = ["train", *arguments, "--config.compilation_cache="]  # this process has set its own
    with mock.patch.object(sys, "argv", argv), contextlib.chdir(ROOT), pytest.raises(SystemExit) as stop:
        guarded(main)
    return stop.value.code


def opened(workdir, *options, cache, preset="medmnist,smoke", config="ddpm_cxr"):
    """(config, dataset) of the same command, nothing trained."""
    from data import DataOptions, load

    argv = train_command(workdir, *options, cache=cache, preset=preset, config=config)[2:]
    with mock.patch.object(sys, "argv", argv), contextlib.chdir(ROOT):  # config flags look there themselves
        parsed, _ = parse_config(argv, define_flags)
    return parsed, load(DataOptions(**parsed.data.to_dict()), progress=False)


def write_run(workdir, *options, cache, **kwargs) -> Path:
    """A run directory with one checkpoint, at step 3, of random parameters and of another random average."""
    import jax

    from train import build, rundir, sharding
    from train.checkpoint import Checkpointer

    config, dataset = opened(workdir, *options, cache=cache, **kwargs)
    covariance = build.covariance_of(config, dataset)
    family = build.build_family(config, dataset.info, dataset.label_means(), None, covariance)
    state = build.init_state(family, dataset.info, sharding.make_mesh(1), config.seed)
    rng = np.random.default_rng(0)
    drawn = lambda tree: jax.tree.map(lambda a: 0.1 * rng.normal(size=a.shape).astype(np.float32), tree)  # noqa: E731
    state = state.replace(step=state.step + 3, params=drawn(state.params), ema=drawn(state.ema))
    rundir.open_run(workdir, rundir.to_plain(config))
    rundir.record_provenance(workdir, dataset, None, covariance)
    checkpointer = Checkpointer(workdir / "checkpoints")
    checkpointer.save(state, {})
    checkpointer.close()
    return workdir


def train_command(workdir, *options, cache, preset="medmnist,smoke", config="ddpm_cxr"):
    return [
        sys.executable, "-m", "train", "--config", f"configs/{config}.py:{preset}", "--workdir", str(workdir),
        f"--config.data.dir={write_npz(cache / 'tiny.npz')}", f"--config.data.cache={cache}/data",
        f"--config.compilation_cache={ROOT}/.cache/tests", *SHARED, *TINY[config], *options,
    ]  # fmt: skip
