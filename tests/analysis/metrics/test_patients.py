"""What several images of one patient do to each interval, against definitions, repeated images and simulations."""

import numpy as np
import pytest
from scipy import stats

from analysis.metrics import patients
from analysis.metrics.frechet import frechet_infinity
from analysis.metrics.intervals import delong, mean_95
from analysis.metrics.kid import kid, kid_influence
from analysis.metrics.shares import share
from tests.analysis.metrics.coverage import PATIENTS, cover_patients, of_patients

FOUR_EACH, UNEVEN = PATIENTS["30 x 4"], PATIENTS["49, 79 images"]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("metric", "alike", "least", "unknowing"), [
    ("kid", 0.0, 0.92, 1.0), ("kid", 0.9, 0.9, 0.7), ("fd_infinity", 0.9, 0.91, 0.2), ("mean", 0.9, 0.91, 0.8),
    ("share", 0.9, 0.92, 0.88), ("auc", 0.9, 0.9, 1.0),
])  # fmt: skip
def test_intervals_hold_the_truth_where_patients_have_several_images(metric, alike, least, unknowing):
    """Of 200 repetitions; told of no patients all but the last hold it in as many as `unknowing` at most."""
    held, *_ = cover_patients(metric, FOUR_EACH, alike, 200)
    assert least <= held <= 0.99
    if unknowing < 1.0:
        assert cover_patients(metric, FOUR_EACH, alike, 200, known=False)[0] <= unknowing


def test_with_patients_of_unequal_numbers_of_images_too():
    assert 0.9 <= cover_patients("kid", UNEVEN, 0.9, 200)[0] <= 0.99
    assert 0.9 <= cover_patients("fd_infinity", UNEVEN, 0.5, 200)[0] <= 0.99


def test_patients_with_one_image_each_change_nothing():
    x, y, one_each = rng().normal(size=(50, 6)), rng(1).normal(0.4, 1, size=(60, 6)), rng(2).permutation(60)
    assert kid(x, y, (None, one_each)) == kid(x, y)
    assert frechet_infinity(x, y, groups=(None, one_each)) == frechet_infinity(x, y)
    ends = lambda found: (found.value, found.low, found.high)  # noqa: E731
    told = delong(x[:, 0], y[:, 0], (np.arange(100, 150), one_each))
    assert ends(told) == pytest.approx(ends(delong(x[:, 0], y[:, 0])))
    assert share(y[:, 0] > 1, one_each) == share(y[:, 0] > 1)
    assert mean_95(y[:, 0], one_each) == mean_95(y[:, 0])


def test_an_image_three_times_says_what_it_says_once():
    """Means and shares have the interval of the images once; KID's value is that of the images once, to the digit."""
    x, y = rng().normal(size=(80, 6)), rng(1).normal(0.8, 1, size=(40, 6))
    thrice, groups = np.repeat(y, 3, axis=0), np.repeat(np.arange(40), 3)
    once, found = kid(x, y), kid(x, thrice, (None, groups))
    assert found.value == pytest.approx(once.value, rel=1e-9) and kid(x, thrice).value > once.value + 0.01
    assert found.high - found.low == pytest.approx(once.high - once.low, rel=0.1)
    assert kid(x, thrice).high - kid(x, thrice).low < 0.8 * (once.high - once.low)
    assert mean_95(thrice[:, 0], groups).low == pytest.approx(mean_95(y[:, 0]).low)
    of, once = share(thrice[:, 0] > 1, groups), share(y[:, 0] > 1)
    assert (of.low, of.high) == pytest.approx((once.low, once.high), abs=0.01) and of.n == (120,)
    none = share(np.zeros(120, bool), groups)
    assert none.high == pytest.approx(share(np.zeros(40, bool)).high) and none.low == 0


def test_a_share_is_worth_fewer_images():
    """Korn and Graubard (1998) written out: n / design effect, times the square of two of Student's quantiles."""
    has, groups = rng(4).uniform(size=60) < np.repeat(rng(5).uniform(size=6), 10), np.repeat(np.arange(6), 10)
    p, sums = has.mean(), has.reshape(6, 10).mean(1)
    worth = p * (1 - p) / (sums.var(ddof=1) / 6) * (stats.t.ppf(0.975, 59) / stats.t.ppf(0.975, 5)) ** 2
    assert 3 < worth < 40
    found = share(has, groups)
    assert found.low == pytest.approx(stats.beta.ppf(0.025, p * worth, (1 - p) * worth + 1))
    assert found.high == pytest.approx(stats.beta.ppf(0.975, p * worth + 1, (1 - p) * worth))


def test_kid_is_the_mean_over_pairs_of_two_patients():
    """Value and jackknife by their definitions, element by element."""
    x, y, groups = rng().normal(size=(5, 3)), rng(1).normal(0.3, 1, size=(9, 3)), np.array([0, 1, 0, 2, 2, 3, 4, 2, 5])

    def by_definition(keep):
        k = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
        here = [i for i in range(9) if i in keep]
        inner = np.mean([k(y[i], y[j]) for i in here for j in here if groups[i] != groups[j]])
        own = np.mean([k(x[i], x[j]) for i in range(5) for j in range(5) if i != j])
        return own + inner - 2 * np.mean([k(a, y[j]) for a in x for j in here])

    whole = by_definition(range(9))
    assert kid(x, y, (None, groups)).value == pytest.approx(whole, rel=1e-12)
    left = np.array([by_definition(set(range(9)) - {i}) for i in range(9)])
    np.testing.assert_allclose(kid_influence(x, y, (None, groups))[1], 8 * (left.mean() - left), rtol=1e-9)


