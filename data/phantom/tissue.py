"""H&E phantom: a section of tissue, stained with haematoxylin and eosin, under a slide scanner, in colour.

`generate` draws image i of a seed as a pure function of (seed, i), whatever the batch and at any resolution.
The images are synthetic: for software, tests and method comparison, never for clinical use.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import (
    raster,
    tissue_cells,
    tissue_layout,
    tissue_matrix,
    tissue_nuclei,
    tissue_stain,
    tissue_stroma,
)
from data.phantom.chunks import in_chunks
from data.phantom.stream import stacked
from data.phantom.tissue_factors import CLASSES, DERIVED, NAMES, TABLE, factors_from

MASKS = ("nuclei", "gland", "lesion")
EXCLUSIVE = False  # any number of findings an image
CHANNELS = 3
FACTORS = NAMES + DERIVED
MODES = 40  # highest frequency of the random textures, cycles per image
EOSIN_LOST = 0.6  # share of the eosin around a nucleus that is not in it
CHUNK = 16  # examples drawn at once: their arrays stay in the cache

__all__ = ["CHANNELS", "CLASSES", "EXCLUSIVE", "FACTORS", "MASKS", "generate"]


def generate(seed: int, indices: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    """Draws phantoms.

    seed: int >= 0. indices: int [n] >= 0, each example's stable index. size: pixels a side.
    Returns a dict:
      image    float32 [n, size, size, 3] in [0, 1], RGB
      label    float32 [n, 3], multi-hot over CLASSES; all zeros is plain stroma
      mask     uint8 [n, size, size, 3] over MASKS. "nuclei" is those of all kinds; "gland" is epithelium and
               lumen; "lesion" is tumour, its cytoplasm included.
      factors  float32 [n, len(FACTORS)] over FACTORS; those of TABLE describe themselves
    """
    return in_chunks(_chunk, seed, indices, size, CHUNK)


@dataclass
class Draws:
    """Random numbers of a chunk; the pixel noise, whose count depends on the size, is drawn last."""

    normal: np.ndarray  # [n, len(TABLE)]
    uniform: np.ndarray  # [n, len(TABLE)]
    layout: np.ndarray  # [n, tissue_layout.DRAWS]
    stroma: np.ndarray  # [n, tissue_stroma.DRAWS]
    nuclei: np.ndarray  # [n, tissue_nuclei.DRAWS]
    modes: np.ndarray  # complex [n, 2 MODES + 1, 2 MODES + 1]
    noise: np.ndarray  # [n, size, size, 3]

    @classmethod
    def of(cls, seed, indices, size):
        """Each example has its own counter-based stream, keyed by (seed, index)."""
        columns = stacked(seed, indices, lambda stream: (
            stream.normal(len(TABLE)),
            stream.uniform(len(TABLE)),
            stream.uniform(tissue_layout.DRAWS),
            stream.uniform(tissue_stroma.DRAWS),
            stream.uniform(tissue_nuclei.DRAWS),
            stream.complex_normal(2 * MODES + 1, 2 * MODES + 1),
            stream.normal(size, size, 3),
        ))  # fmt: skip
        return cls(*columns)


def _chunk(seed, indices, size):
    draws = Draws.of(seed, indices, size)
    f = factors_from(draws.normal, draws.uniform)
    stains, masks = stain(f, draws)
    image = tissue_stain.scan(tissue_stain.transmit(stains, f), f, draws.noise)
    return {
        "image": image,
        "label": np.concatenate([f[c][:, :, 0] for c in CLASSES], 1),
        "mask": (masks > 0.5).astype(np.uint8),
        "factors": np.concatenate([f[k][:, :, 0] for k in FACTORS], 1),
    }


def stain(f, draws):
    """Optical density of haematoxylin and eosin [n, h, w, 2] and the shares of MASKS [n, h, w, 3].

    `f` may be edited beforehand; the derived factors are added to it.
    """
    size, field = draws.noise.shape[1], f["field"]
    u, v = raster.unit_grid(size)
    x, y, pixel = 0.5 * field * u, 0.5 * field * v, field / size
    layout = tissue_layout.Layout.of(f, draws.layout)
    nuclei = tissue_nuclei.place(f, layout, draws.nuclei)
    share, dense, movable = tissue_cells.nuclear(nuclei, field[:, 0, 0], size)
    regions = tissue_matrix.Regions.of(f, layout, x, y, pixel)
    cloud, grain = raster.texture(draws.modes, size, slopes=(2.4, 0.5))
    near = np.minimum(2.5 * tissue_stain.spread(share[:, None], tissue_matrix.CYTOPLASM / pixel)[:, 0], 1)
    detail = tissue_matrix.Detail(
        cloud,
        grain,
        *tissue_stroma.fibres(f, x, y, cloud, pixel, draws.stroma),
        tissue_cells.borders(nuclei, field[:, 0, 0], size),
        near,
    )
    blue, pink = tissue_matrix.stains(f, regions, detail)
    blue = blue * (1 - share) + np.maximum(dense + movable * grain, 0)
    masks = (share, regions.gland * regions.tissue, regions.lesion * regions.tissue)
    return np.stack([blue, pink * (1 - EOSIN_LOST * share)], -1), np.stack(masks, -1)
