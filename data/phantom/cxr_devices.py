"""What lies on a chest radiograph besides the patient: side markers, annotations, ECG leads, the shutter."""

import numpy as np

from data.phantom.raster import coverage, splat

GLYPHS = np.array([  # strokes (x0, y0, x1, y1) in a unit square; unused strokes have no length
    [(0, 0, 0, 1), (0, 1, 0.7, 1), (0, 1, 0, 1), (0, 1, 0, 1), (0, 1, 0, 1)],  # L
    [(0, 0, 0, 1), (0, 0, 0.6, 0.05), (0.6, 0.05, 0.6, 0.45), (0.6, 0.45, 0, 0.5), (0.2, 0.5, 0.7, 1)],  # R
], np.float32)
TEXT = 8  # strokes of a line of annotation, too small to read at these resolutions
WIRES = 3
DRAWS = 12 * WIRES + 2 * TEXT  # uniform numbers an example needs


def _strokes(x0, y0, x1, y1, weight, size, steps):
    """Splats straight strokes [n, k] given in unit image coordinates; weight [n, k] is mass per unit length."""
    t = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    x, y = (a[..., None] + (b - a)[..., None] * t for a, b in ((x0, x1), (y0, y1)))
    mass = np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2) * weight * size / steps
    n = len(x)
    mass = np.broadcast_to(mass[..., None], x.shape).reshape(n, -1)
    return splat(x.reshape(n, -1) * size - 0.5, y.reshape(n, -1) * size - 0.5, mass, size)


def marker(f, uniform, size):
    """Lead side marker and a line of annotation: attenuation [n, size, size], dimensionless."""
    left = f["marker_left"][:, :, 0] > 0
    edge = f["marker_x"][:, :, 0]
    x = np.where(left, 0.5 + 0.5 * edge, 0.5 - 0.5 * edge)
    y = f["marker_y"][:, :, 0]
    glyph = np.where(left[:, :, None], GLYPHS[0], GLYPHS[1])
    scale = 0.032 * (0.8 + 0.5 * uniform[:, :1])
    gx, gy = x[..., None] + scale[..., None] * (glyph[:, :, 0::2] - 0.35), y[..., None] + scale[..., None] * glyph[:, :, 1::2]
    on = f["marker"][:, :, 0] * np.ones(5, np.float32)
    thick = 0.012 * size  # stroke width in pixels; the mass is spread over it by the pixel's own width
    letter = _strokes(gx[:, :, 0], gy[:, :, 0], gx[:, :, 1], gy[:, :, 1], 2.2 * on * thick, size, max(6, size // 10))
    start = x - 0.03 + 0.009 * np.arange(TEXT, dtype=np.float32) + 0.002 * uniform[:, :TEXT]
    row = y + scale * 1.5
    on = f["annotation"][:, :, 0] * (uniform[:, TEXT : 2 * TEXT] > 0.15)
    text = _strokes(start, row + 0 * start, start, row + 0.014 + 0 * start, 0.9 * on * thick, size, max(3, size // 24))
    return letter + text


def leads(f, uniform, size, steps=96):
    """ECG wires, each with its electrode: attenuation [n, size, size]."""
    u = uniform.reshape(-1, WIRES, 12)
    t = np.linspace(0, 1, steps + 1, dtype=np.float32)[None, None]
    side = np.array([-1, 1, 1], np.float32)[None, :, None]
    x0 = 0.5 + side * (0.12 + 0.25 * u[:, :, 0:1])
    y0 = np.array([0.2, 0.2, 0.75], np.float32)[None, :, None] + 0.15 * u[:, :, 1:2]
    x1 = 0.5 + side * (0.1 + 0.5 * u[:, :, 2:3])
    y1 = np.where(u[:, :, 3:4] > 0.5, 1.05, -0.05)
    bow = 0.5 * (u[:, :, 4:5] - 0.5)
    arch = 4 * t * (1 - t) * bow + 0.05 * np.sin(6.28 * (t + u[:, :, 5:6])) * (u[:, :, 6:7] - 0.5)
    x, y = x0 + (x1 - x0) * t + arch, y0 + (y1 - y0) * t
    on = f["leads"] * (u[:, :, 7:8] > 0.25)
    weight = np.broadcast_to(0.006 * size * (0.2 + 0.4 * u[:, :, 8:9]) * on, x[:, :, 1:].shape)
    flat = [a.reshape(len(a), -1) for a in (x[:, :, :-1], y[:, :, :-1], x[:, :, 1:], y[:, :, 1:], weight)]
    wire = _strokes(*flat, size, max(1, size // 64))
    ring = np.linspace(0, 6.2832, 13, dtype=np.float32)
    rx, ry = x0 + 0.009 * np.cos(ring), y0 + 0.009 * np.sin(ring)
    weight = np.broadcast_to(0.012 * size * 0.5 * on, rx[:, :, 1:].shape)
    flat = [a.reshape(len(a), -1) for a in (rx[:, :, :-1], ry[:, :, :-1], rx[:, :, 1:], ry[:, :, 1:], weight)]
    return wire + _strokes(*flat, size, max(2, size // 32))


def shutter(f, u, v, uniform):
    """Where the collimator lets the beam through, coverage [n, h, w]; all ones without a shutter."""
    c, s = u + f["shutter_tilt"] * v, v - f["shutter_tilt"] * u
    far = np.where(f["collimated"] > 0, 0.0, 9.0)
    open_, width = 1.0, 2.0 / u.shape[-1]
    for k, (coordinate, sign) in enumerate(((c, 1), (c, -1), (s, 1), (s, -1))):
        inset = np.maximum(uniform[:, k, None, None] * 0.5 - 0.28, -0.1) * (0.9 if k < 2 else 0.7)
        open_ = open_ * coverage(1 - inset + far - sign * coordinate, width)
    return open_
