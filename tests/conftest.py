"""Shared by all tests: quick compilation, float64 on request, and where the real images are."""

import os
from pathlib import Path

from tests.quick import QUICK

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()

import jax  # noqa: E402 (reads XLA_FLAGS)
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

FOLDERS = ("train", "models", "analysis", "data")  # from the longest files to the shortest

# Many tests compile the same small programs: once is enough.
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "tests"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_collection_modifyitems(items):
    """Long files first: of two workers none is left with one when the other has nothing more to do."""
    folder = lambda item: item.path.relative_to(ROOT / "tests").parts[0]  # noqa: E731
    items.sort(key=lambda item: FOLDERS.index(folder(item)) if folder(item) in FOLDERS else len(FOLDERS))


@pytest.fixture
def x64():
    """float64 for the length of a test, where an order or a closed form is measured."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def real_images() -> Path:
    """The folder of real image packs; the test is skipped where it is absent."""
    if not SHARED.exists():
        pytest.skip(f"no real images beside the repository ({SHARED.parent.name}/{SHARED.name})")
    return SHARED
