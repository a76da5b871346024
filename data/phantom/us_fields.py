"""Random fields of the ultrasound phantom, smooth or in lobules, and sampling. All float64."""

import functools

import numpy as np

KNOTS = 32  # of the white noise that a field is made from, along each axis
CELLS = 32  # of the lattice of lobules, along each axis; a power of two


def weights(at, grain):
    """Gaussian interpolation [len(at), used knots] between knots `grain` apart; at: cm, ascending.

    Rows have unit length, so that white noise at the knots becomes a field of unit variance.
    """
    used = int((at[-1] - at[0]) / grain) + 5
    place = at[0] + (np.arange(used) - 2) * grain
    w = np.exp(-0.5 * ((at[:, None] - place) / (0.65 * grain)) ** 2)
    return w / np.sqrt((w * w).sum(1, keepdims=True))


def smooth(noise, z, x, grain):
    """Field of unit variance [len(z), len(x)].

    noise: white, with at least the knots needed. z, x: cm. grain: (along z, along x) cm, the knots' distance.
    """
    down, across = weights(z, grain[0]), weights(x, grain[1])
    return down @ noise[: down.shape[1], : across.shape[1]] @ across.T


def line(noise, x, grain):
    """The same along one axis: [len(x)] from noise [knots]."""
    across = weights(x, grain)
    return across @ noise[: across.shape[1]]


def bent(field, rows):
    """The field with its content moved down by `rows` [z, x], in samples; ends are repeated."""
    height, width = field.shape
    index = np.arange(height, dtype=np.int32)[:, None] - np.rint(rows).astype(np.int32)
    return field.ravel()[np.clip(index, 0, height - 1) * width + np.arange(width, dtype=np.int32)]


@functools.lru_cache(maxsize=32)
def resampling(samples, size):
    """Linear interpolation from `samples` points to `size`, or their average weighted by a tent, [size, samples].

    Both sets of points are the centres of equal parts of the same length.
    """
    ratio = samples / size
    at = (np.arange(size) + 0.5) * ratio - 0.5
    at = np.clip(at, 0, samples - 1) if ratio < 1 else at
    tent = np.maximum(1 - np.abs(at[:, None] - np.arange(samples)) / max(ratio, 1), 0)
    return tent / tent.sum(1, keepdims=True)


def lobules(u, v, jitter):
    """Voronoi cells of a jittered lattice, as fat lobules are: (distance to the nearest border, cell's level).

    u, v: coordinates in units of a cell, [z, x]. jitter: uniform [3, CELLS, CELLS]; the pattern repeats after CELLS.
    The distance is the difference of those to the two nearest centres, in cells; the level is uniform in (-1, 1).
    """
    i, j = np.floor(v), np.floor(u)
    u, v = u - j, v - i
    i, j = i.astype(np.int32), j.astype(np.int32)
    du, dv, level = (2 * a.ravel() - 1 for a in jitter)
    first = np.full(u.shape, 9.0)
    second, nearest = first, np.zeros_like(i)
    for down in range(3):
        row = (i + down & CELLS - 1) * CELLS
        for right in range(3):
            cell = row + (j + right & CELLS - 1)
            across, along = u - (right - 0.5) - 0.42 * du[cell], v - (down - 0.5) - 0.42 * dv[cell]
            distance = across * across + along * along
            second = np.minimum(second, np.maximum(distance, first))
            nearest = np.where(distance < first, cell, nearest)
            first = np.minimum(first, distance)
    return np.sqrt(second) - np.sqrt(first), level[nearest]
