"""An arm's seeds together: means and differences, with intervals over test patients and seeds.

Two levels are resampled, as in `analysis.studies.pairs`: the test patients, once for all seeds and both arms, and the
seeds, whose part is widened as a bootstrap of few is too narrow. What the seeds share (one generator and what it drew,
one choice of training patients) is in neither.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analysis.downstream.measures import bootstrap, estimate, values_of
from analysis.downstream.predictions import Predictions
from analysis.studies.pairs import widening

HIGHEST = {"nll": np.inf, "brier": 2.0}  # of metrics that may be above 1
Rows = dict[str, dict[str, dict[str, Any]]]  # {"all" or class: {metric: {"value", "low", "high"}}}


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """Metrics of k seeds.

    Attributes:
      plain: {"all" or class: {metric: [k]}}.
      drawn: the same in every draw of the test patients, [k, r].
    """

    plain: dict[str, dict[str, np.ndarray]]
    drawn: dict[str, dict[str, np.ndarray]]


def measured(seeds: Sequence[Predictions], resamples: int) -> Measured:
    """One arm's classifiers, a seed each, tested on the same images."""
    plain = [values_of(seed, np.ones((1, len(seed)))) for seed in seeds]
    drawn = [bootstrap(seed, resamples) for seed in seeds]
    return Measured(
        _each(lambda *values: np.concatenate(values), plain), _each(lambda *values: np.stack(values), drawn)
    )


def mean(arm: Measured) -> Rows:
    """Means over seeds; intervals end where the metric does."""
    rows = _estimates(arm.plain, arm.drawn)
    return {name: {metric: _within(row, HIGHEST.get(metric, 1.0)) for metric, row in metrics.items()}
            for name, metrics in rows.items()}  # fmt: skip


def _within(row: dict[str, Any], highest: float) -> dict[str, Any]:
    if row["low"] is None:
        return row
    return row | {"low": max(row["low"], 0.0), "high": min(row["high"], highest)}


def difference(a: Measured, b: Measured) -> Rows:
    """a less b, by seed and draw."""
    subtract = lambda x, y: x - y  # noqa: E731
    return _estimates(_each(subtract, [a.plain, b.plain]), _each(subtract, [a.drawn, b.drawn]))


def _each(function: Callable, trees: Sequence[dict]) -> dict[str, dict[str, np.ndarray]]:
    return {name: {metric: function(*(tree[name][metric] for tree in trees)) for metric in rows}
            for name, rows in trees[0].items()}  # fmt: skip


def _estimates(plain: dict, drawn: dict) -> Rows:
    return {name: {metric: _estimate(metric, values, drawn[name][metric]) for metric, values in rows.items()}
            for name, rows in plain.items()}  # fmt: skip


def _estimate(metric: str, values: np.ndarray, drawn: np.ndarray) -> dict[str, Any]:
    """Of values [k] and their draws [k, r]; with one seed the interval is of the patients alone."""
    means, k = drawn.mean(0), len(values)
    if k > 1:
        again = np.random.default_rng(0).integers(0, k, (len(means), k))
        means = means + widening(k) * (values[again].mean(1) - values.mean())
    return estimate(metric, float(values.mean()), means)
