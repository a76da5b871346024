"""The head in three dimensions and the slice through it: frame of the pixels, brain outline, skull and scalp.

Arrays are [n, h, w]; factors [n, 1, 1]; lengths millimetres in the frame of mri_factors.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom.raster import coverage

HALF_WIDTH, HALF_LENGTH, CENTRE_Y = 67.0, 85.0, -17.0  # of the brain, where it is widest
WIDEST, CROWN = 8.0, 75.0  # levels z of the widest section and of the top of the brain


@dataclass
class Grid:
    """Pixel centres in the head's frame."""

    x: np.ndarray  # [n, h, w] mm
    y: np.ndarray  # [n, h, w] mm
    z: np.ndarray  # [n, h, w] mm
    pixel: np.ndarray  # [n, 1, 1] mm, width of a pixel
    area: np.ndarray  # [n, 1, 1] cm^2 of the subject, of a pixel

    @classmethod
    def view(cls, f, u, v):
        """Field of view of one examination: shift, rotation, oblique slice, size of the head."""
        px, py = u * f["view"] - f["shift_x"], -v * f["view"] - f["shift_y"]
        cosine, sine = np.cos(f["rotation"]), np.sin(f["rotation"])
        x = (cosine * px + sine * py) / f["head_width"]
        y = (cosine * py - sine * px) / f["head_length"] + CENTRE_Y
        z = f["slice_level"] + f["pitch"] * (y - CENTRE_Y) + f["roll"] * x
        side = 2 * f["view"] / u.shape[-1]
        return cls(x, y, z, side / np.sqrt(f["head_width"] * f["head_length"]), (side / 10) ** 2)


@dataclass
class Outline:
    """The smooth hull of the brain at each pixel's level."""

    across: np.ndarray  # x over the half-width of the section
    along: np.ndarray  # y from the centre over its half-length
    scale: np.ndarray  # size of the section over the widest one
    depth: np.ndarray  # mm inside the hull, negative outside
    slope: np.ndarray  # length along the slice that crosses 1 mm of a layer: oblique near the crown


def outline(f, g, x, y):
    """The Outline at points (x, y) of the grid's slice: a boxy egg that closes towards the crown."""
    t = np.clip((g.z - WIDEST) / (CROWN - WIDEST), 0, 0.97)
    scale = np.sqrt(1 - t * t * np.sqrt(t))
    along = (y - CENTRE_Y) / (HALF_LENGTH * scale)
    across = x / (HALF_WIDTH * scale * (1 - f["head_egg"] * np.clip(along, -1.3, 1.3)))
    a2, l2 = across * across, along * along
    q = np.sqrt(np.sqrt(a2 * a2 + l2 * l2 + f["head_box"] * a2 * l2) + 1e-6)
    gradient = np.sqrt(a2 / HALF_WIDTH**2 + l2 / HALF_LENGTH**2 + 1e-10) / scale
    slope = 1 / np.sqrt(1 - 0.6 * t * t)
    return Outline(across, along, scale, (1 - q) * q / gradient, slope)


def layers(f, g, hull):
    """Layers from the skin to the fluid around the brain, outermost first: [(tissue, coverage [n, h, w])]."""
    out = -hull.depth / hull.slope
    temple = np.exp(-(((g.y - 12) / 26) ** 2) - (np.maximum(g.z, 0) / 26) ** 2) * np.clip(hull.across**2, 0, 1)
    thin = 1 - 0.45 * np.clip(temple, 0, 1)  # the squama of the temporal bone has no diploe
    vault = f["skull"] * thin * (1 + 0.2 * np.clip(hull.along, -1, 1) ** 2)
    inner = gap(f)
    ends = np.cumsum(np.stack([inner + 0 * vault, vault, f["muscle"] * temple, f["scalp"] + 0 * vault]), 0)
    half = 0.5 * f["marrow"] * vault * np.clip(2.6 * thin - 1.4, 0, 1)
    diploe = half - np.abs(out - inner - 0.5 * vault)

    def within(edge):
        return coverage(edge - out, g.pixel)

    return [
        ("skin", within(ends[3] + f["skin"])),
        ("fat", within(ends[3])),
        ("muscle_tissue", within(ends[2])),
        ("bone", within(ends[1])),
        ("marrow_tissue", coverage(diploe, g.pixel)),
        ("csf", within(ends[0])),
    ]


def gap(f):
    """Fluid between brain and skull [mm], [n, 1, 1]: it widens as the brain shrinks."""
    return 1.0 + 2.6 * f["atrophy"] ** 2


def sinus(f, g):
    """Coverage by the superior sagittal sinus, which runs along the midline of the vault; seen behind."""
    shrink = np.sqrt(1 - np.clip((g.z - WIDEST) / (CROWN - WIDEST), 0, 0.97) ** 2.5)
    y = CENTRE_Y - HALF_LENGTH * shrink - gap(f)
    radius = 4.0 - np.hypot(1.25 * g.x, 0.8 * (g.y - y))
    return coverage(radius, g.pixel)
