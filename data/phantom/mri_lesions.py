"""What disease adds: a glioma with necrosis, rim, edema and mass effect; white matter lesions of old age."""

from dataclasses import dataclass

import numpy as np

from data.phantom.mri_head import CENTRE_Y, HALF_LENGTH, HALF_WIDTH
from data.phantom.raster import coverage


@dataclass
class Glioma:
    """Coverage of its parts, each [n, h, w]; all zero without a tumour."""

    edema: np.ndarray
    solid: np.ndarray  # the whole tumour without edema: necrosis and rim lie within
    rim: np.ndarray  # takes up contrast agent
    necrosis: np.ndarray


def add_centre(f):
    """Adds the tumour's centre, tumour_x and tumour_y [mm], to the factors."""
    shrink = np.sqrt(1 - np.clip((f["slice_level"] - 8) / 67, 0, 0.97) ** 2.5)
    f["tumour_y"] = CENTRE_Y + f["tumour_front"] * (HALF_LENGTH * shrink - 12)
    f["tumour_x"] = f["tumour_side"] * f["tumour_out"] * HALF_WIDTH * shrink * np.sqrt(1 - f["tumour_front"] ** 2)


def displaced(f, x, y):
    """Where the tissue at (x, y) [mm] lay before the tumour grew: what is beside it was pushed outward."""
    dx, dy = x - f["tumour_x"], y - f["tumour_y"]
    r2 = (dx * dx + dy * dy) / (1.7 * f["tumour_radius"]) ** 2
    push = f["tumour"] * f["mass_effect"] * np.exp(-0.5 * r2)
    return x - push * dx, y - push * dy


def glioma(f, g, hull, coarse, fine):
    """The Glioma of each image; coarse, fine: unit-variance random fields that shape its outlines."""
    aspect = np.sqrt(f["tumour_aspect"])
    r = np.hypot((g.x - f["tumour_x"]) * aspect, (g.y - f["tumour_y"]) / aspect)
    within = f["tumour"] * coverage(hull.depth - 1.0, g.pixel)
    radius = f["tumour_radius"] * (1 + f["irregularity"] * np.clip(0.75 * coarse + 0.45 * fine, -2, 2))
    core = radius - r
    solid = within * coverage(core, g.pixel)
    hole = f["necrosis"] * f["tumour_radius"] * (1 + 1.3 * f["irregularity"] * np.clip(fine, -2, 2)) - r
    hole = np.minimum(hole, core - 1.5)
    necrosis = solid * coverage(hole, g.pixel + 1.0) * (f["necrosis"] > 0.15)
    band = f["rim"] * (1 + 0.35 * np.clip(coarse - fine, -2, 2)) - np.where(f["necrosis"] > 0.15, -hole, core)
    rim = solid * coverage(np.maximum(band, 2.0 - np.abs(core - 1.5)), g.pixel + 1.0)
    reach = core + f["edema"] * (1 + 0.75 * np.clip(coarse, -1.5, 1.5))
    return Glioma(within * coverage(reach, g.pixel + 3.0), solid, rim, necrosis)


def leukoaraiosis(f, ventricle, coarse):
    """Coverage by white matter lesions: caps and bands along the ventricles and patches beyond (Fazekas 1987).

    ventricle: distance inside the ventricles [mm]. coarse: unit-variance random field.
    """
    load = np.maximum(f["leukoaraiosis"] * (0.3 + 0.7 * f["atrophy"]), 0)
    band = coverage(1.0 + 9 * load * (1 + 0.7 * coarse) + ventricle, 4.0)
    return np.clip(load * 2.5, 0, 1) * 0.9 * band
