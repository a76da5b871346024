"""The images themselves as features: the plainest network there is, and one that no training data stands behind."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from analysis.features.images import in_batches
from data.ranges import to_float
from models.cpu import jit


def extractor(size: int | None = None, batch_size: int = 32) -> Callable[[np.ndarray], np.ndarray]:
    """A function of stored images [n, h, w, c], n >= 1, that gives their pixels in [-1, 1], float32 [n, d].

    Args:
      size: side to which the images are reduced first, bilinearly and antialiased, d = size * size * c; None leaves
        them as they are, d = h * w * c.
      batch_size: images at a time.
    """

    def flatten(images: jax.Array) -> jax.Array:
        x = to_float(images)
        if size:
            x = jax.image.resize(x, (len(x), size, size, x.shape[-1]), "linear", antialias=True)
        return jnp.reshape(x, (len(x), -1))

    run = jit(flatten)
    return lambda images: in_batches(run, images, batch_size)
