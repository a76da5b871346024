"""From tissue signal to a displayed MR image: coil sensitivity, point spread, Rician noise, display window."""

import numpy as np

from data.phantom import mri_tissues, raster

NOISE_PIXEL = 1.75  # mm: the pixel that the factor "snr" speaks of


def coil(f, u, v):
    """Sensitivity of the coil [n, h, w], 1 in the centre: log-quadratic (a smooth bias field)."""
    tilt = np.cos(f["bias_angle"]) * u + np.sin(f["bias_angle"]) * v
    return np.exp(f["bias"] * (1.4 * tilt + 1.5 * f["bias_bowl"] * (u * u + v * v)))


def add_sigma(f, signal, size):
    """Adds the standard deviation of the noise, of each channel, in units of the tissue signal.

    It is that of one scan: averaging pixels into larger ones lowers it as their width grows.
    """
    brightest = np.maximum(np.abs(signal["white"]), np.abs(signal["gray"]))
    f["sigma"] = (brightest / f["snr"]).astype(np.float32)
    return f["sigma"] * NOISE_PIXEL / (2 * f["view"] / size)


def acquire(tissue, f, sigma, noise):
    """Magnitude image [n, size, size] of a signed tissue signal [n, 2 size, 2 size].

    sigma: [n, 1, 1] standard deviation of the noise of a pixel in each channel. noise: [2, n, size, size] standard
    normal. The magnitude of the complex sum is Rician; without signal it is Rayleigh, of mean sigma sqrt(pi/2)
    (Gudbjartsson and Patz, Magn Reson Med 34:910, 1995).
    """
    size = noise.shape[-1]
    u, v = raster.unit_grid(size)
    n = len(tissue)
    blurred = np.stack([_spread(t, s) for t, s in zip(tissue, 2 * size * f["blur"][:, 0, 0] / (2 * f["view"][:, 0, 0]))])
    pixels = blurred.reshape(n, size, 2, size, 2).mean((2, 4)) * coil(f, u, v)
    return np.hypot(pixels + sigma * noise[0], sigma * noise[1])


def _spread(image, sigma):
    matrix = raster.gaussian_matrix(image.shape[-1], sigma)
    return matrix @ image @ matrix.T


def display(magnitude, f, signal, sigma):
    """Gray levels in [0, 1]: a linear window anchored at brain tissue, then a mild gamma."""
    anchor, level = mri_tissues.reference(f, signal)
    black = f["black"] * sigma
    gray = (magnitude - black) / np.maximum(np.abs(anchor) - black, 1e-6) * level ** (1 / f["gamma"])
    return np.clip(gray, 0, 1) ** f["gamma"]
