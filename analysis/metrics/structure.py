"""Likeness of two images: PSNR, SSIM, MS-SSIM; and MS-SSIM between samples as a measure of their diversity."""

import dataclasses

import numpy as np
from scipy import ndimage

from analysis.metrics.intervals import Estimate
from analysis.metrics.patients import Groups, number, student_95, variance_of_pairs

WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first (Wang et al. 2003, section 3.2)
BATCH = 64  # pairs filtered at once


class TooFewPairs(ValueError):
    """Images that make no two pairs."""


@dataclasses.dataclass(frozen=True)
class Diversity(Estimate):
    """Mean MS-SSIM of pairs of samples, the lower the more diverse; n is the number of samples, two a pair."""

    scales: int


def psnr(x: np.ndarray, y: np.ndarray, data_range: float) -> np.ndarray:
    """10 log10(range^2 / mean squared error) in dB of each of the pairs of images [b, h, w, c]; inf of equal ones.

    Args:
      data_range: largest less smallest possible value: 255 of uint8, 2 of images in [-1, 1].
    """
    x, y = _pair(x, y)
    error = np.square(x - y).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(data_range**2 / error)


def ssim(x: np.ndarray, y: np.ndarray, data_range: float) -> np.ndarray:
    """Structural similarity of each of the pairs of images [b, h, w, c], at most 1 (Wang et al. 2004, eq. 13).

    Gaussian windows of 11 pixels, sigma 1.5, that lie within the image, k1 = 0.01, k2 = 0.03; mean over windows and
    channels. Intensities are from 0, which is no light, to `data_range`: of images in [-1, 1] the luminance term would
    call gray and a little darker gray opposites.

    Raises:
      ValueError: images smaller than the window, or negative intensities.
    """
    x, y = _pair(x, y)
    _scales(x)
    return _similarity(x, y, data_range)[0].mean((1, 2, 3))


def ms_ssim(x: np.ndarray, y: np.ndarray, data_range: float) -> tuple[np.ndarray, int]:
    """(multi-scale SSIM of each of the pairs of images [b, h, w, c], number of scales) (Wang et al. 2003, eq. 7).

    The product over scales, each half as large, of the mean contrast-structure term to the power of its weight, with
    the luminance at the coarsest; negative means count as 0; of several channels, the mean of their products. As many
    of the five scales are used as the window fits into (3 at 64 pixels, 4 at 128, 5 from 176), the first weights
    scaled to a sum of 1: numbers at different scales are not comparable. Intensities as in `ssim`.

    Raises:
      ValueError: images smaller than the window, or negative intensities.
    """
    x, y = _pair(x, y)
    scales = _scales(x)
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    product = np.ones((len(x), x.shape[-1]))
    for scale, weight in enumerate(weights):
        whole, contrast = _similarity(x, y, data_range)
        term = whole if scale == scales - 1 else contrast
        product *= np.maximum(term.mean((1, 2)), 0.0) ** weight
        x, y = _halved(x), _halved(y)
    return product.mean(1), scales


def ms_ssim_diversity(
    images: np.ndarray, data_range: float, pairs: int = 1000, seed: int = 0, groups: Groups = None
) -> Diversity:
    """Mean MS-SSIM of at most so many random pairs of images [n, h, w, c] (Odena et al. 2017, section 4.2).

    No image is in two pairs, so that the pairs are independent and their mean has Student's interval. Of images of one
    patient no pair is made, since generated images have no such; pairs that share a patient then depend on each other.

    Raises:
      TooFewPairs: fewer than two.
      ValueError: images smaller than the window, or negative intensities.
    """
    first, second = _disjoint_pairs(len(images), pairs, seed, groups)
    count = len(first)
    if count < 2:
        raise TooFewPairs(f"{len(images)} images of {number(groups, len(images))} patients make no two pairs")
    parts = [
        ms_ssim(images[first[i : i + BATCH]], images[second[i : i + BATCH]], data_range) for i in range(0, count, BATCH)
    ]
    values = np.concatenate([part for part, _ in parts])
    mean = values.mean()
    owners = None if groups is None else np.stack([groups[first], groups[second]], 1)
    half = _student(count, owners) * variance_of_pairs((values - mean) / count, owners) ** 0.5
    return Diversity(float(mean), float(mean - half), float(mean + half), (2 * count,), parts[0][1])


def _disjoint_pairs(n: int, pairs: int, seed: int, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the first and of the second image of each pair."""
    count = min(pairs, n // 2)
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(n)
    first, second = order[:count], order[count : 2 * count]
    apart = slice(None) if groups is None else groups[first] != groups[second]
    return first[apart], second[apart]


def _student(count: int, owners: np.ndarray | None) -> float:
    """Half the width of the interval in standard errors, of so many pairs whose patients are `owners` [count, 2]."""
    patients = 2 * count if owners is None else len(np.unique(owners))
    return student_95(count if patients == 2 * count else min(patients, count))


def _pair(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.shape != y.shape or x.ndim != 4:
        raise ValueError(f"images of shape {x.shape} and {y.shape}: two of one shape [b, h, w, c] are needed")
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def _scales(x: np.ndarray) -> int:
    side = min(x.shape[1:3])
    if side < WINDOW:
        raise ValueError(f"images of {x.shape[1]}x{x.shape[2]} are smaller than the window of {WINDOW} pixels")
    return min(int(np.log2(side / WINDOW)) + 1, len(WEIGHTS))


def _similarity(x: np.ndarray, y: np.ndarray, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Maps [b, h', w', c] of SSIM and of its contrast-structure factor."""
    if min(x.min(), y.min()) < 0.0:
        raise ValueError("structural similarity is of intensities from 0 on, and there are negative ones")
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    a, b = _blurred(x), _blurred(y)
    spread = _blurred(x * x) - a * a + _blurred(y * y) - b * b
    contrast = (2.0 * (_blurred(x * y) - a * b) + c2) / (spread + c2)
    return (2.0 * a * b + c1) / (a * a + b * b + c1) * contrast, contrast


def _blurred(x: np.ndarray) -> np.ndarray:
    """Means under the Gaussian window wherever it lies within the image."""
    reach = WINDOW // 2
    window = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / SIGMA))
    window /= window.sum()
    for axis in (1, 2):
        x = ndimage.correlate1d(x, window, axis)
    return x[:, reach:-reach, reach:-reach]


def _halved(x: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    b, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))
