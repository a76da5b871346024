"""Power of images over spatial frequency, and how far that of two sets is apart.

Upsampling leaves its traces at high frequencies, where the eye and a network's features may miss them (Durall et al.
2020).
"""

import dataclasses

import numpy as np

BATCH = 256  # images transformed at once


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Mean power in rings of spatial frequency (cycles a pixel, at most 0.5), and the number of images."""

    frequency: np.ndarray
    power: np.ndarray
    n: int


def radial_spectrum(images: np.ndarray) -> Spectrum:
    """Power |F|^2 / (h w) of images [n, h, w, c], averaged over directions, channels and images (Durall et al. 2020).

    F is the discrete Fourier transform, so that white noise has its variance as power in each ring. Rings are
    1 / min(h, w) wide and centred at its multiples; the mean and the corners beyond 0.5 are left out. To F an image
    repeats beyond its edges: steps there add power at all frequencies, in both sets of a comparison alike.

    Raises:
      ValueError: no images, or such as are smaller than 4 pixels.
    """
    if images.ndim != 4 or not len(images) or min(images.shape[1:3]) < 4:
        raise ValueError(f"images of shape {images.shape}: [n, h, w, c] of 4 pixels or more is needed")
    power = sum(_power(images[i : i + BATCH]) for i in range(0, len(images), BATCH)) / len(images)
    power[power < np.finfo(np.float64).eps ** 2 * power[0, 0]] = 0.0  # what rounding leaves of flat images
    ring, count = _rings(*power.shape)
    total = np.bincount(ring.ravel(), power.ravel())[1 : count + 1]
    size = np.bincount(ring.ravel())[1 : count + 1]
    return Spectrum(np.arange(1, count + 1) / min(power.shape), total / size, len(images))


def spectrum_distance(x: Spectrum, y: Spectrum) -> float:
    """Root mean square over the rings of 10 log10(power of x / power of y), in dB (Gray and Markel 1976).

    0 of equal spectra; 3 is a factor of two at every frequency.

    Raises:
      ValueError: images of different size, or spectra without power in some ring.
    """
    if x.frequency.shape != y.frequency.shape or not np.allclose(x.frequency, y.frequency):
        raise ValueError("spectra of images of different size cannot be compared")
    if not (x.power > 0).all() or not (y.power > 0).all():
        raise ValueError("a spectrum has no power at some frequency: are the images constant?")
    return float(np.sqrt(np.square(10.0 * np.log10(x.power / y.power)).mean()))


def _power(images: np.ndarray) -> np.ndarray:
    """Sum over images, mean over channels, of the power at each frequency, [h, w]."""
    f = np.fft.fft2(np.asarray(images, np.float64), axes=(1, 2))
    return np.square(np.abs(f)).sum(0).mean(-1) / (f.shape[1] * f.shape[2])


def _rings(h: int, w: int) -> tuple[np.ndarray, int]:
    """Which ring each frequency [h, w] belongs to, and the number of rings up to 0.5 cycles a pixel."""
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None])
    return np.rint(radius * min(h, w)).astype(int), min(h, w) // 2
