"""Breast ultrasound phantom: a B-mode image with known anatomy, one lesion or none, and imaging physics.

`generate` draws image i of a seed as a pure function of (seed, i), whatever the batch. The received signal is
simulated on a fixed grid (us_scan) and the log-compressed image is resampled to the pixels, so that another size
shows the same patient and the same speckle. The images are synthetic: for software, tests and method comparison,
never for clinical use.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import us_fields, us_lesions, us_scan
from data.phantom.chunks import in_chunks
from data.phantom.stream import Stream
from data.phantom.us_factors import CLASSES, DERIVED, NAMES, TABLE, factors_from

MASKS = ("lesion",)
EXCLUSIVE = True  # one lesion or none an image, as in public breast ultrasound sets: "normal" is then a class
CHANNELS = 1
FACTORS = NAMES + tuple(DERIVED)
CHUNK = 64  # examples resampled at once

__all__ = ["CHANNELS", "CLASSES", "EXCLUSIVE", "FACTORS", "MASKS", "generate"]


def generate(seed: int, indices: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    """Draws phantoms.

    seed: int >= 0. indices: int [n] >= 0, each example's stable index. size: pixels a side; the image is square.
    Returns a dict:
      image    float32 [n, size, size, 1] in [0, 1], the probe at the top
      label    float32 [n, 4], one-hot over CLASSES
      mask     uint8 [n, size, size, 1] over MASKS: the lesion with its spicules, without its halo
      factors  float32 [n, len(FACTORS)] over FACTORS, which us_factors describes
    """
    return in_chunks(_chunk, seed, indices, size, CHUNK)


@dataclass
class Draws:
    """Random numbers of one phantom, none of which depends on the size of the image."""

    normal: np.ndarray  # [len(TABLE)]
    uniform: np.ndarray  # [len(TABLE)]
    lines: np.ndarray  # normal [9, KNOTS], of the layers' borders and the gloss of interfaces
    broad: np.ndarray  # normal [5, KNOTS, KNOTS], of textures
    narrow: np.ndarray  # normal [5, 3 KNOTS, 2 KNOTS], of finer ones
    jitter: np.ndarray  # uniform [3, CELLS, CELLS], of fat lobules
    outline: np.ndarray  # normal [2, HARMONICS]
    spicules: np.ndarray  # uniform [3, SPICULES]
    specks: np.ndarray  # uniform [3, CALCIFICATIONS]
    scatterers: np.ndarray  # complex128 [DEPTHS, COLUMNS], circular normal of unit power

    @classmethod
    def of(cls, seed, index):
        """Each example has its own counter-based stream, keyed by (seed, index)."""
        stream = Stream(seed, index)
        knots, cells = us_fields.KNOTS, us_fields.CELLS
        return cls(
            normal=stream.normal(len(TABLE)),
            uniform=stream.uniform(len(TABLE)),
            lines=stream.normal(9, knots),
            broad=stream.normal(5, knots, knots),
            narrow=stream.normal(5, 3 * knots, 2 * knots),
            jitter=stream.uniform(3, cells, cells),
            outline=stream.normal(2, us_lesions.HARMONICS),
            spicules=stream.uniform(3, us_lesions.SPICULES),
            specks=stream.uniform(3, us_lesions.CALCIFICATIONS),
            scatterers=stream.complex_normal(us_scan.DEPTHS, us_scan.COLUMNS) * np.sqrt(0.5),
        )


def _chunk(seed, indices, size):
    gray = np.empty((len(indices), us_scan.DEPTHS, us_scan.LINES))
    inside, factors = np.empty_like(gray), []
    for i, index in enumerate(indices):
        draws = Draws.of(seed, index)
        factors.append(factors_from(draws.normal, draws.uniform))
        gray[i], inside[i] = us_scan.render(factors[i], draws)
    return {
        "image": np.clip(us_scan.resample(gray, size), 0, 1)[..., None],
        "label": np.eye(len(CLASSES))[[f["class"] for f in factors]],
        "mask": (us_scan.resample(inside, size) > 0.5)[..., None].astype(np.uint8),
        "factors": np.array([[f[k] for k in FACTORS] for f in factors]),
    }
