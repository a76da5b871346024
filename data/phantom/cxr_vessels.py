"""Pulmonary vessels of the chest radiograph phantom: branching trees from the hila, thinning at every fork.

Radii follow Murray's law (r^3 is conserved at a fork: children 2^(-1/3) = 0.79 of the parent, here a little
less because the unresolved side branches take their share).
"""

import numpy as np

from data.phantom.raster import half_disc, splat

ROOTS = np.array([-1.25, -0.75, -0.25, 0.2, 0.65, 1.1, 1.4])  # angle below the lateral axis [rad]
GENERATIONS = 4
COMPANIONS = 2.0  # artery, vein and bronchial wall run together and overlap in projection
SEGMENTS = len(ROOTS) * (2**GENERATIONS - 1)
DRAWS = 2 * SEGMENTS * 3  # uniform numbers an example needs: both sides, three a segment


def hilum(f, side):
    """Centre of a hilum (x, y) cm, [n, 1]: the left one lies higher by about 1 cm."""
    x = side * (3.4 + 0.05 * f["thorax_halfwidth"]) + 0.25 * f["turn"]
    y = 0.47 * f["lung_height"] - (0.9 if side > 0 else 0.0)
    return x[:, :, 0], y[:, :, 0]


def tree(f, uniform, side):
    """Segments of one lung: start x and y, step x and y, bend and radius, each [n, SEGMENTS] cm."""
    n = len(uniform)
    u = 2 * uniform.reshape(n, SEGMENTS, 3) - 1
    x0, y0 = hilum(f, side)
    scale = (f["lung_height"] / 20)[:, :, 0]
    angle, x, y = ROOTS[None] + 0.25 * u[:, : len(ROOTS), 0], x0 + 0 * ROOTS, y0 + 2.2 * ROOTS * scale
    length, radius, first, parts = 3.4, 0.46, 0, []
    for _ in range(GENERATIONS):
        draw = u[:, first : first + angle.shape[1]]
        reach = length * scale * (1 + 0.35 * draw[:, :, 1])
        dx, dy = side * np.cos(angle) * reach, np.sin(angle) * reach
        thick = radius * f["hilum_size"][:, :, 0] * (1 + 0.3 * draw[:, :, 2])
        parts.append((x, y, dx, dy, 0.25 * draw[:, :, 2] * reach, thick))
        first += angle.shape[1]
        fork = 0.38 * (1 + 0.5 * draw[:, :, 1])
        angle = np.concatenate([angle + fork, angle - fork], 1)
        x, y = np.tile(x + dx, 2), np.tile(y + dy, 2)
        length, radius = length * 0.82, radius * 0.7
    return [np.concatenate(p, 1) for p in zip(*parts, strict=True)]


def vessels(f, g, uniform):
    """Blood along each ray in cm, [n, h, w], as if all the lung were aerated; uniform: [n, DRAWS]."""
    n, size = len(uniform), g.x.shape[-1]
    sides = [tree(f, part, side) for part, side in zip(np.split(uniform, 2, axis=1), (-1, 1), strict=True)]
    x, y, dx, dy, bend, radius = (np.concatenate(pair, 1)[:, :, None] for pair in zip(*sides, strict=True))
    steps = max(6, size // 8)
    t = (np.arange(steps) + 0.5) / steps
    length = np.sqrt(dx * dx + dy * dy) + 1e-3
    # A wide vessel spans several pixels: its blood runs in parallel lanes across the tube.
    lanes = np.array([-0.5, 0.5] if size <= 64 else [-0.8, -0.4, 0.0, 0.4, 0.8])
    offset = (4 * t * (1 - t) * bend)[..., None] + radius[..., None] * lanes
    px = (x + dx * t)[..., None] - (dy / length)[..., None] * offset
    py = (y + dy * t)[..., None] + (dx / length)[..., None] * offset
    mass = COMPANIONS * np.pi * radius**2 * length / (steps * len(lanes)) / g.area
    mass = np.broadcast_to(mass[..., None], px.shape)
    return splat(*g.locate(f, px.reshape(n, -1), py.reshape(n, -1)), mass.reshape(n, -1), size)


def hila(f, g):
    """Soft tissue of the hilar roots in cm, [n, h, w]: elongated, with a soft outline."""
    total = 0.0
    for side in (-1, 1):
        x0, y0 = (c[:, :, None] for c in hilum(f, side))
        r2 = ((g.x - x0 + 0.6 * side) / 2.3) ** 2 + ((g.y - y0) / 3.4) ** 2
        total = total + half_disc(r2) ** 2
    return 4.0 * f["hilum_size"] * total
