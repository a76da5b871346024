"""Intervals of an arm's seeds together, beside what normal theory says of made-up seeds and patients."""

import numpy as np
import pytest
from scipy import stats

from analysis.downstream import seeds

PATIENTS, DRAWS = 0.03, 4000  # standard error by the choice of patients, alike for all seeds


def arm(values, rng):
    """A metric of k seeds whose draws move together."""
    values = np.array(values)
    drawn = values[:, None] + PATIENTS * rng.standard_normal(DRAWS)
    return seeds.Measured({"all": {"auroc": values}}, {"all": {"auroc": drawn}})


def reach(row):
    return (row["high"] - row["low"]) / 2


def test_an_interval_holds_patients_and_seeds():
    values = [0.70, 0.74, 0.81]
    row = seeds.mean(arm(values, np.random.default_rng(1)))["all"]["auroc"]
    of_seeds = stats.t.isf(0.025, 2) * np.std(values, ddof=1) / 3**0.5
    assert row["value"] == pytest.approx(0.75)
    # A bootstrap of three seeds is no normal distribution, so that its 95 % lies within the widened deviation's reach.
    assert 0.7 * np.hypot(of_seeds, 1.96 * PATIENTS) < reach(row) < 1.1 * np.hypot(of_seeds, 1.96 * PATIENTS)


def test_an_interval_ends_where_the_metric_does():
    values, drawn = np.array([0.97, 0.99, 0.90]), np.full((3, 50), 0.95)
    of = {name: seeds.mean(seeds.Measured({"all": {name: values}}, {"all": {name: drawn}}))["all"][name]
          for name in ("auroc", "nll")}  # fmt: skip
    assert of["auroc"]["high"] == 1.0 < of["nll"]["high"] and of["auroc"]["low"] == of["nll"]["low"] > 0.0


def test_one_seed_has_the_interval_of_its_patients():
    row = seeds.mean(arm([0.7], np.random.default_rng(1)))["all"]["auroc"]
    assert reach(row) == pytest.approx(1.96 * PATIENTS, rel=0.05)


def test_a_difference_by_pairs_leaves_out_what_both_share():
    rng = np.random.default_rng(1)
    a = arm([0.70, 0.74, 0.81], rng)
    held = {"all": {"auroc": a.plain["all"]["auroc"] - 0.05}}, {"all": {"auroc": a.drawn["all"]["auroc"] - 0.05}}
    row = seeds.difference(a, seeds.Measured(*held))["all"]["auroc"]
    assert [row[part] for part in ("value", "low", "high")] == pytest.approx([0.05] * 3)
    b = arm([0.69, 0.60, 0.77], rng)
    assert reach(seeds.difference(a, b)["all"]["auroc"]) > 2 * PATIENTS
