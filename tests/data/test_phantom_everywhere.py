"""Phantoms are the same images on every CPU, and drawn anew when the code that draws them changes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data import prepare

PHANTOM = Path(prepare.__file__).parent / "phantom"
# The instructions of CPUs twenty years apart, of which a machine uses the best it has unless told otherwise.
OLD = {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3"}
DRAW = """
import sys
import numpy as np
from data.phantom import chunks
chunks.narrow = lambda array: array  # as it was computed
from importlib import import_module
module = import_module(f"data.phantom.{sys.argv[1]}")
if hasattr(module, "narrow"):
    module.narrow = chunks.narrow
drawn = module.generate(5, np.arange(4), 32)
features = np._core._multiarray_umath.__cpu_features__
np.savez(sys.argv[2], image=drawn["image"], factors=drawn["factors"], modern=features.get("X86_V3", False))
"""


def drawn_by(name, path, variables):
    """Images and factors of a phantom in a new process, with these environment variables, in full precision."""
    ours = {key: value for key, value in os.environ.items() if key not in OLD}
    command = [sys.executable, "-W", "ignore", "-c", DRAW, name, str(path)]
    subprocess.run(command, env=ours | variables, cwd=PHANTOM.parents[1], check=True)
    return np.load(path)


@pytest.mark.parametrize("name", ["cxr", "mri", "us", "tissue", "natural"])
def test_other_instructions_draw_the_same_images(tmp_path, name):
    new = drawn_by(name, tmp_path / "new.npz", {})
    old = drawn_by(name, tmp_path / "old.npz", OLD)
    assert not old["modern"]  # or a program would be compared with itself
    for part in ("image", "factors"):
        assert new[part].dtype == np.float64
        # A gray level is 4e-3: of 1e8 pixels one rounds to another level. In single precision it is 1 in 1e5.
        np.testing.assert_allclose(old[part], new[part], rtol=0, atol=1e-10 * max(1, np.abs(new[part]).max()))


def test_preparation_knows_every_module_that_phantoms_share():
    own = set(prepare.DRAWN.values())
    shared = {
        path.name for path in PHANTOM.glob("*.py") if path.name != "__init__.py" and path.stem.split("_")[0] not in own
    }
    assert shared == set(prepare._DRAWING)
