"""Sets, floors, groups and likelihood behind `python -m analysis.evaluate`, on small planted cases."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import spatial

from analysis.evaluation import groups, likelihood, scores, sets, strip
from analysis.evaluation.bands import bands
from analysis.evaluation.metrics import BETTER
from analysis.evaluation.scores import OF_SIZE, Reference, feature_scores, image_scores
from analysis.evaluation.sets import ImageSet, floor_pair, gaussian_images, take, unlabelled
from data import UserError
from data.attributes import VALUES


def rng(seed=0):
    return np.random.default_rng(seed)


def some(n, seed=0, shift=0.0, label=(0, 0), width=6, patient=None):
    """n images of noise, with features ~ N(shift, 1)."""
    r = rng(seed)
    images = r.integers(0, 256, (n, 12, 12, 1), np.uint8)
    labels = np.tile(np.float32(label), (n, 1))
    known = (labels, np.zeros((n, 0), np.float32), sets.nobody(n) if patient is None else patient)
    return ImageSet(images, *known, {"net": r.normal(shift, 1.0, (n, width))})


def joined(*parts):
    known = ([getattr(s, name) for s in parts] for name in ("images", "label", "attributes", "patient"))
    return ImageSet(*map(np.concatenate, known), {"net": np.concatenate([s.features["net"] for s in parts])})


def test_the_floor_is_of_train_beside_test_or_of_halves():
    real, train = some(50, 0), some(80, 1)
    a, b = floor_pair(real, train, 50)
    np.testing.assert_array_equal(a.images, train.images[:50])
    np.testing.assert_array_equal(b.images, real.images)
    a, b = floor_pair(real, train, 60)  # more are drawn than the split has
    np.testing.assert_array_equal(np.concatenate([a.images, b.images]), real.images)


def test_the_halves_have_no_patient_in_common():
    real = some(50, 0, patient=rng(3).integers(0, 12, 50))
    a, b = floor_pair(real, some(80, 1), 60)
    assert not set(a.patient) & set(b.patient) and len(a) == len(b) >= 20


def test_intervals_are_over_the_patients_of_the_real_images():
    """Each image four times, as images of one patient and as images of forty."""
    real, drawn = some(40, 0), some(600, 1, shift=0.5)
    several = joined(real, real, real, real)
    owned = dataclasses.replace(several, patient=np.tile(np.arange(40), 4))
    rows = [Reference(of, floor_pair(of, of, 60)).rows(drawn, "net") for of in (real, several, owned)]
    once, alone, patients = (row["kid"]["generated"] for row in rows)
    assert patients["value"] == pytest.approx(once["value"]) and alone["value"] > once["value"] + 0.01
    width = lambda row: row["high"] - row["low"]  # noqa: E731
    assert width(patients) == pytest.approx(width(once), rel=0.15) and width(alone) < 0.8 * width(once)


def test_the_worst_are_those_farthest_from_all_real_images(tmp_path):
    """Three generated images are planted far away, one a little farther than the next; distances are SciPy's."""
    generated, real = some(40, 0), some(60, 1).features["net"]
    generated.features["net"][[7, 31, 12]] += [[90.0], [60.0], [30.0]]
    info = SimpleNamespace(classes=("a", "b"), attributes=(), exclusive=False)
    run = SimpleNamespace(folder=tmp_path / "run", step=3, info=info)
    found = strip.write_worst(tmp_path / "x_worst.png", generated, real, run)
    with Image.open(tmp_path / "x_worst.png") as picture:
        tiles = np.asarray(picture)
    np.testing.assert_array_equal(tiles[:, : 3 * 12], np.concatenate(generated.images[[7, 31, 12], ..., 0], axis=1))
    distances = np.sort(spatial.distance.cdist(generated.features["net"], real).min(1))[::-1]
    np.testing.assert_allclose(found["distance"], distances[: strip.TILES], rtol=1e-6)
    own = spatial.distance.squareform(spatial.distance.pdist(real)) + np.diag(np.full(60, np.inf))
    assert found["real"] == pytest.approx({"median": np.median(own.min(1)), "highest": own.min(1).max()})
    assert found["file"] == "x_worst.png" and found["tiles"] == strip.TILES and found["space"] == "net"


