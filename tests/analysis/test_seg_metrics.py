"""Scores of masks by hand, and of uncertainty on data where the answer is known."""

import numpy as np
import pytest

from analysis.seg_metrics import bootstrap, energy_distance, expected_calibration_error, mask_scores, risk_coverage


def square(top, left, side, size=20):
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_shifted_square():
    """6 x 6, moved by 3: 18 of 36 pixels in common; borders at most 3 apart."""
    scores = mask_scores(square(5, 5, 6), square(5, 8, 6))
    assert scores["dice"] == pytest.approx(0.5) and scores["iou"] == pytest.approx(18 / 54)
    assert scores["hd95"] == pytest.approx(3.0) and scores["area_error"] == 0.0
    same = mask_scores(square(5, 5, 6), square(5, 5, 6))
    assert same == {"dice": 1.0, "iou": 1.0, "hd95": 0.0, "surface_dice": 1.0, "area_error": 0.0}
    far = mask_scores(square(0, 0, 3), square(15, 15, 3))
    assert far["dice"] == 0.0 and far["surface_dice"] == 0.0 and far["hd95"] > 18


def test_border_distances_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = square(*rng.integers(2, 8, 3)), square(*rng.integers(2, 8, 3)) | square(12, 12, 4)
        scores = mask_scores(a, b)
        borders = []
        for mask in (a, b):
            padded = np.pad(mask, 1)
            inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
            borders.append(np.argwhere(mask & ~inner))
        table = np.sqrt(((borders[0][:, None] - borders[1][None]) ** 2).sum(-1))
        directed = [np.percentile(table.min(axis), 95) for axis in (0, 1)]
        assert scores["hd95"] == pytest.approx(max(directed)) == mask_scores(b, a)["hd95"]
        near = (table.min(0) <= 2).sum() + (table.min(1) <= 2).sum()
        assert scores["surface_dice"] == pytest.approx(near / sum(table.shape))


def test_empty_masks():
    empty, full = np.zeros((3, 4), bool), np.ones((3, 4), bool)
    both = mask_scores(empty, empty)
    assert (both["dice"], both["iou"], both["hd95"], both["surface_dice"]) == (1.0, 1.0, 0.0, 1.0)
    assert np.isnan(both["area_error"])
    one = mask_scores(full, empty)
    assert (one["dice"], one["hd95"], one["surface_dice"]) == (0.0, 5.0, 0.0)


def test_energy_distance():
    a, b = square(2, 2, 4), square(10, 10, 4)
    assert energy_distance(np.stack([a, b]), np.stack([a, b])) == pytest.approx(0.0)
    assert energy_distance(a[None], b[None]) == pytest.approx(2.0)
    assert energy_distance(np.stack([a, b]), a[None]) == pytest.approx(0.5)  # 2 (1/2) - 1/2 - 0


def test_calibration():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=200_000)
    assert expected_calibration_error(p, rng.uniform(size=p.size) < p) < 0.01
    assert expected_calibration_error(p, rng.uniform(size=p.size) < p**2) == pytest.approx(1 / 6, abs=0.01)


def test_risk_coverage():
    risk = np.asarray([0.4, 0.1, 0.3, 0.2])
    curve, area = risk_coverage(risk, risk)
    np.testing.assert_allclose(curve, [0.1, 0.15, 0.2, 0.25])
    assert area == pytest.approx(0.175) and risk_coverage(-risk, risk)[1] > area


def test_bootstrap_covers():
    rng, covered = np.random.default_rng(1), 0
    for i in range(200):
        _, low, high = bootstrap(rng.normal(3, 1, 40), None, 500, i)
        covered += low <= 3 <= high
    assert 178 <= covered <= 199, covered
    assert bootstrap(np.asarray([1.0, np.nan, 3.0]))[0] == 2.0


def test_images_of_a_patient_are_drawn_together():
    """Ten patients of sizes 1 to 10 and one value each: the interval is that of a weighted mean over patients."""
    rng = np.random.default_rng(0)
    value, size = rng.normal(size=10), np.arange(1, 11)
    groups = np.repeat(np.arange(10), size)
    mean, low, high = bootstrap(value[groups], groups, 20_000)
    drawn = rng.integers(10, size=(20_000, 10))
    by_hand = (value * size)[drawn].sum(1) / size[drawn].sum(1)
    assert mean == pytest.approx((value * size).sum() / size.sum())
    np.testing.assert_allclose([low, high], np.percentile(by_hand, [2.5, 97.5]), atol=0.05)
    alone = bootstrap(value[groups], None, 20_000)
    assert alone[2] - alone[1] < 0.6 * (high - low)


def test_two_patients_have_no_interval():
    mean, low, high = bootstrap(np.arange(6.0), np.repeat([0, 1], 3))
    assert mean == 2.5 and np.isnan(low) and np.isnan(high)
