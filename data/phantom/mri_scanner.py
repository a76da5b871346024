"""From tissue signal to a displayed MR image: coil sensitivity, point spread, Rician noise, display window."""

import numpy as np

from data.phantom import mri_tissues, raster

NOISE_PIXEL = 1.75  # mm: the pixel that the factor "snr" speaks of


def coil(f, u, v):
    """Sensitivity of the coil [h, w], 1 in the centre: log-quadratic (a smooth bias field)."""
    tilt = np.cos(f["bias_angle"]) * u + np.sin(f["bias_angle"]) * v
    return np.exp(f["bias"] * (1.4 * tilt + 1.5 * f["bias_bowl"] * (u * u + v * v)))


def add_sigma(f, signal):
    """Adds sigma, the standard deviation of the noise in each channel, in units of signal and for NOISE_PIXEL."""
    f["sigma"] = np.maximum(abs(signal["white"]), abs(signal["gray"])) / f["snr"]


def pixel_sigma(f, size):
    """The same for the pixels of an image: averaging pixels of one scan into larger ones lowers it."""
    return f["sigma"] * NOISE_PIXEL * size / (2 * f["view"])


def acquire(tissue, f, sigma, noise):
    """Magnitude image [size, size] of a signed tissue signal [2 size, 2 size].

    sigma: standard deviation of the noise of a pixel in each channel. noise: [2, size, size] standard normal. The
    magnitude of the complex sum is Rician; without signal it is Rayleigh, of mean sigma sqrt(pi/2) (Gudbjartsson
    and Patz, Magn Reson Med 34:910, 1995).
    """
    fine, size = tissue.shape[-1], noise.shape[-1]
    matrix = raster.gaussian_matrix(fine, f["blur"] * fine / (2 * f["view"])).reshape(size, -1, fine).mean(1)
    u, v = raster.unit_grid(size)
    pixels = matrix @ tissue @ matrix.T * coil(f, u[0], v[0])
    real, imaginary = pixels + sigma * noise[0], sigma * noise[1]
    return np.sqrt(real * real + imaginary * imaginary)


def display(magnitude, f, signal, sigma):
    """Gray levels in [0, 1]: a linear window anchored at brain tissue, then a mild gamma."""
    anchor, level = mri_tissues.reference(f, signal)
    black = np.minimum(f["black"] * sigma, 0.3 * anchor)
    gray = np.clip((magnitude - black) / (anchor - black) * level ** (1 / f["gamma"]), 0, 1)
    return gray ** f["gamma"]
