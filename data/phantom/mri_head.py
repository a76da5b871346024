"""The head in three dimensions and the slice through it: frame of the pixels, brain outline, skull and scalp.

Arrays are [h, w], or [k] for a list of pixels; lengths are millimetres in the frame of mri_factors.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import raster
from data.phantom.raster import coverage

HALF_WIDTH, HALF_LENGTH, CENTRE_Y = 67.0, 85.0, -17.0  # of the brain, where it is widest
WIDEST, CROWN = 8.0, 75.0  # levels z of the widest section and of the top of the brain


@dataclass
class Grid:
    """Pixel centres in the head's frame."""

    x: np.ndarray  # [...] mm
    y: np.ndarray  # [...] mm
    z: np.ndarray  # [...] mm
    pixel: float  # mm, width of a pixel

    @classmethod
    def view(cls, f, size):
        """Field of view of one examination: shift, rotation, oblique slice, size of the head."""
        u, v = (a[0] for a in raster.unit_grid(size))
        px, py = u * f["view"] - f["shift_x"], -v * f["view"] - f["shift_y"]
        cosine, sine = np.cos(f["rotation"]), np.sin(f["rotation"])
        x = (cosine * px + sine * py) / f["head_width"]
        y = (cosine * py - sine * px) / f["head_length"]
        z = f["slice_level"] + f["pitch"] * y + f["roll"] * x
        return cls(x, y + CENTRE_Y, z, 2 * f["view"] / size / np.sqrt(f["head_width"] * f["head_length"]))

    def take(self, where):
        """The pixels of a list of flat indices."""
        return Grid(*(a.ravel()[where] for a in (self.x, self.y, self.z)), self.pixel)


@dataclass
class Outline:
    """The smooth hull of the brain at each pixel's level."""

    across: np.ndarray  # x over the half-width of the section
    along: np.ndarray  # y from the centre over its half-length
    scale: np.ndarray  # size of the section over the widest one
    depth: np.ndarray  # mm inside the hull, negative outside

    def take(self, where):
        """The pixels of a list of flat indices."""
        return Outline(*(a.ravel()[where] for a in (self.across, self.along, self.scale, self.depth)))


def section(z):
    """Size of the section at level z [mm] over the widest one: the hull closes towards the crown."""
    t = np.clip((z - WIDEST) / (CROWN - WIDEST), 0, 0.97)
    return np.sqrt(1 - t * t * np.sqrt(t))


def outline(f, g, x, y):
    """The Outline at points (x, y) of the grid's slice: a boxy egg."""
    scale = section(g.z)
    along = (y - CENTRE_Y) / (HALF_LENGTH * scale)
    across = x / (HALF_WIDTH * scale * (1 - f["head_egg"] * np.clip(along, -1.3, 1.3)))
    a2, l2 = across * across, along * along
    q = np.sqrt(np.sqrt(a2 * a2 + l2 * l2 + f["head_box"] * a2 * l2) + 1e-6)
    gradient = np.sqrt(a2 / HALF_WIDTH**2 + l2 / HALF_LENGTH**2 + 1e-10) / scale
    return Outline(across, along, scale, (1 - q) * q / gradient)


def layers(f, g, hull, uneven):
    """Layers from the skin to the fluid around the brain, outermost first: [(tissue, coverage [h, w])].

    uneven: unit-variance random field by which bone and fat vary.
    """
    out = -hull.depth * np.sqrt(hull.scale)  # layers look thicker where the slice cuts them obliquely
    temple = np.exp(-(((g.y - 12) / 26) ** 2) - (np.maximum(g.z, 0) / 26) ** 2) * np.minimum(hull.across**2, 1)
    thin = 1 - 0.45 * temple  # the squama of the temporal bone has no diploe
    vault = f["skull"] * thin * (1 + 0.2 * np.minimum(hull.along**2, 1) + 0.12 * uneven)
    marrow = 0.5 * f["marrow"] * vault * np.maximum(2.6 * thin - 1.6, 0) - np.abs(out - gap(f) - 0.5 * vault)
    skull = gap(f) + vault
    muscle = skull + f["muscle"] * temple
    fat = muscle + f["scalp"] * (1 - 0.25 * np.clip(uneven, -2, 2))
    return [
        ("skin", coverage(fat + f["skin"] - out, g.pixel)),
        ("fat", coverage(fat - out, g.pixel)),
        ("muscle_tissue", coverage(muscle - out, g.pixel)),
        ("bone", coverage(skull - out, g.pixel)),
        ("marrow_tissue", coverage(marrow, g.pixel)),
        ("csf", coverage(gap(f) - out, g.pixel)),
        ("blood", sinus(f, g)),
    ]


def gap(f):
    """Fluid between brain and skull [mm]: it widens as the brain shrinks."""
    return 1.0 + 2.6 * f["atrophy"] ** 2


def sinus(f, g):
    """Coverage by the superior sagittal sinus behind the brain, in the midline."""
    y = CENTRE_Y - HALF_LENGTH * section(f["slice_level"] - 80 * f["pitch"]) - gap(f)
    dx, dy = 1.25 * g.x, 0.8 * (g.y - y)
    return coverage(4.0 - np.sqrt(dx * dx + dy * dy), g.pixel)
