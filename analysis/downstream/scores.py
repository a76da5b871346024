"""What is measured of predictions, for many weightings of the images at once: a bootstrap draw is a weighting.

Every function takes weights [r, n] and gives [r]; where a value does not exist (no positive, no negative, no image) it
is nan.
"""

import numpy as np

BINS = 15  # of equal width, for the calibration error


def mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of values [n]."""
    return _ratio(weight @ values, weight.sum(1))


def auroc(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """P(score of a positive > of a negative) + P(equal) / 2.

    Args:
      score: [n].
      positive: [n] bool.
    """
    hits, misses = _by_score(score, positive, weight)
    below = np.cumsum(misses, 1) - misses
    return _ratio((hits * (below + misses / 2)).sum(1), hits.sum(1) * misses.sum(1))


def auprc(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Average precision: the sum over thresholds of precision times the recall gained there, without interpolation.

    Arguments as of `auroc`. Chance is the share of positives.
    """
    hits, misses = (part[:, ::-1] for part in _by_score(score, positive, weight))
    true, false = np.cumsum(hits, 1), np.cumsum(misses, 1)
    precision = true / np.maximum(true + false, 1e-300)
    return _ratio((hits * precision).sum(1), hits.sum(1))


def balanced_accuracy(called: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(sensitivity + specificity) / 2 of calls [n] bool."""
    sides = [mean(called == positive, weight * (positive == side)) for side in (True, False)]
    return (sides[0] + sides[1]) / 2


def calibration_error(confidence: np.ndarray, hit: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """ECE: mean over images of |share of hits - mean confidence| of their bin (Guo et al. 2017, eq. 3).

    BINS bins of equal width, (a, b]. Above 0 on average also where calibration is perfect, the more the fewer images.

    Args:
      confidence: [n] in [0, 1].
      hit: [n] bool: whether that came true.
    """
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = (hit - confidence)[:, None] * (place[:, None] == np.arange(BINS))
    return _ratio(np.abs(weight @ gaps).sum(1), weight.sum(1))


def youden(score: np.ndarray, positive: np.ndarray) -> float:
    """The threshold with the highest sensitivity + specificity - 1 (Youden 1950); called is what is at or above it."""
    hits, misses = (part[0, ::-1] for part in _by_score(score, positive, np.ones((1, len(score)))))
    gain = np.cumsum(hits) / max(hits.sum(), 1) - np.cumsum(misses) / max(misses.sum(), 1)
    return float(np.unique(score)[::-1][np.argmax(gain)])


def _by_score(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of positives and of negatives [r, u] at each of the u different scores, ascending."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    weight, positive = weight[:, order], positive[order]
    return tuple(np.add.reduceat(weight * side, starts, axis=1) for side in (positive, ~positive))


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(len(a), np.nan), where=b > 0)
