"""Intervals over seeds and images against simulation, tests against scipy."""

import numpy as np
import pytest
from scipy import stats

from analysis import evaluate
from analysis.evaluation.sets import ImageSet
from analysis.metrics.kid import kid_influence
from analysis.metrics.patients import by_patient
from analysis.studies import pairs
from analysis.studies.pairs import Scored
from data import UserError

M = 60  # real images


def scored(rng, truth, between, within, real, seed=0, real_error=0.0):
    """A run whose value is the truth, a seed's deviation, its images' noise, and what the real images add."""
    value = truth + rng.normal(0.0, between) + rng.normal(0.0, within) + real_error
    return Scored({"seed": seed, "step": 1, "seconds": 1.0, "kid": {"value": value}}, real)


def draw_real(rng, deviation):
    """(influences [M] of the real images, the error that this sample of them makes)."""
    real = rng.normal(0.0, deviation * M**0.5, M)
    return real - real.mean(), real.mean()


@pytest.mark.parametrize(("between", "within", "common"), [(1.0, 0.2, 0.1), (0.1, 1.0, 0.1), (0.2, 0.2, 1.0)])
def test_intervals_of_five_seeds_cover_the_truth(monkeypatch, between, within, common):
    """Whichever varies most: of 300 repetitions 95 % is 285, and 273 and 297 are 3.2 deviations off."""
    monkeypatch.setattr(pairs, "DRAWS", 2000)
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        real, error = draw_real(rng, common)
        runs = [scored(rng, 0.3, between, within, real, seed, error) for seed in range(5)]
        found = pairs.mean(runs)
        covered += found["low"] <= 0.3 <= found["high"]
    assert 273 <= covered <= 297, covered


@pytest.mark.parametrize(("between", "own", "common"), [(0.1, 0.1, 1.0), (0.3, 0.5, 0.5)])
def test_noise_that_all_runs_are_drawn_from_is_in_the_interval(monkeypatch, between, own, common):
    """Draw i of a run has a part that all runs share and one of its own; without the first, too few intervals hold."""
    monkeypatch.setattr(pairs, "DRAWS", 2000)
    rng, covered, blind = np.random.default_rng(4), 0, 0
    for _ in range(300):
        shared, runs = rng.normal(0.0, common * M**0.5, M), []
        for seed in range(5):
            drawn = shared + rng.normal(0.0, own * M**0.5, M)
            facts = {"seed": seed, "kid": {"value": 0.3 + rng.normal(0.0, between) + drawn.mean()}}
            runs.append(Scored(facts, np.zeros(M), drawn=drawn - drawn.mean()))
        found, without = pairs.mean(runs), pairs.mean([Scored(run.facts, run.real) for run in runs])
        covered += found["low"] <= 0.3 <= found["high"]
        blind += without["low"] <= 0.3 <= without["high"]
    assert 273 <= covered <= 299 and blind < 273, (covered, blind)


def test_an_interval_of_seeds_alone_is_not_wasteful():
    """Only seeds vary: about as wide as Student's interval."""
    rng, ratios = np.random.default_rng(1), []
    for _ in range(20):
        runs = [scored(rng, 0.0, 1.0, 1e-9, np.zeros(M)) for _ in range(5)]
        found = pairs.mean(runs)
        low, high = stats.t.interval(0.95, 4, scale=stats.sem([run.value for run in runs]))
        ratios.append((found["high"] - found["low"]) / (high - low))
    assert 0.7 < np.mean(ratios) < 1.1


def test_what_two_arms_share_drops_out_of_their_difference():
    """The same real images move both arms alike; the interval of the difference must not hold them twice."""
    rng = np.random.default_rng(2)
    real, _ = draw_real(rng, 10.0)
    arms = [[scored(rng, truth, 0.01, 0.01, real, seed) for seed in range(5)] for truth in (1.0, 0.5)]
    found = pairs.paired(*arms)["difference"]
    assert found["high"] - found["low"] < 0.2 and found["low"] < 0.5 < found["high"]
    assert pairs.mean(arms[0])["high"] - pairs.mean(arms[0])["low"] > 10.0


