"""Area under the ROC curve with its interval, as results hold it."""

import numpy as np

from analysis.metrics.intervals import delong
from analysis.metrics.patients import Groups


def auroc(score: np.ndarray, target: np.ndarray, groups: Groups = None) -> dict:
    """{"auroc", "interval"} of scores [n] for targets [n] in {0, 1}, 95 %: see `analysis.metrics.intervals.delong`.

    Args:
      groups: int [n] from 0, the patient of each.

    Raises:
      ValueError: scores that are not finite, or one kind of target only.
    """
    rows = (target == 1, target == 0)
    of_kinds = (None, None) if groups is None else tuple(groups[part] for part in rows)
    area = delong(*(score[part] for part in rows), of_kinds)
    return {"auroc": area.value, "interval": [area.low, area.high]}
