"""Collagen of the tissue phantom: wavy bundles of fibres, and the clefts between them, on [n, h, w] grids."""

import numpy as np

from data.phantom.raster import coverage
from data.phantom.tissue_factors import TURN

WAVELENGTHS = (17.0, 11.0, 7.0, 4.7, 3.3, 2.4)  # um across the fibres, from bundles to fibres
DRAWS = 3 * len(WAVELENGTHS)  # uniform numbers an example needs


def direction(f, x, y):
    """Angle of the fibres at points in um, rad."""
    slope = f["fibre_wave"] * TURN / f["fibre_length"] * np.cos(TURN * _along(f, x, y) / f["fibre_length"])
    return f["fibre_angle"] + np.arctan(slope)


def fibres(f, x, y, cloud, pixel, uniform):
    """(relative deviation of the collagen's density, about unit variance; share of cleft, 0..1).

    x, y: pixel centres, um. cloud: a random field [n, h, w] of unit variance that bends the fibres. pixel: width
    of a pixel in um; waves it cannot show are averaged out. uniform: [n, DRAWS].
    """
    along, across = _along(f, x, y), _along(f, y, -x)
    across = across - f["fibre_wave"] * np.sin(TURN * along / f["fibre_length"]) + 1.5 * cloud
    draws = uniform.reshape(len(uniform), -1, 3, 1, 1)
    total, bundles = 0.0, 0.0
    for i, wavelength in enumerate(WAVELENGTHS):
        phase, drift, run = draws[:, i].swapaxes(0, 1)
        reach = wavelength * (2.5 + 3 * run)  # um over which a fibre runs before it gives way to another
        bend = 1.5 * np.cos(TURN * (along / reach + drift))
        wave = np.cos(TURN * (across / wavelength + phase) + bend)
        total = total + np.sinc(pixel / wavelength) * (2 * pixel < wavelength) * wavelength**0.4 * wave
        bundles = bundles + (wave if i < 2 else 0.0)
    spread = np.sqrt(0.5 * sum(w**0.8 for w in WAVELENGTHS))
    between = bundles + 0.5 * cloud - (2.5 - 1.5 * f["looseness"])
    return total / spread, coverage(between, np.maximum(0.5, 0.5 * pixel))


def _along(f, x, y):
    return x * np.cos(f["fibre_angle"]) + y * np.sin(f["fibre_angle"])
