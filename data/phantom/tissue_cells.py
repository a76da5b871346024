"""Nuclei and borders of the cells of the tissue phantom on the pixel grid."""

import numpy as np

from data.phantom.tissue_stamp import stamp

RIM = 1.3  # um over which the chromatin at the membrane passes into the inside
SPOT = 0.9  # um, deviation of a nucleolus
NARROW = 0.28  # deviation of a cell's weight over the distance between cells


def nuclear(nuclei, field, size):
    """(share of nucleus, haematoxylin, haematoxylin that the chromatin's grain may move), each [n, size, size].

    field: width of each image, um [n]. Shares are in 0..1, haematoxylin in optical density. Where nuclei overlap
    their densities add, as those of cells above each other in a section do.
    """

    def draw(chosen, dx, dy, pixel):
        return _nucleus(nuclei.of(chosen), dx, dy, pixel)

    share, dense, moved = stamp(nuclei, nuclei.length * (1 + 2 * nuclei.bent), field, size, 3, draw)
    return np.minimum(share, 1), dense, moved


def borders(nuclei, field, size):
    """How much a pixel lies between epithelial cells and not within one, [n, size, size] in 0..1.

    The cells are those of a Voronoi diagram of the nuclei with soft borders: with weights w = exp(-d^2 / 2 s^2)
    the sum of squares over the square of the sum is 1 within a cell and 1/2 midway between two.
    """
    cells = nuclei.of(np.flatnonzero(nuclei.apart > 0))

    def draw(chosen, dx, dy, pixel):
        weight = np.exp(-0.5 * (dx * dx + dy * dy) / (NARROW * cells.apart[chosen, None, None]) ** 2)
        return weight, weight * weight

    total, squares = stamp(cells, 1.5 * cells.apart, field, size, 2, draw)
    return np.clip(2 * (1 - squares / np.maximum(total**2, 1e-6)), 0, 1) * (total > 1e-3)


def _nucleus(k, dx, dy, pixel):
    """The three layers of `nuclear` around some nuclei `k`, each [m, p, p]; dx, dy: um from the centre."""
    k = k.of((slice(None), None, None))
    along, across = dx * np.cos(k.angle) + dy * np.sin(k.angle), dy * np.cos(k.angle) - dx * np.sin(k.angle)
    p, q = along / k.length, across / k.width
    squared = p * p + q * q + 1e-6
    rho = np.sqrt(squared)
    second, third = (p * p - q * q) / squared, (p * p - 3 * q * q) * p / (squared * rho)  # cosines on the ellipse
    outline = 1 + k.bent * (third * np.cos(k.phase) + second * np.sin(k.phase))
    slope = np.sqrt((p / k.length) ** 2 + (q / k.width) ** 2) / rho + 1e-6
    depth = (outline - rho) / slope
    share = np.clip(depth / pixel + 0.5, 0, 1)
    chromatin = share * k.dark * (1 - k.pale * np.clip(depth / RIM, 0, 1))
    right, down = 0.35 * k.length * np.cos(2 * k.phase), 0.35 * k.width * np.sin(2 * k.phase)
    spot = k.nucleolus * np.exp(-0.5 * ((along - right) ** 2 + (across - down) ** 2) / SPOT**2)
    return share, chromatin + share * spot, chromatin * k.clump
