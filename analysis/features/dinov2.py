"""Features of DINOv2: stored images, resized by Pillow's bicubic and ImageNet-normalised, through `dinov2_net`.

Frechet distances in those of the ViT-L/14 are FD-DINOv2 (Stein et al. 2023, "Exposing flaws of generative model
evaluation metrics"; Karras et al. 2024), which rank image sets more as people do than those in Inception's.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from analysis.features import dinov2_weights
from analysis.features.dinov2_net import SIZE, Params, features
from analysis.features.images import in_batches, levels, rgb
from analysis.features.resize import resize
from models.cpu import jit

RESIZE = "pillow-bicubic"
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def prepare(images: np.ndarray) -> np.ndarray:
    """Stored images [n, h, w, 1 or 3] -> float32 [n, 224, 224, 3], ImageNet-normalised.

    Images of 8 bits are rounded to 8 bits again once resized, as in the published code; of 16 bits the fractions stay.
    """
    x = _resize_8_bits(images) if images.dtype == np.uint8 else resize(levels(images), SIZE, "clean")
    return (rgb(x.astype(np.float32)) / np.float32(255.0) - MEAN) / STD


def _resize_8_bits(images: np.ndarray) -> np.ndarray:
    n, height, width, channels = images.shape
    planes = np.moveaxis(images, -1, 1).reshape(-1, height, width)  # Pillow resizes each channel alone anyway
    out = [np.asarray(Image.fromarray(x).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for x in planes]
    return np.moveaxis(np.stack(out).reshape(n, channels, SIZE, SIZE), 1, -1)


def extractor(
    name: str = "dinov2", batch_size: int = 32, path: str | Path | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of stored images [n, h, w, 1 or 3], n >= 1, that gives their features, float32 [n, width].

    Args:
      name: one of `dinov2_weights.ARCHITECTURES`.
      batch_size: images at a time; the features do not depend on it.
      path: of the weights, where they are not to be looked for (`dinov2_weights.find`).

    Raises:
      UserError: weights that are not found, cannot be downloaded or are others.
    """
    return from_params(dinov2_weights.load(name, dinov2_weights.find(name, path)), batch_size)


def from_params(params: Params, batch_size: int = 32) -> Callable[[np.ndarray], np.ndarray]:
    """The same, of parameters that are at hand."""
    params, run = jax.device_put(params), jit(features)
    return lambda images: in_batches(lambda part: run(params, prepare(part)), images, batch_size)
