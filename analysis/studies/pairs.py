"""KID, or a mean over images, over several seeds, and the difference of two arms: interval, paired test, effect size.

Two levels are resampled (hierarchical bootstrap): seeds with replacement, each with its value as it is (Davison and
Hinkley 1997, section 3.8: below the first level, without replacement); and what all runs share, once for all seeds and
both arms: the real images, patient by patient, and the draws, since the i-th image is drawn from the same noise and
label in all runs. Both enter by the influence that each has on KID, which is exact to first order. A draw's part that
is not shared is in the seeds' values too, and so counts a little more than once.

A bootstrap of k clusters is too narrow, by t against z and by the root of k / (k - 1) (Hesterberg 2015, section 4.2);
the part that comes of the seeds is widened by as much.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from analysis.metrics.patients import by_patient
from data import UserError

DRAWS = 10_000
SHARED = ("real", "drawn")  # fields of Scored whose images are the same in all runs
SLACK = 0.05  # share by which a clock may run on past a run's end


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """One run at one checkpoint.

    Attributes:
      facts: which run, "seed", "step", "seconds" of its training, and its metrics with their values.
      real: [m], what each patient of the real images adds to the metric (`by_patient`): of KID see
        `analysis.metrics.kid.kid_influence`, of a mean over images their deviations from it.
      metric: which of the facts is meant.
      drawn: [n], the same of each generated image; empty where images are not drawn alike in all runs.
    """

    facts: dict[str, Any]
    real: np.ndarray
    metric: str = "kid"
    drawn: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def value(self) -> float:
        return self.facts[self.metric]["value"]


def read(facts: dict[str, Any], path: Path) -> Scored:
    """A run from what `analysis.evaluate --influence` wrote.

    Raises:
      UserError: a file of before it said whose the real images are.
    """
    with np.load(path) as file:
        if "real_groups" not in file:
            raise UserError(f"{path} does not say which images are of one patient: delete its folder to score again")
        real = by_patient(file["real"].astype(np.float64), file["real_groups"])
        return Scored(facts, real, drawn=file["generated"].astype(np.float64))


def at_step(run: Sequence[Scored], step: int) -> Scored | None:
    return next((point for point in run if point.facts["step"] == step), None)


def at_seconds(run: Sequence[Scored], seconds: float) -> Scored | None:
    """A run when its training had taken so long, on the line between its checkpoints; None outside of them."""
    times = [point.facts["seconds"] for point in run]
    if not times[0] <= seconds <= times[-1] * (1.0 + SLACK):
        return None
    after = min(int(np.searchsorted(times, seconds)), len(run) - 1)
    before = max(after - 1, 0)
    share = 1.0 if after == before else min((seconds - times[before]) / (times[after] - times[before]), 1.0)
    return _blend(run[before], run[after], share)


def _blend(a: Scored, b: Scored, share: float) -> Scored:
    """Each estimate that both have and the time, on the line between them; of intervals nothing is known there."""
    between = {
        name: {"value": (1.0 - share) * a.facts[name]["value"] + share * value["value"]}
        for name, value in b.facts.items()
        if isinstance(value, dict) and "value" in value and name in a.facts
    }
    between["seconds"] = (1.0 - share) * a.facts["seconds"] + share * b.facts["seconds"]
    real, drawn = ((1.0 - share) * x + share * y for x, y in ((a.real, b.real), (a.drawn, b.drawn)))
    return Scored(b.facts | between, real, b.metric, drawn)


def grouped(rows: Sequence[Scored], *names: str) -> Iterator[tuple[dict[str, Any], list[Scored]]]:
    """({name: value}, the rows that have these values of these facts), in rising order."""
    key = lambda row: tuple(row.facts[name] for name in names)  # noqa: E731
    for values, group in itertools.groupby(sorted(rows, key=key), key):
        yield dict(zip(names, values, strict=True)), list(group)


def mean(runs: Sequence[Scored], seed: int = 0) -> dict[str, Any]:
    """{"value", "low", "high", "seeds"}: mean over seeds; without an interval where there is one seed."""
    shared = [np.mean([getattr(run, name) for run in runs], 0) for name in SHARED]
    return _estimate(np.array([run.value for run in runs]), shared, seed)


def over_seeds(estimates: Sequence[dict[str, Any]], limits: tuple[float, float] | None = None) -> dict[str, Any]:
    """The same for any number: {"value", "low", "high", "seeds"}, its mean over seeds with an interval.

    On each side the farther of Student's interval over the seeds and of the mean of their own ends, where they have
    some: seeds that happen to agree, all of their shares being 0 say, are not taken for certain, and without ends of
    their own they have no interval.

    Args:
      limits: least and greatest value that there is, as of a share; intervals end there.
    """
    values = np.array([row["value"] for row in estimates], np.float64)
    k, value = len(values), float(values.mean())
    half = stats.t.isf(0.025, k - 1) * values.std(ddof=1) / k**0.5 if k > 1 else None
    own = _own_ends(estimates)
    ends = [own] if own else []
    ends += [(value - half, value + half)] if half else []
    if not ends:
        return {"value": value, "low": None, "high": None, "seeds": k}
    low, high = np.clip((min(end for end, _ in ends), max(end for _, end in ends)), *limits or (-np.inf, np.inf))
    return {"value": value, "low": float(low), "high": float(high), "seeds": k}


def _own_ends(estimates: Sequence[dict[str, Any]]) -> tuple[float, float] | None:
    """Mean ends of the seeds' own intervals; None where one has none."""
    own = [(row["low"], row["high"]) for row in estimates if row.get("low") is not None and row.get("high") is not None]
    return tuple(np.mean(own, 0)) if len(own) == len(estimates) else None


