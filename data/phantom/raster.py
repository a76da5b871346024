"""Drawing helpers shared by the phantoms: soft edges, splatting, random textures and blur on [n, h, w] grids.

Everything is defined on continuous coordinates and only then sampled, so that a phantom drawn at 128 pixels
is the phantom drawn at 64, sharper. All arrays are float64.
"""

import numpy as np


def unit_grid(size):
    """Pixel centres of a square image: (u, v), each [1, size, size] in (-1, 1); u to the right, v down."""
    centre = ((np.arange(size) + 0.5) / size) * 2 - 1
    u, v = np.meshgrid(centre, centre)
    return u[None], v[None]


def coverage(distance, width):
    """Fraction of a pixel inside an edge, [n, h, w] in [0, 1].

    distance: signed distance to the edge in cm, positive inside. width: extent of the edge in cm, one pixel
    for a straight edge seen through square pixels (exact along the axes, close elsewhere).
    """
    return np.clip(distance / width + 0.5, 0, 1)


def half_disc(r2):
    """Chord profile sqrt(1 - r^2) of an ellipsoid or a cylinder, zero outside; r2 is the squared radius."""
    return np.sqrt(np.maximum(1 - r2, 0))


def splat(col, row, mass, size):
    """Deposits points on a pixel grid with bilinear weights: mass is conserved whatever the resolution.

    col, row: [n, k] positions in pixels, pixel 0 centred at 0. mass: [n, k]. Returns [n, size, size] float64.
    Points beyond the border are dropped.
    """
    n = col.shape[0]
    stride = size + 2  # one pixel of margin on every side catches what falls outside
    col, row = np.clip(col, -1, size) + 1, np.clip(row, -1, size) + 1
    j, i = np.minimum(col.astype(np.int32), size), np.minimum(row.astype(np.int32), size)
    fx, fy = col - j, row - i
    base = i * stride + j + (np.arange(n, dtype=np.int32) * stride * stride)[:, None]
    right, left = mass * fx, mass * (1 - fx)
    index = np.concatenate([base, base + 1, base + stride, base + stride + 1], 1)
    value = np.concatenate([left * (1 - fy), right * (1 - fy), left * fy, right * fy], 1)
    total = np.bincount(index.ravel(), value.ravel(), minlength=n * stride * stride)
    return total.reshape(n, stride, stride)[:, 1:-1, 1:-1]


def texture(coefficients, size, slopes, corner=2.0):
    """Two independent random fields of unit variance from one set of Fourier coefficients.

    coefficients: complex128 [n, 2m+1, 2m+1], standard normal, of modes -m..m cycles per image. Amplitudes fall
    as (k^2 + corner^2)^(-slope/2), one slope a field. Modes beyond the grid's Nyquist are left out, so
    another `size` samples the same field. Returns two arrays [n, size, size] float64.
    """
    n, width, _ = coefficients.shape
    m = width // 2
    k = np.arange(-m, m + 1)
    squared = k[:, None] ** 2 + k[None] ** 2 + corner**2
    amplitude = [squared ** (-slope / 2) for slope in slopes]
    amplitude = [a / np.sqrt((a**2).sum()) for a in amplitude]
    mirror = coefficients[:, ::-1, ::-1].conj()  # the symmetric part makes the real field, the rest the other
    shaped = (amplitude[0] + amplitude[1]) / 2 * coefficients + (amplitude[0] - amplitude[1]) / 2 * mirror
    keep = np.flatnonzero(np.abs(k) < size / 2)
    index = k[keep].astype(int) % size
    spectrum = np.zeros((n, size, size), complex)
    spectrum[:, index[:, None], index[None]] = shaped[:, keep[0] : keep[-1] + 1, keep[0] : keep[-1] + 1]
    field = np.fft.ifft2(spectrum, norm="forward")
    return np.ascontiguousarray(field.real), np.ascontiguousarray(field.imag)


def gaussian_matrix(size, sigma):
    """Row-normalised Gaussian blur of a line of `size` pixels as a matrix; sigma in pixels."""
    i = np.arange(size)
    kernel = np.exp(-0.5 * ((i[:, None] - i[None]) / max(sigma, 1e-3)) ** 2)
    return kernel / kernel.sum(1, keepdims=True)


def blur(image, sigma):
    """Gaussian blur of [n, h, h] images, sigma in pixels; near the border the kernel is renormalised."""
    matrix = gaussian_matrix(image.shape[-1], sigma)
    return matrix @ image @ matrix.T
