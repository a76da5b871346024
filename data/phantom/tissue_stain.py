"""From amounts of stain to what a slide scanner records: Beer-Lambert with the vectors of two stains, blur, noise."""

import numpy as np

from data.phantom.raster import gaussian_matrix

# Optical density of a stain in red, green and blue. Ruifrok & Johnston, Anal Quant Cytol Histol 23 (2001), 291-299:
RUIFROK = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])  # haematoxylin, eosin
# and the reference that M. Veta's code has for the method of Macenko et al., ISBI 2009, 1107-1110:
MACENKO = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])


def vectors(f):
    """Unit vectors of haematoxylin and eosin of each slide, [n, 2, 3]: between the published two, then tinted."""
    hue = np.stack([f["haematoxylin_hue"], f["eosin_hue"]], 1)[:, :, 0]
    tint = np.stack([f["haematoxylin_tint"], f["eosin_tint"]], 1)[:, :, 0]
    both = RUIFROK + hue * (MACENKO - RUIFROK) + tint * np.array([1, 0, -1])
    both = np.maximum(both, 0.01)
    return both / np.sqrt((both**2).sum(-1, keepdims=True))


def transmit(stains, f):
    """Light that passes, [n, h, w, 3], relative to the lamp; I = 10^-OD (Beer-Lambert).

    stains: optical density of haematoxylin and eosin along their unit vectors, [n, h, w, 2].
    """
    n, h, w, _ = stains.shape
    density = stains.reshape(n, h * w, 2) @ vectors(f)
    return np.exp(-np.log(10) * density).reshape(n, h, w, 3)


def scan(light, f, noise):
    """Gray levels in [0, 1] of [n, h, h, 3] light: point spread, the white of empty glass, photon noise.

    noise: standard normal of the same shape.
    """
    size = light.shape[1]
    planes = light.transpose(0, 3, 1, 2)
    blurred = spread(planes, f["unsharp"] / f["field"] * size).transpose(0, 2, 3, 1)
    white = f["white"][..., None] + f["warmth"][..., None] * np.array([1, 0, -1])
    signal = white * blurred
    return np.clip(signal + f["noise"][..., None] * np.sqrt(signal) * noise, 0, 1)


def spread(planes, sigma):
    """Gaussian blur of [n, c, h, h], by sigma [n, 1, 1] pixels."""
    matrices = np.stack([gaussian_matrix(planes.shape[-1], float(s)) for s in sigma.ravel()])[:, None]
    return matrices @ planes @ matrices.swapaxes(-1, -2)
