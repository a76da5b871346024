"""What disease adds: a glioma with necrosis, rim, edema and mass effect; white matter lesions of old age."""

from dataclasses import dataclass

import numpy as np

from data.phantom.mri_head import CENTRE_Y, HALF_LENGTH, HALF_WIDTH, section
from data.phantom.raster import coverage


@dataclass
class Glioma:
    """Coverage of its parts, each [k]; all zero without a tumour."""

    edema: np.ndarray
    solid: np.ndarray  # the whole tumour without edema: necrosis and rim lie within
    rim: np.ndarray  # takes up contrast agent
    necrosis: np.ndarray


def add_centre(f):
    """Adds the tumour's centre, tumour_x and tumour_y [mm], to the factors."""
    scale = section(f["slice_level"])
    f["tumour_y"] = CENTRE_Y + f["tumour_front"] * (HALF_LENGTH * scale - 12)
    f["tumour_x"] = f["tumour_side"] * f["tumour_out"] * HALF_WIDTH * scale * np.sqrt(1 - f["tumour_front"] ** 2)


def displaced(f, x, y):
    """Where the tissue at (x, y) [mm] lay before the tumour grew: what is beside it was pushed outward."""
    dx, dy = x - f["tumour_x"], y - f["tumour_y"]
    r2 = (dx * dx + dy * dy) / (1.7 * f["tumour_radius"]) ** 2
    push = f["tumour"] * f["mass_effect"] * np.exp(-0.5 * r2)
    return x - push * dx, y - push * dy


def glioma(f, g, hull, coarse, fine):
    """The Glioma at each pixel; coarse, fine: unit-variance random fields that shape its outlines."""
    if not f["tumour"]:
        return Glioma(*np.zeros((4, *g.x.shape)))
    aspect = np.sqrt(f["tumour_aspect"])
    dx, dy = (g.x - f["tumour_x"]) * aspect, (g.y - f["tumour_y"]) / aspect
    r = np.sqrt(dx * dx + dy * dy)
    uneven, fine = f["irregularity"] * np.clip(0.75 * coarse + 0.45 * fine, -2, 2), np.clip(fine, -2, 2)
    core = f["tumour_radius"] * (1 + uneven) - r
    within = coverage(hull.depth - 1.0, g.pixel)  # the dura stops it
    solid = within * coverage(core, g.pixel)
    hole = f["necrosis"] * f["tumour_radius"] * (1 + 1.3 * f["irregularity"] * fine) - r
    hole = np.minimum(hole, core - 1.5)
    band = f["rim"] * (1 + 0.5 * fine) + (hole if f["necrosis"] else -core)
    reach = core + f["edema"] * (1 + 0.75 * np.clip(coarse, -1.5, 1.5))
    return Glioma(
        edema=within * coverage(reach, g.pixel + 3.0),
        solid=solid,
        rim=solid * coverage(np.maximum(band, 0.5 - core), g.pixel + 1.0),
        necrosis=solid * coverage(hole, g.pixel + 1.0) * (f["necrosis"] > 0),
    )


def leukoaraiosis(f, ventricle, coarse):
    """Coverage by white matter lesions: caps and bands along the ventricles and patches beyond (Fazekas 1987).

    ventricle: distance inside the ventricles [mm]. coarse: unit-variance random field.
    """
    load = np.maximum(f["leukoaraiosis"] * (0.3 + 0.7 * f["atrophy"]), 0)
    band = coverage(1.0 + 4.5 * load * (1 + 0.7 * coarse) + ventricle, 4.0)
    return np.clip(load * 2.5, 0, 1) * 0.9 * band
