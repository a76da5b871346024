"""The pixels' covariance about the label's mean, on images whose covariance is known."""

import numpy as np

from data.covariance import pixel_covariance
from data.label_means import label_means
from data.ranges import to_float


def draw(n, seed=0, effect=0.3):
    """Images [n, 6, 6, 1] of uint16 that vary along two orthogonal patterns and by noise; labels [n, 1] shift them."""
    rng = np.random.default_rng(seed)
    patterns = np.linalg.qr(np.random.default_rng(9).normal(size=(36, 2)))[0].T
    label = rng.integers(0, 2, (n, 1)).astype(np.float32)
    x = rng.normal(size=(n, 2)) * [0.5, 0.25] @ patterns + 0.02 * rng.normal(size=(n, 36)) + effect * (label - 0.5)
    stored = np.rint((np.clip(x, -1, 1) + 1) * 32767.5).astype(np.uint16).reshape(n, 6, 6, 1)
    return stored, label, patterns


def fitted(n, rank, flip=False, **options):
    images, label, patterns = draw(n, **options)
    return pixel_covariance(images, label, label_means(images, label, flip), rank, flip), patterns


def test_directions_and_variances_are_those_that_were_drawn():
    found, patterns = fitted(1000, 2, effect=0.0)
    np.testing.assert_allclose(np.abs((found.basis * patterns).sum(1)), 1.0, atol=1e-3)
    np.testing.assert_allclose(found.variance, [0.25 + 4e-4, 0.0625 + 4e-4], rtol=0.15)
    assert abs(found.rest / 4e-4 - 1) < 0.3
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(2), atol=1e-5)


def test_what_the_label_says_is_no_variance():
    with_label, _ = fitted(1000, 3)
    assert with_label.variance[2] < 0.02  # 36 pixels moved by 0.15 at random have 0.8
    images, label, _ = draw(1000)
    blind = pixel_covariance(images, np.full_like(label, -1), label_means(images, label), 3)
    assert blind.variance[0] > 0.7


def test_variances_of_few_images_are_not_those_of_the_sample():
    """Along the directions of largest variance in 24 images of 36 pixels the sample's variance is far too large."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 65536, (48, 6, 6, 1)).astype(np.uint16)
    label = np.zeros((48, 0), np.float32)
    found = pixel_covariance(images, label, label_means(images, label), 6)
    true = to_float(images).var()
    assert len(found.basis) == 6 and 0.6 < found.variance.mean() / true < 1.5
    half = to_float(images)[::2].reshape(24, -1)
    assert (half @ found.basis.T).var(0).mean() / true > 2
    assert len(pixel_covariance(images[:16], label[:16], label_means(images, label), 6).basis) == 2


def test_flipped_images_have_symmetric_variance():
    wide = np.linspace(0, 1, 6)[None, None, :, None]  # the left of the image hardly varies
    x = np.random.default_rng(0).normal(0, 0.3, (1000, 6, 6, 1)).clip(-1, 1) * wide
    images, label = np.rint((x + 1) * 32767.5).astype(np.uint16), np.zeros((1000, 0), np.float32)
    for flip in (False, True):
        found = pixel_covariance(images, label, label_means(images, label, flip), 36, flip)
        places = (found.basis**2 * found.variance[:, None]).sum(0).reshape(6, 6).sum(0)
        assert (abs(places[0] / places[-1] - 1) < 0.2) == flip