def share_difference(a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """{"value", "low", "high", "seeds"} of a minus b, shares of the same seeds in the same order.

    On each side the farther of Student's interval over the seeds' differences and of that which the mean ends of both
    sides' own intervals give (MOVER, Zou and Donner 2008, eq. 2): two arms without a copy in any seed may differ.
    """
    found = over_seeds([{"value": x["value"] - y["value"]} for x, y in zip(a, b, strict=True)])
    x, y = _own_ends(a), _own_ends(b)
    if not x or not y:
        return found
    value = found["value"]
    means = [float(np.mean([row["value"] for row in side])) for side in (a, b)]
    down = float(np.hypot(means[0] - x[0], y[1] - means[1]))
    up = float(np.hypot(x[1] - means[0], means[1] - y[0]))
    low = min(value - down, value if found["low"] is None else found["low"])
    high = max(value + up, value if found["high"] is None else found["high"])
    return found | {"low": max(low, -1.0), "high": min(high, 1.0)}


def paired(a: Sequence[Scored], b: Sequence[Scored], seed: int = 0) -> dict[str, Any]:
    """a minus b, paired by their order.

    Returns:
      {"difference": as of `mean`, "mean_a", "mean_b", "differences" of each seed, "p": of Student's paired test
      (two-sided), "effect": Hedges' g_z, the mean difference over the deviation of differences, corrected for few
      seeds (Hedges 1981)}.
    """
    differences = np.array([x.value - y.value for x, y in zip(a, b, strict=True)])
    shared = [np.mean([getattr(x, name) - getattr(y, name) for x, y in zip(a, b, strict=True)], 0) for name in SHARED]
    k, spread = len(differences), differences.std(ddof=1) if len(differences) > 1 else 0.0
    effect = float(differences.mean() / spread * _small_sample(k)) if spread > 0 else None
    p = float(stats.ttest_1samp(differences, 0.0).pvalue) if spread > 0 else None
    return {
        "difference": _estimate(differences, shared, seed),
        "mean_a": float(np.mean([x.value for x in a])),
        "mean_b": float(np.mean([y.value for y in b])),
        "differences": differences.tolist(),
        "p": p,
        "effect": effect,
    }


def _small_sample(k: int) -> float:
    """Hedges' factor for k - 1 degrees of freedom, in its common approximation."""
    return 1.0 - 3.0 / (4.0 * (k - 1) - 1.0)


def _estimate(values: np.ndarray, shared: Sequence[np.ndarray], seed: int) -> dict[str, Any]:
    k, value = len(values), float(values.mean())
    if k < 2:
        return {"value": value, "low": None, "high": None, "seeds": k}
    low, high = np.quantile(bootstrap(values, shared, np.random.default_rng(seed)), [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high), "seeds": k}


def bootstrap(values: np.ndarray, shared: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Means of values [k] over resampled seeds and shared images, [DRAWS].

    Args:
      shared: of each kind of image the mean influence of each on the values, [m]; empty where none is shared.
    """
    k = len(values)
    means = values.mean() + widening(k) * (values[rng.integers(0, k, (DRAWS, k))].mean(1) - values.mean())
    for influence in (influence for influence in shared if len(influence)):
        m = len(influence)
        means += rng.multinomial(m, np.full(m, 1.0 / m), DRAWS) @ influence / m
    return means


def widening(k: int) -> float:
    """Factor on the deviations of a bootstrap of k clusters, for 95 %."""
    return float(stats.t.isf(0.025, k - 1) / stats.norm.isf(0.025) * (k / (k - 1)) ** 0.5)


def correct(tests: list[dict[str, Any]]) -> None:
    """Adds "p_holm" to each: its p-value corrected for all of them (Holm 1979); None where there is no p."""
    known = sorted((test for test in tests if test["p"] is not None), key=lambda test: test["p"])
    worst = 0.0
    for place, test in enumerate(known):
        worst = max(worst, min(1.0, (len(known) - place) * test["p"]))
        test["p_holm"] = worst
    for test in tests:
        test.setdefault("p_holm", None)
