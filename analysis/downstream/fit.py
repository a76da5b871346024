"""How a classifier learns: alike in all arms, but for the images."""

import dataclasses
import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from analysis.domain.classifier import cross_entropy
from analysis.downstream.arms import TrainingSet
from analysis.downstream.networks import Network, Params
from analysis.downstream.options import Settings
from analysis.features.images import in_batches
from analysis.progress import progress
from data.draws import Orders
from data.ranges import to_float
from models.augment import augment
from models.cpu import jit
from train.build import root_key

WARMUP, DECAY, CLIP = 0.05, 1e-2, 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier that has learned.

    Attributes:
      exclusive: exactly one class an image.
      facts: plain JSON for the result file: the curve of the validation loss, the step taken, the time.
    """

    network: Network
    params: Params
    exclusive: bool
    facts: dict[str, Any]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Stored images [n, h, w, c] -> float32 [n, k]."""
        return outputs(self.network, self.params, images)


def fit(network: Network, images: TrainingSet, real: dict[str, Any], held: dict[str, Any], exclusive: bool,
        settings: Settings) -> Fitted:  # fmt: skip
    """AdamW with a warm-up and a cosine decay to 0, clipped gradients, `settings.steps` steps in every arm.

    The loss is the plain cross-entropy (softmax of exclusive classes, else a sigmoid each), without weights for rare
    classes: its least value is at calibrated probabilities. Outputs start at the real training split's prevalence.

    Args:
      images: of the arm.
      real, held: arrays of the real training and validation splits, labels cut to the classes.
    """
    bias = prior(real["label"], exclusive)
    example = jnp.asarray(to_float(images.batch(np.arange(1))[0]))
    params = network.init(root_key(settings.seed, "init"), example, bias)
    tx = _optimiser(settings.rate or network.rate, settings.steps)
    step, state = _step(network, tx, exclusive, settings), tx.init(params)
    orders, size = Orders(len(images), settings.seed), settings.batch_size
    looks = set(np.linspace(0, settings.steps, min(settings.checks, settings.steps) + 1).astype(int)[1:].tolist())
    best, curve, begun = None, [], time.monotonic()
    with progress(f"{network.name} on {settings.arm}", settings.steps) as report:
        for i in range(settings.steps):
            x, y = images.batch(orders.at(np.arange(i * size, (i + 1) * size)))
            params, state = step(params, state, i, x, y)
            if i + 1 in looks:
                curve.append([i + 1, validation_loss(network, params, held, exclusive)])
                if best is None or curve[-1][1] < best[0] or settings.select == "last":
                    best = (curve[-1][1], i + 1, params)
            report(i + 1)
    facts = {"step": best[1], "validation_loss": curve, "rate": settings.rate or network.rate,
             "images_seen": size * settings.steps, "seconds": time.monotonic() - begun}  # fmt: skip
    return Fitted(network, best[2], exclusive, facts)


def prior(label: np.ndarray, exclusive: bool) -> np.ndarray:
    """Logits [k] of the classes' shares in labels [n, k]; -1 counts nothing, and no share is 0 or 1."""
    known = label >= 0
    share = ((label * known).sum(0) + 0.5) / (known.sum(0) + 1.0)
    return np.asarray(np.log(share) if exclusive else np.log(share / (1 - share)), np.float32)


def _optimiser(rate: float, steps: int) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, max(int(WARMUP * steps), 1), max(steps, 2))
    kernels = lambda params: jax.tree.map(lambda a: a.ndim > 1, params)  # noqa: E731
    return optax.chain(optax.clip_by_global_norm(CLIP), optax.adamw(schedule, weight_decay=DECAY, mask=kernels))


def _step(network: Network, tx: optax.GradientTransformation, exclusive: bool, settings: Settings):
    root = root_key(settings.seed, "train")

    def step(params, state, i, x, y):
        x = to_float(x)
        if settings.augment:
            keys = jax.random.split(jax.random.fold_in(root, i), len(x))
            x = augment(x, keys, jnp.float32(settings.augment))
        gradient = jax.grad(lambda p: loss(network.logits(p, x), y, exclusive))(params)
        update, state = tx.update(gradient, state, params)
        return optax.apply_updates(params, update), state

    return jit(step)


def loss(logits: jax.Array, label: jax.Array, exclusive: bool) -> jax.Array:
    """Mean cross-entropy of logits [b, k] and labels [b, k]; a finding that is not known (-1) counts nothing."""
    if exclusive:
        return jnp.mean(optax.softmax_cross_entropy(logits, label))
    return cross_entropy(logits, label)


def validation_loss(network: Network, params: Params, held: dict[str, Any], exclusive: bool) -> float:
    """`loss` of the whole validation split, real whatever the arm."""
    logits = outputs(network, params, held["image"])
    return float(loss(jnp.asarray(logits), jnp.asarray(held["label"]), exclusive))


def outputs(network: Network, params: Params, images: np.ndarray) -> np.ndarray:
    """Logits [n, k] of stored images [n, h, w, c]."""
    return in_batches(lambda part: _logits(network)(params, part), images, 128)


@functools.cache
def _logits(network: Network):
    return jit(lambda params, x: network.logits(params, to_float(x)))
