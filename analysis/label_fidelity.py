"""Whether a requested finding is in the image: a classifier of real images, asked about generated ones.

A small network learns the findings on the training split. Its AUROC on the test split says how well they can be
told in real images, and its AUROC on samples, against the labels that were requested, how well they were drawn. The
second can exceed the first where guidance draws findings larger than life.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from analysis.auroc import auroc
from data.ranges import to_float
from models.cpu import jit

EPOCHS, BATCH, LIMIT = 8, 64, 20_000


class Classifier(nn.Module):
    """Images [b, s, s, c] -> logits [b, classes]; strided convolutions, place kept."""

    classes: int

    @nn.compact
    def __call__(self, x):
        for width in (16, 32, 64, 64):
            x = nn.relu(nn.GroupNorm(8)(nn.Conv(width, (3, 3), strides=2)(x)))
        return nn.Dense(self.classes)(x.reshape(len(x), -1))


def label_fidelity(
    dataset, images: np.ndarray, labels: np.ndarray, split: str = "test", seed: int = 0
) -> dict[str, Any]:
    """{finding: {"real": ..., "samples": ...}}, each an AUROC with its interval, or None where a kind is missing.

    Args:
      dataset: of the run; its training split teaches.
      split: real images to compare with.
      images: [n, h, w, c] stored samples.
      labels: [n, k] what was asked of them.
    """
    names = dataset.info.classes
    train, test = dataset.arrays("train"), dataset.arrays(split)
    rows = np.linspace(0, len(train["label"]) - 1, min(LIMIT, len(train["label"]))).astype(int)
    scores = train_classifier(train["image"][rows], train["label"][rows, : len(names)], seed)
    kinds = {"real": (scores(test["image"]), test["label"]), "samples": (scores(images), labels)}
    return {
        name: {kind: _of_column(score[:, j], label[:, j]) for kind, (score, label) in kinds.items()}
        for j, name in enumerate(names)
    }


def _of_column(score: np.ndarray, label: np.ndarray) -> dict[str, Any] | None:
    known = (label == 0) | (label == 1)
    if len(np.unique(label[known])) < 2:
        return None
    return auroc(score[known], label[known]) | {"n": int(known.sum())}


def train_classifier(images: np.ndarray, labels: np.ndarray, seed: int):
    """A function of stored images [n, h, w, c] that gives logits [n, classes]."""
    net = Classifier(labels.shape[1])
    params = jax.jit(net.init)(jax.random.key(seed), jnp.asarray(to_float(images[:1])))
    steps = EPOCHS * max(len(images) // BATCH, 1)
    tx = optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=1e-2)

    def loss(params, x, y):
        terms = optax.sigmoid_binary_cross_entropy(net.apply(params, to_float(x)), jnp.maximum(y, 0))
        return jnp.mean(jnp.where(y < 0, 0.0, terms))

    @jit
    def step(params, state, x, y):
        update, state = tx.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, update), state

    state, rng = tx.init(params), np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for i in range(0, max(len(images) - BATCH, 0) + 1, BATCH):
            rows = np.sort(order[i : i + BATCH])
            params, state = step(params, state, np.asarray(images[rows]), np.asarray(labels[rows]))
    logits = jit(lambda params, x: net.apply(params, to_float(x)))
    return lambda x: np.concatenate([np.asarray(logits(params, x[i : i + 256])) for i in range(0, len(x), 256)])
