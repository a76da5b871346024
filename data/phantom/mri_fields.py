"""Smooth random fields: sums of few plane waves, evaluated at pixel centres, so the same at any resolution."""

import functools

import numpy as np

MODES = 16  # highest frequency, cycles per image


def smooth_fields(coefficients, size, slope, corner):
    """Two independent random fields of unit variance, each float64 [size, size].

    coefficients: complex128 [2 MODES + 1, 2 MODES + 1], real and imaginary parts standard normal, of the modes
    -MODES..MODES in cycles per image. Amplitudes fall as (k^2 + corner^2)^(-slope/2).
    """
    waves = _waves(size)
    field = waves @ (_amplitude(slope, corner) * coefficients) @ waves.T
    return np.ascontiguousarray(field.real), np.ascontiguousarray(field.imag)


@functools.lru_cache
def _waves(size):
    place = (np.arange(size) + 0.5) / size
    return np.exp(2j * np.pi * place[:, None] * np.arange(-MODES, MODES + 1))


@functools.lru_cache
def _amplitude(slope, corner):
    k = np.arange(-MODES, MODES + 1)
    amplitude = (k[:, None] ** 2 + k**2 + corner**2) ** (-slope / 2)
    return amplitude / np.sqrt((amplitude**2).sum())
