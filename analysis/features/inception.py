"""Features of FID's Inception: stored images, resized by a published rule and scaled, through `inception_net`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from analysis.features import inception_weights
from analysis.features.images import in_batches, levels, rgb
from analysis.features.inception_net import SIZE, TAPS, Inception
from analysis.features.resize import check_mode, resize
from data import UserError
from models.cpu import jit

# Levels u enter as u / GRAY - 1: the graph subtracts 128 and divides by it, pytorch-fid takes 2 (u / 255) - 1.
GRAY = {"clean": 128.0, "legacy-tensorflow": 128.0, "legacy-pytorch": 127.5}


def prepare(images: np.ndarray, mode: str) -> np.ndarray:
    """Stored images [n, h, w, 1 or 3] -> float32 [n, 299, 299, 1 or 3] in about [-1, 1], resized by `mode`."""
    return resize(levels(images), SIZE, mode) / np.float32(GRAY[mode]) - np.float32(1.0)


def extractor(
    tap: str = "2048", mode: str = "clean", batch_size: int = 32, path: str | Path | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of stored images [n, h, w, 1 or 3], n >= 1, that gives their features, float32 [n, width].

    Args:
      tap: one of TAPS, described at `inception_net.Inception`.
      mode: of resizing, one of `resize.MODES`.
      batch_size: images at a time; the features do not depend on it.
      path: of the weights, where they are not to be looked for (`inception_weights.find`).

    Raises:
      UserError: an unknown tap or mode; weights that are not found, cannot be downloaded or are others.
    """
    check_mode(mode)
    if tap not in TAPS:
        raise UserError(f"Inception has no features {tap!r}; it has {', '.join(TAPS)}")
    return from_params(inception_weights.load(inception_weights.find(path)), tap, mode, batch_size)


def from_params(
    params: dict[str, Any], tap: str = "2048", mode: str = "clean", batch_size: int = 32
) -> Callable[[np.ndarray], np.ndarray]:
    """The same, of parameters that are at hand."""
    params = jax.device_put(params)
    run = jit(lambda params, x: Inception().apply({"params": params}, rgb(x))[tap])
    return lambda images: in_batches(lambda part: run(params, prepare(part, mode)), images, batch_size)
