"""1 and 8 devices agree, also with the parameters split between them; accumulation is that of the large batch."""

import json

import numpy as np
import pytest

from tests.quick import QUICK
from tests.train.helpers import train

EIGHT = {"XLA_FLAGS": f"--xla_force_host_platform_device_count=8 {QUICK}"}
QUICK_ONE = {"XLA_FLAGS": QUICK}
LARGE = ("--config.train.batch_size=16", "--config.train.duration=8 steps", "--config.model.unet.channels=64")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    cache, base = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("runs")
    kinds = {
        "one": ((), QUICK_ONE),
        "accumulated": (("--config.train.accumulate=2",), QUICK_ONE),
        "eight": ((), EIGHT),
        "fsdp": (("--config.mesh.fsdp=4",), EIGHT),
    }
    for name, (options, env) in kinds.items():
        options = ("--config.train.accumulate=1", *LARGE, *options)
        train(base / name, *options, cache=cache, env=env)
    return base


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow  # the quick form, of every family, is in test_families.py
@pytest.mark.parametrize(
    ("a", "b"),
    [("one", "eight"), ("one", "accumulated"), ("one", "fsdp")],
    ids=["devices", "accumulate", "fsdp"],
)
def test_the_numbers_agree(runs, a, b):
    left, right = rows(runs / a), rows(runs / b)
    assert [sorted(row) for row in left] == [sorted(row) for row in right]
    for x, y in zip(left, right, strict=True):
        np.testing.assert_allclose([x[k] for k in sorted(x)], [y[k] for k in sorted(y)], rtol=2e-4)


def test_large_parameters_are_split():
    """On 8 devices with fsdp=4 a kernel lies in quarters."""
    import subprocess
    import sys

    code = (
        "import jax, numpy as np\nfrom train.sharding import make_mesh, state_shardings\n"
        "mesh = make_mesh(4)\nbig = jax.ShapeDtypeStruct((3, 3, 64, 128), np.float32)\n"
        "small = jax.ShapeDtypeStruct((128,), np.float32)\nodd = jax.ShapeDtypeStruct((32771,), np.float32)\n"
        "print([s.spec for s in state_shardings([big, small, odd], mesh)])"
    )
    import os

    env = os.environ | EIGHT | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "[P(None, None, None, 'fsdp'), P(), P()]"


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    done = train(tmp_path / "run", "--config.train.batch_size=12", cache=tmp_path, env=EIGHT, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "config.train.batch_size=12 is not divisible" in done.stderr and "multiple of 16" in done.stderr
    assert not (tmp_path / "run").exists()
