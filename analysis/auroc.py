"""Area under the ROC curve with its interval, as results hold it."""

import numpy as np

from analysis.metrics.intervals import delong


def auroc(score: np.ndarray, target: np.ndarray) -> dict:
    """{"auroc", "interval"} of scores [n] for targets [n] in {0, 1}, 95 %: see `analysis.metrics.intervals.delong`.

    Raises:
      ValueError: scores that are not finite, or one kind of target only.
    """
    area = delong(score[target == 1], score[target == 0])
    return {"auroc": area.value, "interval": [area.low, area.high]}
