"""From one dataset and Settings to the content of a result file."""

from typing import Any

import numpy as np

from analysis.downstream.arms import training_set
from analysis.downstream.fit import Fitted, fit
from analysis.downstream.measures import measure
from analysis.downstream.networks import build
from analysis.downstream.options import Settings
from analysis.downstream.predictions import Predictions, thresholds
from analysis.evaluation.sets import owners
from analysis.metrics.patients import patient_groups
from data import DataOptions
from data.dataset import Dataset

SAME = ("network", "input_size", "steps", "batch_size", "rate", "augment", "select", "checks", "seed", "resamples")


def evaluate_arm(dataset: Dataset, options: DataOptions, settings: Settings) -> tuple[dict, Predictions, Fitted]:
    """(content of a result file, what is said of the test images, the classifier).

    Raises:
      UserError: an arm that cannot be made, a dataset without one of the splits, too few test images.
    """
    info = dataset.info
    images = training_set(dataset, options, settings)
    real, held, test = (_arrays(dataset, split) for split in ("train", "val", "test"))
    network = build(settings.network, settings.input_size, info.image_shape[2])
    fitted = fit(network, images, real, held, info.exclusive, settings)
    limits = thresholds(fitted.logits(held["image"]), held["label"], info.exclusive)
    logit = fitted.logits(test["image"])
    facts = (test["label"], test["key"], patient_groups(test["patient"]), limits, info.classes, info.exclusive)
    predictions = Predictions(logit, *facts)
    return _content(dataset, options, settings, images.facts, fitted, predictions), predictions, fitted


def _arrays(dataset: Dataset, split: str) -> dict[str, np.ndarray]:
    """Its arrays, the labels those of the classes alone."""
    arrays = dataset.arrays(split)
    return arrays | {"label": arrays["label"][:, : len(dataset.info.classes)]}


def _content(dataset: Dataset, options: DataOptions, settings: Settings, images: dict[str, Any], fitted: Fitted,
             predictions: Predictions) -> dict[str, Any]:  # fmt: skip
    info, limits = dataset.info, predictions.threshold
    return {
        "arm": settings.arm,
        "ratio": None if settings.arm == "real" else settings.ratio,
        "dataset": info.name,
        "data": info.fingerprint,
        "fraction": options.fraction,
        "image_shape": list(info.image_shape),
        "classes": list(info.classes),
        "exclusive": info.exclusive,
        "training": images,
        "settings": {name: getattr(settings, name) for name in SAME},
        "parameters": sum(leaf.size for leaf in _leaves(fitted.params)),
        "fit": fitted.facts,
        "thresholds": None if info.exclusive else dict(zip(info.classes, limits.tolist(), strict=True)),
        "test": _test(dataset, predictions),
        "metrics": measure(predictions, settings.resamples),
    }


def _leaves(params) -> list:
    import jax

    return jax.tree.leaves(params)


def _test(dataset: Dataset, predictions: Predictions) -> dict[str, Any]:
    """How many there are of what was tested, and what was drawn again."""
    known = (predictions.label == 0) | (predictions.label == 1)
    return {
        "images": len(predictions),
        **owners(predictions.group, bool(dataset.info.patients)),
        "positives": dict(zip(predictions.classes, (predictions.label == 1).sum(0).tolist(), strict=True)),
        "known": dict(zip(predictions.classes, known.sum(0).tolist(), strict=True)),
        "truth_sha256": predictions.truth_sha256(),
    }