def test_the_ceiling_has_the_mean_and_covariance_of_the_pixels():
    base = rng().normal(0, 20, (3000, 4))
    pixels = np.clip(128 + base @ rng(1).normal(0, 0.6, (4, 16)), 0, 255).astype(np.uint8).reshape(-1, 4, 4, 1)
    drawn = gaussian_images(pixels, 20_000, 0)
    assert drawn.shape == (20_000, 4, 4, 1) and drawn.dtype == np.uint8
    x, y = (a.reshape(len(a), -1).astype(float) for a in (pixels, drawn))
    assert np.abs(x.mean(0) - y.mean(0)).max() < 1.0
    assert np.abs(np.cov(x.T) - np.cov(y.T)).max() < 0.06 * np.cov(x.T).max()
    assert gaussian_images(pixels.astype(np.uint16) * 257, 2, 0).dtype == np.uint16


def test_of_too_many_images_the_ceiling_is_fitted_to_some_of_every_kind(monkeypatch):
    """Stored class by class, as folders are."""
    monkeypatch.setattr(sets, "GAUSSIAN_VALUES", 50 * 16)
    pixels = rng().integers(0, 20, (200, 4, 4, 1)) + np.repeat([0, 70, 140, 210], 50)[:, None, None, None]
    drawn = gaussian_images(pixels.astype(np.uint8), 2000, 0)
    assert drawn.mean() == pytest.approx(pixels.mean(), abs=8)


def test_fewer_images_than_pixels_span_what_they_spanned():
    few = rng().integers(100, 150, (5, 8, 8, 1)).astype(np.uint8)
    drawn = gaussian_images(few, 50, 0).reshape(50, -1).astype(float)
    values = np.linalg.svd(drawn - few.reshape(5, -1).mean(0), compute_uv=False)
    assert (values > 20).sum() == 4 and values[4:].max() < 5  # what is left is rounding to whole gray levels


def test_rows_hold_each_metric_with_its_floor_and_ceiling():
    real, train = some(60, 0), some(100, 1)
    reference = Reference(real, floor_pair(real, train, 60), some(60, 5, 3.0))
    rows = reference.rows(some(60, 2, 0.5), "net")
    for name in ("kid", "fd", "fd_infinity"):
        values = [rows[name][kind]["value"] for kind in ("floor", "generated", "ceiling")]
        assert values == sorted(values) and rows[name]["better"] == "lower"
    assert (
        rows["kid"]["generated"]["low"] < rows["kid"]["generated"]["value"] and rows["fd"]["generated"]["low"] is None
    )
    assert not rows["fd"]["generated"]["singular"] and "generated_at_floor_n" not in rows["fd"]
    assert 0 < rows["coverage"]["generated"]["value"] < rows["coverage"]["floor"]["value"]
    one = reference.rows(joined(*[some(1, 9)] * 60), "net", ("vendi",))["vendi"]
    assert one["generated"]["value"] == pytest.approx(1.0) and one["floor"]["value"] > 3
    images = reference.rows(some(60, 2), "images")
    assert set(images) == {"ms_ssim", "spectrum"} and images["ms_ssim"]["generated"]["scales"] == 1


def test_features_too_wide_for_a_covariance_have_no_frechet_distance(monkeypatch):
    x, y = np.random.default_rng(0).normal(size=(2, 60, 5))
    assert {"fd", "fd_infinity"} <= set(feature_scores(x, y))
    monkeypatch.setattr(scores, "WIDEST", 4)
    assert not {"fd", "fd_infinity"} & set(feature_scores(x, y)) and "kid" in feature_scores(x, y)


def test_diversity_takes_black_for_no_light():
    """Two flat grays on either side of the middle are alike: (2ab + c) / (a^2 + b^2 + c)."""
    flat = np.repeat(np.uint8([118, 138]), 30)[:, None, None, None] * np.ones((60, 16, 16, 1), np.uint8)
    rng = np.random.default_rng(0)
    flat = flat[rng.permutation(60)]
    c = (0.01 * 255) ** 2
    other = (2 * 118 * 138 + c) / (118**2 + 138**2 + c)
    for images in (flat, flat.astype(np.uint16) * 257):
        row = image_scores(images, images, ("ms_ssim",))["ms_ssim"]
        assert other < row["value"] < 1.0 and row["low"] > 0.98


def test_sizes_that_differ_are_met_by_a_value_at_the_floors():
    real, drawn = some(40, 0), some(90, 1)
    reference = Reference(real, floor_pair(real, some(30, 2), 90))
    rows = reference.rows(drawn, "net")
    assert rows["fd"]["generated"]["n"] == [90, 40] and rows["fd"]["floor"]["n"] == [20, 20]
    assert {name for name, row in rows.items() if "generated_at_floor_n" in row} == set(OF_SIZE) - {"inception_score"}
    assert rows["fd"]["generated_at_floor_n"]["n"] == [20, 20] and "floor" not in rows["fd_infinity"]
    same = Reference(real, floor_pair(real, some(30, 2), 90)).rows(real, "net")
    assert same["fd"]["generated"]["value"] == pytest.approx(0.0, abs=1e-9)


