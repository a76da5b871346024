"""What every feature network does with stored images: one range, gray as color, batches of one size."""

from collections.abc import Callable

import numpy as np


def levels(images):
    """Stored images as the 256 gray levels that the networks were made for.

    Args:
      images: uint8 or uint16 [n, h, w, c], numpy or jax.

    Returns:
      float32 of the same shape and kind, in [0, 255]; of 16 bits the fractions stay.

    Raises:
      TypeError: another dtype.
    """
    if images.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"stored images are uint8 or uint16, not {images.dtype}")
    x = images.astype("float32")
    return x if images.dtype == np.uint8 else x / 257.0


def rgb(x):
    """Images [n, h, w, 1 or 3], numpy or jax -> [n, h, w, 3]: gray is repeated.

    Raises:
      ValueError: another number of channels.
    """
    if x.shape[-1] not in (1, 3):
        raise ValueError(f"images of {x.shape[-1]} channels are neither gray nor RGB")
    return x.repeat(3, axis=-1) if x.shape[-1] == 1 else x


def in_batches(function: Callable[[np.ndarray], np.ndarray], images: np.ndarray, size: int) -> np.ndarray:
    """`function` of `size` images at a time, its results joined; what it gives must not depend on the others.

    The last batch is filled up with its last image, so that a compiled function sees one shape.
    """
    size, parts = min(size, len(images)), []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        parts.append(np.asarray(function(filled))[: len(part)])
    return np.concatenate(parts)
