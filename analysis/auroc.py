"""Area under the ROC curve with its interval."""

import numpy as np


def auroc(score: np.ndarray, target: np.ndarray) -> dict:
    """{"auroc", "interval"} of scores [n] for targets [n] in {0, 1}, 95 % (Hanley and McNeil 1982).

    Raises:
      ValueError: scores that are not finite (every comparison would count as a miss), or one kind of target only.
    """
    if not np.isfinite(score).all():
        raise ValueError("scores are not finite: every comparison would count as a miss")
    positive, negative = score[target == 1], score[target == 0]
    if not len(positive) or not len(negative):
        raise ValueError(f"{len(positive)} positives and {len(negative)} negatives: at least one of each is needed")
    greater = (positive[:, None] > negative[None]).mean() + 0.5 * (positive[:, None] == negative[None]).mean()
    a, n1, n0 = float(greater), len(positive), len(negative)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (n1 - 1) * (q1 - a * a) + (n0 - 1) * (q2 - a * a)) / (n1 * n0)
    half = 1.96 * max(variance, 0) ** 0.5
    return {"auroc": a, "interval": [max(a - half, 0.0), min(a + half, 1.0)]}