def test_class_scores_give_the_inception_score_alone():
    mixed, alike = (dataclasses.replace(some(80), features={"inception_logits": 20.0 * np.eye(4)[rows]})
                    for rows in (np.arange(80) % 4, np.zeros(80, int)))  # fmt: skip
    rows = Reference(mixed, floor_pair(mixed, mixed, 80)).rows(alike, "inception_logits")
    assert set(rows) == {"inception_score"} and rows["inception_score"]["generated"]["splits"] == 10
    assert rows["inception_score"]["generated"]["value"] == pytest.approx(1.0)
    assert 2.5 < rows["inception_score"]["floor"]["value"] < 4.0


def test_normal_is_the_class_of_that_name_where_there_is_one():
    """An image that nobody labelled is not one without findings."""
    info = SimpleNamespace(classes=("No Finding", "mass"), exclusive=False)
    kinds = ((1, 0), (0, 1), (0, 0))
    parts = [joined(*(some(40, 3 * i + j, 0.0, kind) for j, kind in enumerate(kinds))) for i in range(3)]
    assert set(groups.classes(*parts, info, "net")) == {"No Finding", "mass", "mean"}
    info.classes = ("effusion", "mass")
    assert set(groups.classes(*parts, info, "net")) == {"effusion", "mass", "normal", "mean"}


def test_a_finding_that_is_drawn_wrong_stands_out():
    info = SimpleNamespace(classes=("effusion", "mass"), exclusive=False)
    real = joined(some(40, 0, 0.0, (1, 0)), some(40, 1, 0.0, (0, 1)), some(40, 2))
    train = joined(some(40, 3, 0.0, (1, 0)), some(40, 4, 0.0, (0, 1)), some(40, 5))
    drawn = joined(some(40, 6, 2.0, (1, 0)), some(40, 7, 0.0, (0, 1)), some(10, 8))
    found = groups.classes(drawn, real, train, info, "net")
    assert set(found) == {"effusion", "mass", "mean"}  # too few normals were drawn
    high, low = (found[name]["kid"]["generated"] for name in ("effusion", "mass"))
    assert high["low"] > 1.0 > 0.2 > abs(low["value"]) and high["n"] == (40, 40)
    assert found["mean"]["kid"]["generated"]["value"] == pytest.approx((high["value"] + low["value"]) / 2)
    assert found["mass"]["vendi"]["floor"]["n"] == [40]
    every = set(BETTER) - {"fd_infinity", "inception_score"}
    assert set(found["mass"]) == every and found["mass"]["recall"]["generated"]["n"] == [40, 40]


@pytest.mark.parametrize("requested", [True, False])
def test_a_subgroup_that_is_drawn_wrong_stands_out(requested):
    info = SimpleNamespace(classes=("mass",), recorded=("sex", "age"), attributes=("sex",) if requested else ())
    sets = [some(40, seed, shift, (0, sex)) for seed, shift, sex in ((0, 0, 0), (1, 0, 1), (2, 0, 0), (3, 2, 1))]
    ages = np.float32([0.39] * 10 + [0.4] * 30)
    of = [dataclasses.replace(s, attributes=np.stack([s.label[:, 1], ages], 1)) for s in sets]
    asked = lambda real, drawn: {"mass": (len(real), len(drawn))}  # noqa: E731
    found = groups.subgroups(joined(*of[2:]), joined(*of[:2]), joined(*of[:2]), info, "net", asked)
    assert found["sex"]["male"]["label_fidelity"] == {"mass": (40, 40 if requested else 80)}
    kid = {value: row["kid"]["generated"] for value, row in found["sex"].items()}
    assert set(kid) == {"female", "male"} and found["sex"]["male"]["requested"] == requested
    assert kid["male"]["value"] > (2 if requested else 0.3) and kid["male"]["n"] == ((40 if requested else 80), 40)
    assert (abs(kid["female"]["value"]) < 0.2) == requested
    assert found["age"]["40 to 59"]["kid"]["generated"]["n"] == (80, 60) and "60 to 120" not in found["age"]