def test_the_paired_test_is_students():
    rng = np.random.default_rng(3)
    a, b = ([scored(rng, truth, 0.3, 0.1, np.zeros(M), seed) for seed in range(5)] for truth in (1.0, 0.8))
    found = pairs.paired(a, b)
    values = [[run.value for run in arm] for arm in (a, b)]
    assert found["p"] == pytest.approx(stats.ttest_rel(*values).pvalue, rel=1e-9)
    differences = np.subtract(*values)
    assert found["effect"] == pytest.approx(differences.mean() / differences.std(ddof=1) * 0.8)  # 1 - 3 / 15
    assert found["difference"]["value"] == pytest.approx(differences.mean())
    single = pairs.paired(a[:1], b[:1])
    assert single["p"] is None and single["difference"]["low"] is None


def test_values_between_checkpoints_lie_on_the_line():
    influence = np.linspace(-1.0, 1.0, M)
    run = [Scored({"seconds": 10.0 * i, "kid": {"value": 4.0 - i}}, i * influence) for i in (1, 2, 3)]
    middle = pairs.at_seconds(run, 25.0)
    assert middle.value == pytest.approx(1.5) and middle.real == pytest.approx(2.5 * influence)
    assert pairs.at_seconds(run, 30.0).value == pairs.at_seconds(run, 31.0).value == pytest.approx(1.0)
    assert pairs.at_seconds(run, 10.0).value == pytest.approx(3.0)
    assert pairs.at_seconds(run, 9.0) is None and pairs.at_seconds(run, 32.0) is None


def test_holm_is_holms():
    """Holm 1979 by hand: 0.01 x 3, 0.03 x 2, 0.04 x 1 but no less than the one before."""
    tests = [{"p": 0.04}, {"p": 0.01}, {"p": None}, {"p": 0.03}]
    pairs.correct(tests)
    assert [test["p_holm"] for test in tests] == [pytest.approx(0.06), pytest.approx(0.03), None, pytest.approx(0.06)]


def test_seeds_that_agree_are_not_taken_for_certain():
    alone = [{"value": 0.0}] * 3
    assert pairs.over_seeds(alone) == {"value": 0.0, "low": None, "high": None, "seeds": 3}
    found = pairs.over_seeds([{"value": 0.0, "low": 0.0, "high": high} for high in (0.02, 0.03, 0.04)])
    assert (found["low"], found["high"]) == (0.0, pytest.approx(0.03))


def test_an_interval_of_shares_ends_where_shares_do():
    values = [{"value": value} for value in (0.0, 0.0, 0.3)]
    found, half = pairs.over_seeds(values), stats.t.isf(0.025, 2) * np.std([0.0, 0.0, 0.3], ddof=1) / 3**0.5
    assert (found["low"], found["high"]) == (pytest.approx(0.1 - half), pytest.approx(0.1 + half))
    found = pairs.over_seeds(values, (0.0, 1.0))
    assert (found["low"], found["high"]) == (0.0, pytest.approx(0.1 + half))


def test_influence_is_written_and_read_by_patient(tmp_path):
    rng, nothing = np.random.default_rng(0), np.zeros((40, 0))
    owner = np.repeat([7, 3, 9, 5], [4, 8, 12, 16])
    drawn, real = (
        ImageSet(np.zeros((40, 1)), nothing, nothing, patient, {"net": rng.normal(i, 1, (40, 5))})
        for i, patient in enumerate((np.full(40, -1), owner))
    )
    evaluate._write_influence(tmp_path / "x.npz", drawn, real)
    found = pairs.read({"kid": {"value": 1.0}}, tmp_path / "x.npz")
    groups = np.unique(owner, return_inverse=True)[1]
    of_drawn, of_real = kid_influence(drawn.features["net"], real.features["net"], (None, groups))
    np.testing.assert_allclose(found.drawn, of_drawn, rtol=1e-5)
    np.testing.assert_allclose(found.real, by_patient(of_real, groups), rtol=1e-4)
    assert len(found.real) == 4
    np.savez(tmp_path / "old.npz", generated=of_drawn, real=of_real)
    with pytest.raises(UserError, match="old.npz does not say which images are of one patient"):
        pairs.read({"kid": {"value": 1.0}}, tmp_path / "old.npz")