def test_the_variance_of_near_distributions_is_not_that_of_mates():
    """Mates' kernels are as large as an image's with itself; counted as pairs they widen the interval by half."""
    values, halves = [], []
    for i in range(150):
        y, groups = of_patients(rng(i), np.full(60, 2), 1000, 0.98)
        found = kid(rng(1000 + i).normal(size=(100, 1000)), y + 0.15, (None, groups))
        values.append(found.value)
        halves.append((found.high - found.value) / 2.001)
    assert 0.9 < np.mean(halves) / np.std(values) < 1.3


def test_numbers_of_a_part_of_the_patients_will_do():
    x, y, groups = rng().normal(size=(30, 4)), rng(1).normal(0.5, 1, size=(40, 4)), rng(2).integers(0, 12, 40)
    assert kid(x, y, (None, 5 * groups + 3)) == kid(x, y, (None, groups))
    ends = [delong(x[:, 0], y[:, 0], (np.arange(100, 130), g)) for g in (groups, 7 * groups + 3)]
    assert ends[0] == ends[1]


def test_delong_of_patients_is_obuchowskis():
    """Her 1997 formula, with sums over clusters written out."""
    score, groups, kind = rng().normal(size=40), rng(1).integers(0, 14, 40), rng(2).integers(0, 2, 40) == 1
    score[kind] += 1.0
    a, b, of_a, of_b = score[kind], score[~kind], groups[kind], groups[~kind]
    beats = (a[:, None] > b).astype(float)
    area, m, n = beats.mean(), len(a), len(b)
    u, v = beats.mean(1) - area, beats.mean(0) - area
    sums = lambda values, of: np.array([values[of == g].sum() for g in range(14)])  # noqa: E731
    us, vs = sums(u, of_a), sums(v, of_b)
    i10, i01, i = len(set(of_a)), len(set(of_b)), len(set(groups))
    parts = [i10 / (i10 - 1) * (us**2).sum() / m**2, i01 / (i01 - 1) * (vs**2).sum() / n**2]
    variance = sum(parts) + 2 * i / (i - 1) * (us * vs).sum() / (m * n)
    freedom = min(sum(parts) ** 2 / (parts[0] ** 2 / (i10 - 1) + parts[1] ** 2 / (i01 - 1)), i - 1)
    half = stats.t.ppf(0.975, freedom) * variance**0.5 / (area * (1 - area))
    found = delong(a, b, (of_a, of_b))
    ends = 1 / (1 + np.exp(-(np.log(area / (1 - area)) + np.array([-half, half]))))
    assert found.value == pytest.approx(area) and (found.low, found.high) == pytest.approx(tuple(ends))


def test_few_patients_say_little():
    y = rng().normal(size=(40, 3))
    two = np.repeat([0, 1], 20)
    assert np.isnan(kid(y, y + 1, (None, two)).low) and np.isfinite(kid(y, y + 1, (None, two)).value)
    with pytest.raises(ValueError, match="of 2 patients: at least 3"):
        frechet_infinity(y, y + 1, groups=(None, two))
    assert frechet_infinity(y, y + 1, groups=(None, np.repeat(np.arange(5), 8))).low < 3.0  # in five parts
    one = delong(y[:, 0], y[:, 1], (np.zeros(40, int), np.arange(1, 41)))
    assert (one.low, one.high) == (0, 1)
    assert np.isnan(mean_95(y[:, 0], np.zeros(40, int)).low)
    alone = share(y[:, 0] > 0, np.zeros(40, int))
    assert alone.low < 0.05 and alone.high > 0.95
    apart = delong(np.arange(10.0, 20), np.arange(6.0), (np.repeat(np.arange(5), 2), np.arange(5, 11)))
    assert apart.low == pytest.approx(0.025**0.2)  # five patients agree, not ten scores


def test_no_patient_is_in_two_folds_or_halves():
    groups = rng().permutation(np.repeat(np.arange(len(UNEVEN)), UNEVEN))
    of = patients.folds(len(groups), 20, groups)
    assert all(len(set(of[groups == g])) == 1 for g in set(groups))
    assert np.ptp(np.bincount(of, minlength=20)) <= 3 and set(of) == set(range(20))
    one, other = patients.halves(groups)
    assert not set(groups[one]) & set(groups[other]) and abs(len(one) - len(other)) <= 1
    assert (np.diff(one) > 0).all() and (np.diff(other) > 0).all()
    assert [len(part) for part in patients.halves(np.repeat([0, 1, 2], [10, 100, 10]))] == [100, 20]
    assert sorted([*one, *other]) == list(range(len(groups)))
    one, other = patients.halves(rng().permutation(9))
    assert (one.tolist(), other.tolist()) == ([0, 1, 2, 3], [4, 5, 6, 7, 8])
    assert [len(part) for part in patients.halves(np.zeros(8, int))] == [4, 4]


def test_influence_by_patient_is_that_of_resampled_patients():
    """The mean of resampled patients' values is the sum over their images, over as many as there were at first."""
    influence, groups = rng().normal(size=12), np.repeat([0, 1, 2, 3], [1, 2, 3, 6])
    influence -= influence.mean()
    drawn = np.array([0, 0, 3, 1])
    sums = np.array([influence[groups == g].sum() for g in range(4)])
    assert patients.by_patient(influence, groups)[drawn].mean() == pytest.approx(sums[drawn].sum() / 12)
    np.testing.assert_allclose(patients.by_patient(influence, np.arange(12)), influence)
    np.testing.assert_array_equal(  # some patients of a numbering
        patients.by_patient(influence, 3 * groups + 2), patients.by_patient(influence, groups)
    )