def test_age_bands_meet_without_gap_or_overlap():
    years = np.float32([-1, 0, 0.39, 0.4, 0.41, 0.59, 0.6, 1.2])
    inside = np.stack([test(years) for _, test in bands("age")])
    np.testing.assert_array_equal(inside.sum(0), [0, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(inside.argmax(0)[1:], [0, 0, 1, 1, 1, 2, 2])


@pytest.mark.parametrize("attribute", VALUES)
def test_each_code_of_an_attribute_is_in_its_own_group_alone_and_fit_for_a_label(attribute):
    codes = np.float32([-1, *VALUES[attribute].values()])
    assert codes[1:].min() == 0 and codes.max() == 1
    inside = np.stack([test(codes) for _, test in bands(attribute)])
    np.testing.assert_array_equal(inside, np.eye(len(codes), dtype=bool)[1:])


class Known:
    """A family that holds image i to cost i bits a number, or `loose` times that."""

    def likelihoods(self):
        return {"exact": lambda state, batch, key: batch["id"] * 1.0, "bound": lambda s, batch, key: batch["id"] * 2.0}


def test_likelihood_is_the_mean_over_the_split_with_students_interval():
    def epoch(split, size, limit):
        for start in range(0, limit, size):
            ids = np.arange(start, start + size)
            yield {"id": ids, "weight": (ids < limit).astype(np.float32)}

    state = SimpleNamespace(replace=lambda **_: {})
    run = SimpleNamespace(family=Known(), state=state)
    known = {"id": np.arange(30), "patient": np.full(30, -1)}
    dataset = SimpleNamespace(epoch=epoch, arrays=lambda split: known)
    found = likelihood.likelihood(run, dataset, "test", 21)
    assert found["kind"] == "exact" and found["others"]["bound"]["value"] == pytest.approx(20.0)
    half = 2.0859634 * np.std(np.arange(21), ddof=1) / 21**0.5
    assert found["bits_per_dim"]["value"] == pytest.approx(10.0) and found["bits_per_dim"]["n"] == (21,)
    assert found["bits_per_dim"]["high"] == pytest.approx(10.0 + half, rel=1e-6)
    known["patient"] = np.arange(30) // 3  # values rise with the ids, so that three neighbours say what one would
    found, means = likelihood.likelihood(run, dataset, "test", 21), 3.0 * np.arange(7) + 1.0
    half = 2.4469118 * np.std(means, ddof=1) / 7**0.5
    assert found["bits_per_dim"]["high"] == pytest.approx(10.0 + half, rel=1e-6)
    known["patient"] = np.zeros(30, int)
    assert likelihood.likelihood(run, dataset, "test", 21)["bits_per_dim"]["low"] is None
    run.family = SimpleNamespace(likelihoods=dict)
    assert likelihood.likelihood(run, None, "test", 21) is None


def test_real_images_come_in_random_order_without_replacement():
    arrays = {"image": np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1), "label": np.arange(40)[:, None]}
    arrays["patient"] = np.arange(40) // 2
    info = SimpleNamespace(name="tiny", sizes={"train": 50, "test": 40, "val": 3})
    dataset = SimpleNamespace(info=info, arrays=lambda split: arrays)
    taken = take(dataset, "test", 15, 0)
    np.testing.assert_array_equal(taken.images.ravel(), taken.label.ravel())
    np.testing.assert_array_equal(taken.patient, taken.label.ravel() // 2)
    assert len(set(taken.images.ravel())) == 15 and (np.diff(taken.label.ravel()) < 0).any()
    with pytest.raises(UserError, match="at least 10 images are needed; tiny has train 50, test 40, val 3"):
        take(dataset, "val", 12, 0)


def test_features_are_those_of_the_images():
    measured = unlabelled(some(5).images).measured({"sum": lambda images: images.sum((1, 2, 3))[:, None]})
    np.testing.assert_array_equal(measured.rows([3]).features["sum"], measured.images[3:4].sum((1, 2, 3))[:, None])


def test_whose_images_they_are_is_said():
    assert sets.owners(np.array([0, 1, 1, 2]), True) == {"groups": 3, "groups_are": "patients"}
    assert sets.owners(np.array([0, 1, 1, 2]), False) == {"groups": 3, "groups_are": "groups of near-duplicates"}
    assert sets.owners(np.arange(4), False) == {"groups": 4, "groups_are": "images"}


def test_a_class_of_two_patients_has_no_floor_where_one_has_next_to_all_images():
    """Its halves are of twenty images and of two, and two say nothing of KID."""
    info = SimpleNamespace(classes=("a", "b"), exclusive=False)
    real = some(22, 0, label=(1, 0), patient=np.repeat([0, 1], [20, 2]))
    found = groups.classes(some(30, 1, label=(1, 0)), real, some(15, 2, label=(1, 0)), info, "net")
    assert "floor" not in found["a"]["kid"] and set(found["mean"]["kid"]) == {"generated", "better"}
