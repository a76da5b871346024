"""Signed distances against brute force."""

import numpy as np
import pytest

from data.sdf import mask_of_sdf, sdf_of_mask


def blob(seed, size=17):
    """A random mask of a few discs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    mask = np.zeros((size, size), bool)
    for _ in range(rng.integers(1, 4)):
        cy, cx, r = rng.uniform(0, size, 3)
        mask |= (y - cy) ** 2 + (x - cx) ** 2 < (1 + r / 4) ** 2
    mask[0, 0], mask[-1, -1] = True, False
    return mask.astype(np.uint8)


def brute_force(mask):
    """Distance of every pixel to the nearest pixel of the other kind, less half a pixel."""
    points = np.argwhere(np.ones_like(mask))
    out = np.empty(mask.size)
    for i, p in enumerate(points):
        other = points[mask.ravel() != mask[tuple(p)]]
        out[i] = np.sqrt(((other - p) ** 2).sum(1)).min() - 0.5
    return np.where(mask.ravel() == 1, -out, out).reshape(mask.shape)


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_exact(seed):
    mask = blob(seed)
    exact = brute_force(mask)
    np.testing.assert_allclose(sdf_of_mask(mask, 100.0) * 100, exact, atol=1e-4)
    np.testing.assert_allclose(sdf_of_mask(mask, 3.0), np.clip(exact / 3, -1, 1), atol=1e-6)
    np.testing.assert_array_equal(sdf_of_mask(mask, 3.0, inside_positive=True), -sdf_of_mask(mask, 3.0))


@pytest.mark.parametrize("convention", ["half_pixel", "boundary"])
@pytest.mark.parametrize("inside_positive", [False, True])
def test_the_way_back_is_exact(convention, inside_positive):
    masks = [blob(seed) for seed in range(8)] + [np.zeros((5, 5), np.uint8), np.ones((5, 5), np.uint8)]
    single = np.zeros((5, 5), np.uint8)
    single[2, 2] = 1
    for mask in [*masks, single, 1 - single]:
        sdf = sdf_of_mask(mask, 4.0, convention, inside_positive)
        assert sdf.dtype == np.float32 and np.abs(sdf).max() <= 1
        np.testing.assert_array_equal(mask_of_sdf(sdf, inside_positive), mask)


def test_the_published_convention_has_its_border_at_zero():
    mask = np.zeros((7, 7), np.uint8)
    mask[2:5, 2:5] = 1
    sdf = sdf_of_mask(mask, 10.0, "boundary") * 10
    assert sdf[3, 3] == -1 and sdf[2, 3] == 0 and sdf[1, 3] == 1 and sdf[3, 0] == 2
    half = sdf_of_mask(mask, 10.0) * 10
    np.testing.assert_allclose([half[3, 3], half[2, 3], half[1, 3]], [-1.5, -0.5, 0.5], atol=1e-6)


def test_noise_of_a_third_of_a_pixel_moves_the_half_pixel_mask_least():
    mask = blob(1, 40)
    noise = np.random.default_rng(0).normal(0, 0.02, mask.shape)
    wrong = {c: (mask_of_sdf(sdf_of_mask(mask, 15.0, c) + noise) != mask).sum() for c in ("half_pixel", "boundary")}
    assert 0 < 3 * wrong["half_pixel"] < wrong["boundary"], wrong


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="a mask is .h, w. of 0 and 1"):
        sdf_of_mask(np.full((4, 4), 255), 3.0)
    with pytest.raises(ValueError, match="use half_pixel or boundary"):
        sdf_of_mask(np.zeros((4, 4)), 3.0, "middle")
