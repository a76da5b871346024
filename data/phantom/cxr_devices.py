"""What a chest radiograph shows besides the patient: side marker, annotation, ECG leads, the shutter."""

import numpy as np

from data.phantom import cxr_anatomy as anatomy
from data.phantom.raster import coverage, splat

GLYPHS = np.array([  # strokes (x0, y0, x1, y1) in a unit square; unused strokes have no length
    [(0, 0, 0, 1), (0, 1, 0.7, 1), (0, 1, 0, 1), (0, 1, 0, 1), (0, 1, 0, 1)],  # L
    [(0, 0, 0, 1), (0, 0, 0.6, 0.05), (0.6, 0.05, 0.6, 0.45), (0.6, 0.45, 0, 0.5), (0.2, 0.5, 0.7, 1)],  # R
])  # fmt: skip
TEXT = 8  # strokes of a line of annotation, too small to read at these resolutions
WIRES = 3
DRAWS = 12 * WIRES + 2 * TEXT  # uniform numbers an example needs


def _strokes(ends, weight, size, steps):
    """Splats straight strokes: [n, size, size].

    ends: x0, y0, x1, y1, each [n, ...] in unit image coordinates. weight: attenuation times width in pixels.
    """
    n = len(ends[0])
    x0, y0, x1, y1, weight = (np.broadcast_to(a, ends[2].shape).reshape(n, -1, 1) for a in (*ends, weight))
    t = (np.arange(steps) + 0.5) / steps
    x, y = (((a + (b - a) * t) * size - 0.5).reshape(n, -1) for a, b in ((x0, x1), (y0, y1)))
    mass = np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2) * weight * size / steps
    return splat(x, y, np.broadcast_to(mass, mass.shape[:2] + (steps,)).reshape(n, -1), size)


def devices(f, uniform, size):
    """Attenuation of everything that lies on the patient, [n, size, size]; uniform: [n, DRAWS]."""
    total = marker(f, uniform[:, 12 * WIRES :], size)
    worn = np.flatnonzero(f["leads"])
    if len(worn):
        total[worn] += leads(uniform[worn, : 12 * WIRES], size)
    return total


def marker(f, uniform, size):
    """Lead side marker and a line of annotation under it."""
    names = ("marker_left", "marker_x", "marker_y", "marker", "annotation")
    left, edge, y, on, text_on = (f[k][:, :, 0] for k in names)
    x = np.where(left > 0, 0.5 + 0.5 * edge, 0.5 - 0.5 * edge)
    glyph = np.where(left[:, :, None] > 0, GLYPHS[0], GLYPHS[1])
    scale = 0.032 * (0.8 + 0.5 * uniform[:, :1])
    gx = x[..., None] + scale[..., None] * (glyph[:, :, 0::2] - 0.35)
    gy = y[..., None] + scale[..., None] * glyph[:, :, 1::2]
    thick = 0.012 * size  # stroke width in pixels
    ends = (gx[:, :, 0], gy[:, :, 0], gx[:, :, 1], gy[:, :, 1])
    letter = _strokes(ends, 2.2 * on * thick, size, max(6, size // 10))
    start = x - 0.03 + 0.009 * np.arange(TEXT) + 0.002 * uniform[:, :TEXT]
    row = y + scale * 1.5 + 0 * start
    ink = text_on * (uniform[:, TEXT : 2 * TEXT] > 0.15)
    return letter + _strokes((start, row, start, row + 0.014), 0.9 * ink * thick, size, max(3, size // 24))


def leads(uniform, size, steps=96):
    """ECG wires from the chest to an edge of the image, each with a ring electrode: [n, size, size]."""
    u = uniform.reshape(-1, WIRES, 12)
    side = np.array([-1.0, 1.0, 1.0])[None, :, None]
    x0 = 0.5 + side * (0.12 + 0.25 * u[:, :, 0:1])
    y0 = np.array([0.2, 0.2, 0.75])[None, :, None] + 0.15 * u[:, :, 1:2]
    x1 = 0.5 + side * (0.1 + 0.5 * u[:, :, 2:3])
    y1 = np.where(u[:, :, 3:4] > 0.5, 1.05, -0.05)
    t = np.linspace(0, 1, steps + 1)
    arch = 2 * t * (1 - t) * (u[:, :, 4:5] - 0.5)
    arch = arch + 0.05 * np.sin(6.28 * (t + u[:, :, 5:6])) * (u[:, :, 6:7] - 0.5)
    x, y = x0 + (x1 - x0) * t + arch, y0 + (y1 - y0) * t
    worn = u[:, :, 7:8] > 0.25
    weight = 0.006 * size * (0.2 + 0.4 * u[:, :, 8:9]) * worn
    wire = _strokes((x[..., :-1], y[..., :-1], x[..., 1:], y[..., 1:]), weight, size, max(1, size // 64))
    angle = np.linspace(0, 6.2832, 13)
    x, y = x[..., :1] + 0.009 * np.cos(angle), y[..., :1] + 0.009 * np.sin(angle)
    ends = (x[..., :-1], y[..., :-1], x[..., 1:], y[..., 1:])
    return wire + _strokes(ends, 0.006 * size * worn, size, max(2, size // 32))


def shutter(f, u, v, uniform):
    """Where the collimator lets the beam through, coverage [n, h, w]; all ones without a shutter.

    It never crops the lungs: their outline in the image bounds how far each blade comes in.
    """
    half_x, half_y, _ = anatomy.field(f)
    bottom = 2 * half_y - f["view_top"] - f["lung_height"] - f["dome_drop"] - f["angle_depth"] - 1.0
    room = (half_x - f["thorax_halfwidth"] - 3.0) / half_x
    limits = (room, room, (f["view_top"] - 1.0) / half_y, bottom / half_y)
    across, down = u + f["shutter_tilt"] * v, v - f["shutter_tilt"] * u
    open_, width = 1.0, 2.0 / u.shape[-1]
    for k, edge in enumerate((across, -across, -down, down)):
        inset = np.minimum(uniform[:, k, None, None] * 0.5 - 0.28, np.maximum(limits[k], -0.1))
        inset = np.where(f["collimated"] > 0, np.maximum(inset, -0.1), -9.0)
        open_ = open_ * coverage(1 - inset - edge, width)
    return open_
