"""Scores of one predicted mask against one true mask, in pixels; and how well an ensemble knows its own errors."""

import numpy as np
from scipy import ndimage

from analysis.metrics.patients import LEAST

TOLERANCE = 2.0  # pixels, of the normalised surface Dice


def mask_scores(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """dice, iou, hd95, surface_dice and area_error of masks [h, w] (bool).

    Two empty masks agree fully. Where one alone is empty, hd95 is the image's diagonal and dice, iou and surface_dice
    are 0. area_error is (predicted - true) / true area, nan where the true mask is empty.
    hd95 is the larger of the two directed 95th percentiles of the distances between borders.
    """
    both, either = float((predicted & true).sum()), float((predicted | true).sum())
    total = float(predicted.sum() + true.sum())
    scores = {"dice": 2 * both / total if total else 1.0, "iou": both / either if either else 1.0}
    scores |= _border_scores(predicted, true)
    area = float(true.sum())
    scores["area_error"] = (float(predicted.sum()) - area) / area if area else float("nan")
    return scores


def _border_scores(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    if not predicted.any() or not true.any():
        same = not predicted.any() and not true.any()
        return {"hd95": 0.0 if same else float(np.hypot(*true.shape)), "surface_dice": float(same)}
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (predicted, true)]
    to_true = ndimage.distance_transform_edt(~borders[1])[borders[0]]
    to_predicted = ndimage.distance_transform_edt(~borders[0])[borders[1]]
    near = (to_true <= TOLERANCE).sum() + (to_predicted <= TOLERANCE).sum()
    return {
        "hd95": float(max(np.percentile(to_true, 95), np.percentile(to_predicted, 95))),
        "surface_dice": float(near / (len(to_true) + len(to_predicted))),
    }


def energy_distance(samples: np.ndarray, truths: np.ndarray) -> float:
    """Generalised energy distance squared, 2 E d(s, y) - E d(s, s') - E d(y, y'), d = mean_distance (Kohl et al. 2018).

    Args:
      samples: [n, h, w] (bool), truths: [r, h, w] (bool), one of each rater.
    """
    return 2 * mean_distance(samples, truths) - mean_distance(samples, samples) - mean_distance(truths, truths)


def mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean 1 - IoU over all pairs of masks [n, h, w] and [m, h, w] (bool); two empty masks are equal."""
    a, b = (m.reshape(len(m), -1).astype(np.float64) for m in (a, b))
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None] - both
    return float(np.mean(1.0 - np.where(either > 0, both / np.maximum(either, 1), 1.0)))


def expected_calibration_error(probability: np.ndarray, true: np.ndarray, bins: int = 10) -> float:
    """Mean |share that is true - mean probability| over equal bins of the probability, weighted by their pixels.

    Args:
      probability, true: of one shape; `true` may be the share of raters who drew a pixel.
    """
    which = np.minimum((probability.ravel() * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    said, was = (np.bincount(which, v.ravel().astype(float), bins) for v in (probability, true))
    return float(np.abs(said - was).sum() / count.sum())


def risk_coverage(uncertainty: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, float]:
    """(mean risk of the k most certain of n images, k = 1 ... n; its mean, the area under the curve)."""
    order = np.argsort(uncertainty, kind="stable")
    curve = np.cumsum(risk[order]) / np.arange(1, len(risk) + 1)
    return curve, float(curve.mean())


def bootstrap(
    values: np.ndarray, groups: np.ndarray | None = None, repeats: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """(mean, 2.5 % and 97.5 % of the mean when patients are drawn again); values that are nan are left out.

    Of fewer than LEAST patients the ends are nan: they would lie closer together than the truth, of one on each other.

    Args:
      values: [n], of each image.
      groups: int [n] from 0, the patient of each image, whose images are drawn together (Field and Welsh 2007, their
        cluster bootstrap); without it each image is a patient of its own.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    groups = np.unique(groups[known], return_inverse=True)[1]
    sums, counts = np.bincount(groups, values[known]), np.bincount(groups)
    if len(sums) < LEAST:
        return float(values[known].mean()), float("nan"), float("nan")
    rng = np.random.Generator(np.random.Philox(key=seed))
    drawn = rng.integers(len(sums), size=(repeats, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return float(values[known].mean()), *(float(q) for q in np.percentile(means, [2.5, 97.5]))
