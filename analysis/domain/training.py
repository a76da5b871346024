"""How a reader learns, and what it gives once it has."""

import dataclasses
import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from analysis.domain.network import Reader
from analysis.features.images import in_batches
from data.ranges import to_float
from models.cpu import jit

BATCH, RATE, DECAY = 64, 2e-3, 1e-2
Loss = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A reader with its parameters.

    Attributes:
      params: nested dicts of arrays.
      check: what it reads on the validation split, which it did not learn from; plain JSON.
    """

    net: Reader
    params: dict[str, Any]
    check: dict[str, Any]

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Stored images [n, h, w, c] -> float32 [n, k]."""
        return in_batches(lambda x: self._apply(self.params, x)[1], images, 256)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Stored images [n, h, w, c] -> activations before the last layer, float32 [n, FEATURES]."""
        return in_batches(lambda x: self._apply(self.params, x)[0], images, 256)

    @cached_property
    def _apply(self):
        return jit(lambda params, x: self.net.apply({"params": params}, to_float(x)))

    def sha256(self) -> str:
        """64 hex digits of the parameters."""
        hashed = hashlib.sha256()
        for name, value in sorted(flax.traverse_util.flatten_dict(self.params, sep="/").items()):
            hashed.update(name.encode() + np.asarray(value).tobytes())
        return hashed.hexdigest()


def train(
    images: np.ndarray, targets: np.ndarray, loss: Loss, steps: int, seed: int, shift: int = 0
) -> tuple[Reader, dict[str, Any]]:
    """A reader of `targets` and its parameters: AdamW, cosine decay, batches of BATCH from a new order every epoch.

    Args:
      images: stored, [n, h, w, c].
      targets: [n, k].
      loss: (outputs [b, k], targets [b, k]) -> [].
      steps: of the optimiser, whatever n is, so that the cost does not grow with the dataset.
      shift: pixels by which batches are moved at most, for what does not depend on the place.
    """
    net = Reader(targets.shape[1])
    params = jax.jit(net.init)(jax.random.key(seed), jnp.asarray(to_float(images[:1])))["params"]
    tx = optax.adamw(optax.cosine_decay_schedule(RATE, steps), weight_decay=DECAY)

    @jit
    def step(params, state, x, y):
        gradient = jax.grad(lambda p: loss(net.apply({"params": p}, to_float(x))[1], y))(params)
        update, state = tx.update(gradient, state, params)
        return optax.apply_updates(params, update), state

    state, rng = tx.init(params), np.random.Generator(np.random.Philox(key=seed))
    for rows in _batches(len(images), steps, rng):
        moved = _moved(np.asarray(images[rows]), *rng.integers(-shift, shift + 1, 2))
        params, state = step(params, state, moved, np.asarray(targets[rows]))
    return net, jax.tree.map(np.asarray, params)


def _batches(n: int, steps: int, rng: np.random.Generator):
    """Rows of each batch, ascending as they are read from disk; an epoch leaves out what does not fill a batch."""
    size, order = min(BATCH, n), np.zeros(0, int)
    for _ in range(steps):
        if len(order) < size:
            order = rng.permutation(n)
        yield np.sort(order[:size])
        order = order[size:]


def _moved(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """[b, h, w, c] moved by so many pixels; what enters repeats the border."""
    h, w = images.shape[1:3]
    rows, columns = (np.clip(np.arange(size) - by, 0, size - 1) for size, by in ((h, down), (w, right)))
    return images[:, rows][:, :, columns]
