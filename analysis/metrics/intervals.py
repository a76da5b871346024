"""What the metrics share in giving a number with its 95 % interval."""

import dataclasses

import numpy as np
from scipy import special, stats

from analysis.metrics.patients import Groups, number, student_95, variance_of_sum


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


def mean_95(values: np.ndarray, groups: Groups = None) -> Estimate:
    """Mean of values [n] with Student's interval over the patients; of one patient its ends are nan."""
    mean, patients = float(values.mean()), number(groups, len(values))
    half = float("nan")
    if patients > 1:
        half = student_95(patients) * variance_of_sum((values - mean) / len(values), groups) ** 0.5
    return Estimate(mean, mean - half, mean + half, (len(values),))


def delong(positive: np.ndarray, negative: np.ndarray, groups: tuple[Groups, Groups] = (None, None)) -> Estimate:
    """Area under the ROC curve of scores of positives [m] and negatives [n], ties counted half.

    A = P(positive > negative) + P(equal) / 2, its variance by DeLong et al. (1988) from the share of the other
    kind that each score beats. The interval is symmetric in logit A, so that it stays within [0, 1], with Student's
    quantile for Welch's degrees of freedom. Where the scores are fully separated that variance is 0: then min(m, n)
    disjoint pairs all agree, which has a chance of A^min(m, n), and the open end is 0.025^(1 / min(m, n)). One
    positive or one negative says nothing of the spread of its kind: the interval is then [0, 1].

    Where several scores are of one patient, these shares are summed over each patient first, which may have scores of
    both kinds (Obuchowski 1997), and patients are counted in place of scores.

    Args:
      groups: of positives [m] and negatives [n] the patient of each, by one numbering.

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
    return Estimate(area, *_area_interval(area, shares, groups), (m, n))


def _area_interval(
    area: float, shares: tuple[np.ndarray, np.ndarray], groups: tuple[Groups, Groups]
) -> tuple[float, float]:
    patients = [number(of, len(share)) for share, of in zip(shares, groups, strict=True)]
    fewest = min(patients)
    if fewest == 1:
        return 0.0, 1.0
    if area in (0.0, 1.0):
        end = 0.025 ** (1.0 / fewest)
        return (end, 1.0) if area else (0.0, 1.0 - end)
    parts = [sign * (share - share.mean()) / len(share) for sign, share in zip((1.0, -1.0), shares, strict=True)]
    variances = np.array([variance_of_sum(part, of) for part, of in zip(parts, groups, strict=True)])
    if not variances.any():
        return area, area
    freedom = variances.sum() ** 2 / sum(v**2 / (k - 1) for v, k in zip(variances, patients, strict=True))
    if all(of is not None for of in groups):  # else no patient has scores of both kinds
        freedom = min(freedom, number(np.concatenate(groups), 0) - 1)
    variance = variances.sum() + _of_patients_on_both_sides(parts, groups)
    if variance < 1e-9 * variances.sum():  # where every patient has alike scores of both kinds
        variance = variances.sum()
    half = special.stdtrit(freedom, 0.975) * variance**0.5 / (area * (1.0 - area))
    low, high = special.expit(special.logit(area) + half * np.array([-1.0, 1.0]))
    return float(low), float(high)


def _of_patients_on_both_sides(parts: list[np.ndarray], groups: tuple[Groups, Groups]) -> float:
    """Twice the covariance of the two kinds' parts of the area."""
    if any(of is None for of in groups):
        return 0.0
    width = max(of.max() for of in groups) + 1
    sums = [np.bincount(of, part, width) for part, of in zip(parts, groups, strict=True)]
    patients = len(np.unique(np.concatenate(groups)))
    return 2.0 * patients / (patients - 1) * float(sums[0] @ sums[1])
