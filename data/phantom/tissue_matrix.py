"""All that is stained in the tissue phantom besides its nuclei: regions, cytoplasm, collagen, on [n, h, w] grids."""

from dataclasses import dataclass

import numpy as np

from data.phantom.raster import coverage

CYTOPLASM = 3.0  # um around a nucleus in which a tumour cell's cytoplasm is bluest


@dataclass
class Regions:
    """Share of each pixel, 0..1."""

    gland: np.ndarray  # epithelium and lumen
    lumen: np.ndarray
    lesion: np.ndarray
    tissue: np.ndarray  # and not empty glass
    cleft: np.ndarray  # where tumour has come off its stroma
    apex: np.ndarray  # height within the epithelium, 0 at its nuclei to 1 at the lumen

    @classmethod
    def of(cls, f, layout, x, y, pixel):
        """x, y: pixel centres, um. pixel: their width, um."""
        depth, gap = layout.gland(x, y), f["retraction"]
        lesion = layout.lesion(x, y, depth)
        return cls(
            gland=coverage(depth, pixel),
            lumen=coverage(depth - f["gland_height"], pixel),
            lesion=coverage(lesion, pixel),
            tissue=coverage(layout.tissue(x, y), pixel),
            cleft=coverage(0.5 * gap - np.abs(lesion + 0.5 * gap), pixel) * (gap > 0),
            apex=np.clip(1.8 * depth / f["gland_height"] - 0.8, 0, 1),
        )


@dataclass
class Detail:
    """Fine structure of the same grid."""

    cloud: np.ndarray  # random field of unit variance, broad
    grain: np.ndarray  # the same, fine
    collagen: np.ndarray  # relative deviation of its density
    gap: np.ndarray  # share of cleft between bundles, 0..1
    seam: np.ndarray  # share of border between epithelial cells, 0..1
    near: np.ndarray  # closeness of nuclei, 0..1


def stains(f, r: Regions, d: Detail):
    """Haematoxylin and eosin as optical density, each [n, h, w]."""
    solid, epithelium = 1 - r.gland - r.lesion, r.gland - r.lumen
    collagen = solid * (1 + f["fibre_contrast"] * d.collagen) * (1 - 0.92 * d.gap) * (1 - 0.85 * r.cleft)
    tumour = r.lesion * (1 - 0.6 * d.seam) * (1 + 0.12 * d.cloud + 0.1 * d.grain)
    cells = epithelium * (1 - 0.3 * d.seam) * (1 + 0.1 * d.cloud) * (1 - f["mucin"] * r.apex)
    blue = 0.35 * collagen + (0.8 + 1.2 * d.near) * tumour + 1.2 * cells
    pink = collagen + 0.85 * tumour + 0.75 * cells + f["secretion"] * r.lumen
    blue, pink = (np.maximum(amount, 0) * r.tissue for amount in (blue, pink))
    return f["basophilia"] * f["haematoxylin"] * blue, f["eosin"] * pink
