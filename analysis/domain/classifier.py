"""The classifier of findings: a reader that learns a dataset's classes from its real training images."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from analysis.auroc import auroc
from analysis.domain.store import kept
from analysis.domain.training import Trained, train
from analysis.metrics.patients import Groups, patient_groups
from data import UserError

STEPS, SHIFT = 1800, 2


def classifier(dataset, folder: str | Path | None = None, seed: int = 0) -> Trained:
    """Its outputs are logits, a column for each class; `check` has the AUROC of each on the validation split.

    Args:
      dataset: data.dataset.Dataset.
      folder: where it is kept, see `analysis.domain.store.kept`.

    Raises:
      UserError: a dataset without classes, or without a training or validation split.
    """
    names = dataset.info.classes
    if not names:
        raise UserError(f"{dataset.info.name} has no classes, so that no classifier of findings can learn from it")

    def make() -> Trained:
        real, held = dataset.arrays("train"), dataset.arrays("val")
        net, params = train(real["image"], real["label"][:, : len(names)], cross_entropy, STEPS, seed, SHIFT)
        scores = Trained(net, params, {}).outputs(held["image"])
        groups = patient_groups(np.asarray(held["patient"]))
        check = {name: auroc_of_known(scores[:, j], held["label"][:, j], groups) for j, name in enumerate(names)}
        return Trained(net, params, check)

    return kept("findings", dataset.info, folder, seed, make)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over all labels [b, k] in [0, 1]; what is not known (-1) counts nothing."""
    terms = optax.sigmoid_binary_cross_entropy(logits, jnp.maximum(labels, 0))
    return jnp.mean(jnp.where(labels < 0, 0.0, terms))


def auroc_of_known(score: np.ndarray, label: np.ndarray, groups: Groups = None) -> dict | None:
    """{"auroc", "interval", "n"} of the images whose label is 0 or 1; None where one kind is missing."""
    known = (label == 0) | (label == 1)
    if len(np.unique(label[known])) < 2:
        return None
    patients = None if groups is None else groups[known]
    return auroc(score[known], label[known], patients) | {"n": int(known.sum())}
