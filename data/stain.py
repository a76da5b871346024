"""Random change of the stain of H&E images, after Tellez et al. (IEEE TMI 37, 2018; Medical Image Analysis 58, 2019).

The amount x of each stain becomes alpha x + beta, as on slides of another day or another laboratory. Haematoxylin and
eosin are told apart by colour deconvolution (Ruifrok & Johnston 2001); what is neither stays as it is. The papers
change that remainder too, and measure amounts in other units: their deviations are not those of here.
On the tissue phantom 0.05 is mild and 0.1 marked; 0.2 gives some images colours that no stain has.
"""

import functools

import numpy as np

from data import draws
from data.phantom.tissue_stain import RUIFROK


def coefficients(seed: int, step: int, ids: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Factors alpha ~ U(1 - s, 1 + s) and offsets beta ~ U(-s, s), each float32 [b, 2], of haematoxylin and eosin.

    Each is a function of (seed, step, id) and of s = `share` alone.
    """
    centred = share * (2 * draws.uniforms(seed, step, ids, count=4) - 1)
    return np.float32(1 + centred[:, :2]), np.float32(centred[:, 2:])


def change(images: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """The images with x -> alpha x + beta for each stain's optical density x (base 10) along its unit vector.

    images: uint8 or uint16 [b, h, w, 3], RGB. alpha, beta: [b, 2]. Returns images of the same shape and type.
    Level u stands for the transmittance (u + 1) / 2^bits: black has a finite density, and alpha = 1, beta = 0 give
    every level back.
    """
    levels = np.iinfo(images.dtype).max + 1
    both, apart = _deconvolution()
    density = _densities(levels)[images].reshape(len(images), -1, 3)
    mixing = np.eye(3, dtype=np.float32) + (apart * (alpha - 1)[:, None]) @ both  # of one image: x -> x @ mixing
    density = density @ mixing
    density += (beta @ both)[:, None]
    transmittance = np.exp(np.float32(-np.log(10)) * density, out=density).reshape(images.shape)
    return np.rint(transmittance * levels - 1).clip(0, levels - 1).astype(images.dtype)


@functools.cache
def _densities(levels: int) -> np.ndarray:
    """Optical density of each stored level."""
    return -np.log10((np.arange(levels, dtype=np.float32) + 1) / levels)


@functools.cache
def _deconvolution() -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of both stains [2, 3], and [3, 2]: a density x holds x @ it of them.

    What remains of x is taken to lie along the third vector, at right angles to both (Ruifrok & Johnston).
    """
    both = RUIFROK / np.linalg.norm(RUIFROK, axis=1, keepdims=True)
    third = np.cross(*both)
    apart = np.linalg.inv(np.vstack([both, third / np.linalg.norm(third)]))[:, :2]
    return both.astype(np.float32), apart.astype(np.float32)
