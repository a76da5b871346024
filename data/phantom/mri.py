"""Brain MRI phantom: axial slices of three contrasts with known anatomy, tumour and imaging physics.

`generate` draws image i of a seed as a pure function of (seed, i), whatever the batch and at any resolution.
The images are synthetic: for software, tests and method comparison, never for clinical use.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import mri_brain, mri_cortex, mri_fields, mri_scanner, mri_tissues
from data.phantom.chunks import narrow
from data.phantom.mri_factors import CLASSES, CONTRASTS, DERIVED, NAMES, TABLE, factors_from
from data.phantom.stream import Stream

MASKS = ("brain", "gray_matter", "white_matter", "ventricles", "tumour", "edema")
EXCLUSIVE = False  # a contrast, and a tumour or none
CHANNELS = 1
FACTORS = NAMES + DERIVED
AREA_SIZE = 128  # grid on which areas are measured, whatever the size of the image

__all__ = ["CHANNELS", "CLASSES", "EXCLUSIVE", "FACTORS", "MASKS", "generate"]


def generate(seed: int, indices: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    """Draws phantoms.

    seed: int >= 0. indices: int [n] >= 0, each example's stable index. size: pixels a side.
    Returns a dict:
      image    float32 [n, size, size, 1] in [0, 1], air dark; front of the head up, patient's left at the right
      label    float32 [n, 4], multi-hot over CLASSES: one of three contrasts, and whether there is a tumour
      mask     uint8 [n, size, size, 6] over MASKS. "brain" is all within the brain's hull, sulci included; "tumour"
               is the mass with rim and necrosis, "edema" surrounds it. All but "brain" are disjoint.
      factors  float32 [n, len(FACTORS)] over FACTORS; those of TABLE describe themselves
    """
    examples = [_example(seed, index, size) for index in np.asarray(indices)]
    return {k: narrow(np.stack([e[k] for e in examples])) for k in examples[0]}


@dataclass
class Draws:
    """Random numbers of an example; the pixel noise, whose count depends on the size, is drawn last."""

    normal: np.ndarray  # [len(TABLE)]
    uniform: np.ndarray  # [len(TABLE)]
    sulci: np.ndarray  # [mri_cortex.DRAWS]
    modes: np.ndarray  # complex [2, 2 MODES + 1, 2 MODES + 1]
    noise: np.ndarray  # [2, size, size]

    @classmethod
    def of(cls, seed, index, size):
        """Each example has its own counter-based stream, keyed by (seed, index)."""
        stream = Stream(seed, index)
        modes = 2 * mri_fields.MODES + 1
        return cls(
            stream.normal(len(TABLE)),
            stream.uniform(len(TABLE)),
            stream.uniform(mri_cortex.DRAWS),
            stream.complex_normal(2, modes, modes),
            stream.normal(2, size, size),
        )


def _example(seed, index, size):
    draws = Draws.of(seed, index, size)
    f = factors_from(draws.normal, draws.uniform)
    image, share = render(f, draws)
    return {
        "image": image[..., None],
        "label": np.array([f["contrast"] == i for i in range(len(CONTRASTS))] + [f["tumour"]]),
        "mask": np.stack([share[name] > 0.5 for name in MASKS], -1).astype(np.uint8),
        "factors": np.array([f[name] for name in FACTORS]),
    }


def render(f, draws):
    """The displayed image [size, size] and {mask: share of each pixel}; `f` may be edited beforehand.

    Adds to f what is derived from it.
    """
    size = draws.noise.shape[-1]
    mri_tissues.add_timing(f)
    signal = mri_tissues.signals(f)
    tissue, share = mri_brain.draw(f, draws, signal, 2 * size)  # twice as fine: edges are averaged
    _add_areas(f, share if 2 * size == AREA_SIZE else mri_brain.draw(f, draws, signal, AREA_SIZE)[1])
    mri_scanner.add_sigma(f, signal)
    sigma = mri_scanner.pixel_sigma(f, size)
    magnitude = mri_scanner.acquire(tissue, f, sigma, draws.noise)
    image = mri_scanner.display(magnitude, f, signal, sigma)
    return image, {name: _halved(part) for name, part in share.items()}


def _halved(image):
    rows = image[::2] + image[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4


def _add_areas(f, share):
    """Adds the areas of the masks in cm^2."""
    for name, part in share.items():
        f[f"{name}_area"] = part.sum() * (f["view"] / (5 * AREA_SIZE)) ** 2
    f["ventricle_brain_ratio"] = f["ventricles_area"] / f["brain_area"]
