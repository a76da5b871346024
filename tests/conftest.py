"""Shared by all tests: strict broadcasting, float64 on request, and where the real images are."""

from pathlib import Path

import jax
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


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
