"""The metrics of predictions with 95 % intervals over patients."""

from typing import Any

import numpy as np

from analysis.downstream import scores
from analysis.downstream.predictions import Predictions
from data import UserError

ALL = "all"  # of all classes together
CALIBRATION = "ece"
CHUNK = 4_000_000  # weights held at once
Values = dict[str, dict[str, np.ndarray]]


def measure(predictions: Predictions, resamples: int) -> dict[str, Any]:
    """{"all" or class: {metric: {"value", "low", "high"}}}, intervals of the percentile bootstrap (see `estimate`).

    Patients are drawn again, each with all of their images. Where a draw has no positive or no negative left, a value
    does not exist; the interval is of the others, whose number is then `draws`.

    Raises:
      UserError: no class has positives and negatives.
    """
    plain = values_of(predictions, np.ones((1, len(predictions))))
    drawn = bootstrap(predictions, resamples)
    return {
        name: {metric: estimate(metric, float(value[0]), drawn[name][metric]) for metric, value in rows.items()}
        for name, rows in plain.items()
    }


def bootstrap(predictions: Predictions, resamples: int) -> Values:
    """`values_of` each draw, [resamples]; draw i of a test set is the same whatever was predicted for it."""
    rng = np.random.Generator(np.random.Philox(key=0))
    count = int(predictions.group.max()) + 1
    size, parts = max(CHUNK // len(predictions), 1), []
    for start in range(0, resamples, size):
        drawn = rng.multinomial(count, np.full(count, 1 / count), min(size, resamples - start))
        parts.append(values_of(predictions, drawn[:, predictions.group].astype(np.float64)))
    return {
        name: {metric: np.concatenate([part[name][metric] for part in parts]) for metric in rows}
        for name, rows in parts[0].items()
    }


def estimate(metric: str, value: float, drawn: np.ndarray) -> dict[str, Any]:
    """A value with the central 95 % of its draws; None where it does not exist.

    Drawing again adds as much to a calibration error as sampling did, so that its draws lie above the value. They are
    moved back by their mean excess: the interval is of what is expected at this number of images, not of the limit.
    """
    exists = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(exists):
        return {"value": None, "low": None, "high": None}
    low, high = np.quantile(exists, [0.025, 0.975]) - (exists.mean() - value if metric == CALIBRATION else 0.0)
    fewer = {"draws": len(exists)} if len(exists) < len(drawn) else {}
    return {"value": value, "low": float(low), "high": float(high)} | fewer


def values_of(predictions: Predictions, weight: np.ndarray) -> Values:
    """{"all" or class: {metric: [r]}} for weights [r, n] of the images; "all" is of the classes with both kinds.

    Findings: accuracy is at a probability of 0.5, balanced accuracy at the predictions' thresholds, calibration that of
    the probability of the finding; "all" is the mean over findings. Exclusive classes: the likeliest is called,
    calibration is that of its probability, balanced accuracy the mean of the sensitivities.
    """
    label = predictions.label
    both = [name for name, column in zip(predictions.classes, label.T, strict=True) if {0, 1} <= set(column.tolist())]
    if not both:
        raise UserError("no class of the test split has both images with it and images without; use a larger split")
    probability = predictions.probability
    by_class = {name: _of_class(predictions, probability, j, weight) for j, name in enumerate(predictions.classes)}
    metrics = by_class[both[0]]
    means = {metric: np.mean([by_class[name][metric] for name in both], axis=0) for metric in metrics}
    if predictions.exclusive:
        means = _of_exclusive(means, probability, label, weight)
    return {ALL: means} | by_class


def _of_class(predictions: Predictions, probability: np.ndarray, j: int, weight: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of one class against all else, of the images of which it is known."""
    label = predictions.label[:, j]
    known, p, positive = (label == 0) | (label == 1), probability[:, j], label == 1
    weight = weight * known
    found = {"auroc": scores.auroc(p, positive, weight), "auprc": scores.auprc(p, positive, weight)}
    if predictions.exclusive:
        return found | {"sensitivity": scores.mean(probability.argmax(1) == j, weight * positive)}
    called = p >= predictions.threshold[j]
    return found | {
        "accuracy": scores.mean((p >= 0.5) == positive, weight),
        "balanced_accuracy": scores.balanced_accuracy(called, positive, weight),
        CALIBRATION: scores.calibration_error(p, positive, weight),
        "brier": scores.mean(np.square(p - positive), weight),
        "nll": scores.mean(-_log(np.where(positive, p, 1 - p)), weight),
    }


def _of_exclusive(means: dict, probability: np.ndarray, label: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    true, called = label.argmax(1), probability.argmax(1)
    return {
        "auroc": means["auroc"],
        "auprc": means["auprc"],
        "accuracy": scores.mean(called == true, weight),
        "balanced_accuracy": means["sensitivity"],
        CALIBRATION: scores.calibration_error(probability.max(1), called == true, weight),
        "brier": scores.mean(np.square(probability - label).sum(1), weight),
        "nll": scores.mean(-_log(probability[np.arange(len(true)), true]), weight),
    }


def _log(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(p, 1e-300))
