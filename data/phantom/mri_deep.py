"""Inside the brain: ventricles as tubes in space, the deep gray nuclei as sheared ellipsoids.

Both hemispheres are mirror images up to the bend of the frame. Coordinates are of the MNI space, mm.
"""

import numpy as np

from data.phantom.raster import coverage

LATERAL = np.array([  # the lateral ventricle's axis: x, y, z and radius
    (14.5, 33, 3, 2.2), (8.0, 18, 10, 3.9), (7.0, 4, 19, 3.9), (11.5, -16, 24, 4.2), (23.0, -38, 13, 5.6),
    (24.5, -58, 7, 2.2),
])  # fmt: skip
TALL = 0.55  # its width over its height in cross-section: heights are shortened so, and the tube is round
LATERAL[:, 2] *= TALL
NUCLEI = {  # centre x, y, z, half-axes, shear dx/dy of the axis in the slice, share of gray matter
    "caudate": (14.5, 15, 6, 4.8, 10, 11, 0.25, 1.0),
    "putamen": (25.5, 2, 3, 5.2, 17, 11, -0.33, 0.95),
    "thalamus": (11.0, -18, 7, 8.0, 14.5, 11, -0.40, 0.7),
    "pallidum": (19.0, -3, 0, 4.2, 9, 8, -0.33, 0.9),
}


def lateral_ventricles(f, g, x, y):
    """Distance [mm] inside the lateral ventricles, [k], negative outside; a septum parts them."""
    ax, size = np.abs(x), f["ventricle_size"] * (1 + f["ventricle_side"] * np.sign(x))
    inside = -99.0
    for start, end in zip(LATERAL[:-1], LATERAL[1:], strict=True):
        inside = np.maximum(inside, _tube(ax, y, TALL * g.z, start, end, size))
    return np.minimum(inside, ax - 0.7)


def _tube(x, y, z, start, end, size):
    """Distance inside a tube between two points whose radius changes evenly, times `size`."""
    step = end[:3] - start[:3]
    along = ((x - start[0]) * step[0] + (y - start[1]) * step[1] + (z - start[2]) * step[2]) / (step @ step)
    along = np.clip(along, 0, 1)
    dx, dy, dz = x - start[0] - along * step[0], y - start[1] - along * step[1], z - start[2] - along * step[2]
    return size * (start[3] + along * (end[3] - start[3])) - np.sqrt(dx * dx + dy * dy + dz * dz)


def third_ventricle(f, g, x, y):
    """Distance [mm] inside the third ventricle, a slit between the thalami."""
    long = ((y + 11) / 14) ** 2 + (np.maximum(g.z + 2, 0) / 10) ** 2
    return 1.7 * f["ventricle_size"] * np.clip(1 - long, -3, 1) - np.abs(x)


def cistern(f, g, x, y):
    """Distance [mm] inside the fluid behind the thalami, below the splenium."""
    back = y + 36 - 0.03 * x * x
    return 3.0 + 2.5 * f["atrophy"] ** 2 - np.sqrt((0.55 * x) ** 2 + back**2 + np.maximum(g.z - 3, 0) ** 2)


def nucleus(g, x, y, name):
    """Share [k] of each pixel that a pair of nuclei of NUCLEI fills."""
    cx, cy, cz, rx, ry, rz, shear, gray = NUCLEI[name]
    dx, dy, dz = np.abs(x) - cx - shear * (y - cy), (y - cy) / ry, (g.z - cz) / rz
    q = np.sqrt(dx * dx / rx**2 + dy * dy + dz * dz)
    return gray * coverage((1 - q) * rx, g.pixel + 0.8)  # fibres run through their borders: soft edges


def plexus(f, g, x, y):
    """Coverage of the choroid plexus in the atria."""
    radius = 2.3 - np.sqrt((np.abs(x) - 23) ** 2 + (0.6 * (y + 37)) ** 2 + (0.5 * (g.z - 14)) ** 2)
    return f["plexus"] * coverage(radius, g.pixel)
