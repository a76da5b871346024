"""PSNR, SSIM and MS-SSIM against their definitions; diversity and its interval."""

import numpy as np
import pytest

from analysis.metrics.structure import WEIGHTS, TooFewPairs, ms_ssim, ms_ssim_diversity, psnr, ssim

C1, C2 = 0.01**2, 0.03**2


def noisy(size, channels=1, n=3):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(n, size, size, channels))
    return x, np.clip(0.9 * x + rng.normal(0, 0.1, x.shape), 0, 1)


def window_terms(x, y):
    """(SSIM, contrast-structure term) of every window of two images [h, w], one at a time."""
    at = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(at, at) / at.sum() ** 2
    mean = lambda v: (weight * v).sum()  # noqa: E731
    terms = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = mean(a), mean(b)
            contrast = 2 * (mean((a - ma) * (b - mb)) + C2 / 2) / (mean((a - ma) ** 2) + mean((b - mb) ** 2) + C2)
            terms.append(((2 * ma * mb + C1) / (ma**2 + mb**2 + C1) * contrast, contrast))
    return np.mean(terms, 0)


def test_psnr_is_the_definition():
    x = np.zeros((2, 4, 4, 1), np.uint8)
    y = x.copy()
    y[1, 0, 0] = 160  # wraps in uint8 if subtracted the other way
    assert psnr(x, y, 255)[0] == np.inf
    assert psnr(x, y, 255)[1] == pytest.approx(10 * np.log10(255**2 * 16 / 160**2))


def test_ssim_is_the_definition():
    x, y = noisy(14, 2, 2)
    expected = [np.mean([window_terms(a[..., c], b[..., c])[0] for c in range(2)]) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(ssim(x, y, 1.0), expected, rtol=1e-10)
    np.testing.assert_allclose(ssim(2 * x, 2 * y, 2.0), expected, rtol=1e-10)


def test_ssim_of_flat_images_is_their_luminance():
    a, b = np.full((1, 12, 12, 1), 0.2), np.full((1, 12, 12, 1), 0.6)
    assert ssim(a, b, 1.0)[0] == pytest.approx((2 * 0.12 + C1) / (0.04 + 0.36 + C1))


def test_ms_ssim_is_the_definition():
    x, y = noisy(24, 2, 1)
    halves = [v.reshape(12, 2, 12, 2, 2).mean((1, 3)) for v in (x, y)]
    weight = np.array(WEIGHTS[:2]) / sum(WEIGHTS[:2])
    of = [
        window_terms(x[0, ..., c], y[0, ..., c])[1] ** weight[0]
        * window_terms(halves[0][..., c], halves[1][..., c])[0] ** weight[1]
        for c in range(2)
    ]
    found, scales = ms_ssim(x, y, 1.0)
    assert scales == 2
    assert found[0] == pytest.approx(np.mean(of), rel=1e-10)


@pytest.mark.parametrize(("size", "scales"), [(11, 1), (28, 2), (64, 3), (128, 4), (175, 4), (176, 5), (352, 5)])
def test_an_image_is_like_itself_at_as_many_scales_as_fit(size, scales):
    x = np.random.default_rng(0).uniform(size=(1, size, size + 3, 1))
    found, used = ms_ssim(x, x, 1.0)
    assert used == scales
    assert found[0] == pytest.approx(1)
    assert ssim(x, x, 1.0)[0] == pytest.approx(1)


def test_opposites_count_as_zero():
    x, _ = noisy(64)
    assert (ssim(x, 1 - x, 1.0) < 0).all()
    assert (ms_ssim(x, 1 - x, 1.0)[0] == 0).all()


def test_bad_images_are_named():
    with pytest.raises(ValueError, match="smaller than the window"):
        ssim(*noisy(10), 1.0)
    with pytest.raises(ValueError, match="negative"):
        ssim(*(2 * x - 1 for x in noisy(12)), 2.0)
    with pytest.raises(ValueError, match="two of one shape"):
        ms_ssim(np.zeros((1, 64, 64, 1)), np.zeros((2, 64, 64, 1)), 1.0)
    with pytest.raises(ValueError, match="no two pairs"):
        ms_ssim_diversity(np.zeros((3, 64, 64, 1)), 1.0)


def test_diversity_of_copies_and_of_noise():
    x = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), np.uint8)
    copies = ms_ssim_diversity(np.repeat(x[:1], 20, 0), 255)
    assert (copies.value, copies.low, copies.high) == pytest.approx((1, 1, 1))
    assert (copies.n, copies.scales) == ((20,), 2)
    assert ms_ssim_diversity(x, 255).value < 0.3
    assert ms_ssim_diversity(x, 255, pairs=4).n == (8,)
    assert ms_ssim_diversity(x, 255, seed=1) != ms_ssim_diversity(x, 255) == ms_ssim_diversity(x, 255)


def test_no_image_is_in_two_pairs():
    """One image in a hundred alike ones differs: it lowers one pair of fifty."""
    x = np.full((100, 11, 11, 1), 0.5)
    x[37] = 0.1
    assert ms_ssim_diversity(x, 1.0).value == pytest.approx((49 + (0.1 + C1) / (0.26 + C1)) / 50)


def test_no_pair_is_of_one_patient():
    """Each patient has two images alike, of which a pair would have 1; two other patients' have 0."""
    x = np.zeros((40, 11, 11, 1))
    x[:20] = 1.0
    x += 1e-3 * np.random.default_rng(0).normal(size=(40, 1, 1, 1)) ** 2
    patient = np.arange(40) // 20  # two patients
    free, apart = (ms_ssim_diversity(x, 1.0, groups=groups) for groups in (None, patient))
    assert apart.value == pytest.approx(0.0, abs=5e-3) and free.value > 0.2
    assert apart.n[0] < free.n[0] == 40
    with pytest.raises(TooFewPairs, match="40 images of 1 patients"):
        ms_ssim_diversity(x, 1.0, groups=np.zeros(40, int))


def test_interval_covers_the_mean_where_patients_have_several_images():
    """Flat images of random brightness, 20 patients of 6 images alike; pairs share patients."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 10**6))
    truth = np.mean((2 * a * b + C1) / (a * a + b * b + C1))
    covered = {"patients": 0, "none": 0}
    patient = np.arange(120) // 6
    for i in range(300):
        x = np.broadcast_to(rng.uniform(size=20)[patient].reshape(-1, 1, 1, 1), (120, 11, 11, 1))
        for name, groups in (("patients", patient), ("none", None)):
            found = ms_ssim_diversity(x, 1.0, seed=i, groups=groups)
            covered[name] += found.low <= truth <= found.high
    assert 273 <= covered["patients"] <= 297 and covered["none"] < 250, covered


def test_interval_covers_the_mean_of_all_pairs():
    """Flat images of random brightness: at 95 %, 300 repetitions cover it 273 to 297 times."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 10**6))
    truth = np.mean((2 * a * b + C1) / (a * a + b * b + C1))
    covered = 0
    for i in range(300):
        levels = rng.uniform(size=(60, 1, 1, 1))
        found = ms_ssim_diversity(np.broadcast_to(levels, (60, 11, 11, 1)), 1.0, seed=i)
        covered += found.low <= truth <= found.high
    assert 273 <= covered <= 297, covered
