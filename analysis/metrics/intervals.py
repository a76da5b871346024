"""What the metrics share in giving a number with its 95 % interval."""

import dataclasses

import numpy as np
from scipy import special, stats

NORMAL_95 = 1.959964


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, its 95 % interval and the sizes of the samples behind it."""

    value: float
    low: float
    high: float
    n: tuple[int, ...]


def jackknife_variance(values: np.ndarray) -> float:
    """Variance of a statistic from its values [m], each with one of m elements or equal groups left out.

    (m - 1) / m sum (v - mean v)^2 (Efron and Stein 1981, eq. 1.2): too large on average, never too small.
    """
    m = len(values)
    return float((m - 1) / m * np.square(values - np.mean(values)).sum())


def patient_groups(patient: np.ndarray) -> np.ndarray:
    """int [n] from 0: a number for each patient [n], and one of its own for each image without one (-1)."""
    alone = patient < 0
    patient = np.where(alone, np.arange(len(patient)) + patient.max(initial=0) + 1, patient)
    return np.unique(patient, return_inverse=True)[1]


def student_95(values: int) -> float:
    """Half the width of a 95 % interval in standard errors, where these come from so many values."""
    return float(special.stdtrit(values - 1, 0.975))


def delong(positive: np.ndarray, negative: np.ndarray) -> Estimate:
    """Area under the ROC curve of scores of positives [m] and negatives [n], ties counted half.

    A = P(positive > negative) + P(equal) / 2, its variance by DeLong et al. (1988) from the share of the other
    kind that each score beats. The interval is symmetric in logit A, so that it stays within [0, 1], with Student's
    quantile for Welch's degrees of freedom. Where the scores are fully separated that variance is 0: then min(m, n)
    disjoint pairs all agree, which has a chance of A^min(m, n), and the open end is 0.025^(1 / min(m, n)). One
    positive or one negative says nothing of the spread of its kind: the interval is then [0, 1].

    Raises:
      ValueError: scores that are not finite (every comparison would count as a miss), or one kind only.
    """
    m, n = len(positive), len(negative)
    if not (np.isfinite(positive).all() and np.isfinite(negative).all()):
        raise ValueError("scores are not finite: every comparison would count as a miss")
    if not m or not n:
        raise ValueError(f"{m} positives and {n} negatives: at least one of each is needed")
    # Ranks among all less ranks among one's own kind count the others that are beaten.
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    shares = ((ranks[:m] - stats.rankdata(positive)) / n, (ranks[m:] - stats.rankdata(negative)) / m)
    area = float(shares[0].mean())
    return Estimate(area, *_area_interval(area, *shares), (m, n))


def _area_interval(area: float, *shares: np.ndarray) -> tuple[float, float]:
    fewest = min(len(share) for share in shares)
    if fewest == 1:
        return 0.0, 1.0
    if area in (0.0, 1.0):
        end = 0.025 ** (1.0 / fewest)
        return (end, 1.0) if area else (0.0, 1.0 - end)
    parts = np.array([share.var(ddof=1) / len(share) for share in shares])
    if not parts.any():
        return area, area
    freedom = parts.sum() ** 2 / sum(part**2 / (len(share) - 1) for part, share in zip(parts, shares, strict=True))
    half = special.stdtrit(freedom, 0.975) * parts.sum() ** 0.5 / (area * (1.0 - area))
    low, high = special.expit(special.logit(area) + half * np.array([-1.0, 1.0]))
    return float(low), float(high)
