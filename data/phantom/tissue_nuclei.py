"""The nuclei of the tissue phantom: where they lie, how large, how elongated, how dark.

Cells of tumour, stroma and infiltrate lie on jittered hexagonal lattices, which crowd without piling up; those
of glands stand in a ring. All are kept in one flat list, as images differ in their number.
"""

from dataclasses import dataclass, fields

import numpy as np

from data.phantom.tissue_factors import DENSE_INFILTRATE, DENSE_STROMA, SCATTERED, TURN
from data.phantom.tissue_layout import GLANDS, Layout
from data.phantom.tissue_stroma import direction

RING = 56  # nuclei of one gland, at most
LATTICES = ((20, 18), (10, 9), (22, 19))  # rows, columns of tumour, stroma, infiltrate: enough for any field
MARGIN = 12.0  # um around the field in which cells lie that reach into it
NUMBERS = 9  # uniform numbers a cell needs
COUNTS = (GLANDS * RING, *(rows * columns for rows, columns in LATTICES))
DRAWS = NUMBERS * sum(COUNTS)  # uniform numbers an example needs


@dataclass
class Nuclei:
    """Flat arrays [m]; lengths in um."""

    image: np.ndarray  # which of the batch
    x: np.ndarray  # centre
    y: np.ndarray
    length: np.ndarray  # half axes
    width: np.ndarray
    angle: np.ndarray  # of the long axis, rad
    dark: np.ndarray  # haematoxylin at the rim, optical density
    pale: np.ndarray  # share of it that the inside lacks: vesicular chromatin
    clump: np.ndarray  # relative coarseness of the chromatin
    nucleolus: np.ndarray  # haematoxylin of the nucleolus, optical density
    bent: np.ndarray  # relative amplitude by which the outline leaves the ellipse
    phase: np.ndarray  # of that, rad
    apart: np.ndarray  # distance between the cells of an epithelium; 0: the cell shows no border

    def of(self, index):
        """Those of an index into each array."""
        return Nuclei(*(getattr(self, k.name)[index] for k in fields(self)))

    @property
    def radius(self):
        """Of the circle of the same area, um."""
        return np.sqrt(self.length * self.width)


@dataclass
class Cells:
    """The random numbers of candidates for one kind of nucleus, each [n, 1, k]."""

    u: np.ndarray  # uniform [NUMBERS, n, 1, k]
    layout: Layout

    @property
    def normal(self):
        """Of unit variance and bounded: triangular."""
        return 6**0.5 * (self.u[4] + self.u[5] - 1)

    def nuclei(self, there, x, y, angle, radius, ratio, **looks):
        """Those that are `there` and fit into the tissue, of this radius and ratio of axes; `looks`: other columns."""
        length, width = radius * np.sqrt(ratio), radius / np.sqrt(ratio)
        there = there & (self.layout.tissue(x, y) > length)
        looks["dark"] = looks["dark"] * (1 + 0.3 * (self.u[8] - 0.5))
        given = {"x": x, "y": y, "angle": angle, "length": length, "width": width, "phase": TURN * self.u[7]}
        columns = {k: np.broadcast_to(v, there.shape)[there] for k, v in (given | looks).items()}
        return Nuclei(image=np.nonzero(there)[0], **columns)


def place(f, layout: Layout, uniform):
    """All nuclei of a batch; uniform: [n, DRAWS]. Adds the derived factors to `f`."""
    draws = uniform.reshape(len(uniform), NUMBERS, 1, -1).swapaxes(0, 1)
    cells = [Cells(u, layout) for u in np.split(draws, np.cumsum(COUNTS)[:-1], axis=3)]
    kinds = (_epithelium, _tumour, _fibroblasts, _lymphocytes)
    parts = [kind(f, c) for kind, c in zip(kinds, cells, strict=True)]
    nuclei = Nuclei(*(np.concatenate([getattr(p, k.name) for p in parts]) for k in fields(Nuclei)))
    _measure(f, nuclei)
    return nuclei


def _epithelium(f, cells):
    """Rings in the basal half of the glands' cells, upright."""
    apart = 1.7 * f["epithelial_radius"] * f["epithelial_spacing"]
    places = zip(cells.layout.glands, np.split(cells.u, GLANDS, axis=3), strict=True)
    parts = [_ring(f, gland, u, apart) for gland, u in places]
    x, y, angle, there = (np.concatenate(p, axis=2) for p in zip(*parts, strict=True))
    return cells.nuclei(
        there, x, y, angle, f["epithelial_radius"] * (1 + 0.1 * cells.normal), 1.25 + 0.35 * cells.u[6],
        dark=f["haematoxylin"], pale=0.3, clump=0.2, nucleolus=0.1 * f["haematoxylin"], bent=0.05, apart=apart,
    )  # fmt: skip


def _ring(f, gland, u, apart):
    """x, y, angle and whether there is such a one, of RING places around a gland, `apart` um; each [n, 1, RING]."""
    number = np.minimum(np.floor(TURN * (gland.radius - 0.36 * f["gland_height"]) / apart), RING)
    k = np.arange(RING)
    angle = TURN * (k + 0.6 * (u[0] - 0.5)) / number
    turn = np.exp(1j * angle)
    away = gland.outline(turn) - f["gland_height"] * (0.30 + 0.16 * u[1])
    there = gland.present & (k < number)
    return gland.x + away * turn.real, gland.y + away * turn.imag, angle + 0.5 * (u[3] - 0.5), there


def _spacing(density):
    """Between neighbours of a hexagonal lattice, um, at so many a 1,000 um^2."""
    return (2000 / 3**0.5 / density) ** 0.5


def _lattice(cells, shape, spacing, jitter=0.5):
    """Points (x, y) of a jittered hexagonal lattice around the centre, [n, 1, rows * columns]."""
    rows, columns = shape
    i, j = (a.ravel().astype(float) for a in np.mgrid[:rows, :columns])
    x = j - (columns - 1.5) / 2 - 0.5 * (i % 2) + jitter * (cells.u[0] - 0.5)
    y = (i - (rows - 1) / 2) * 0.75**0.5 + jitter * (cells.u[1] - 0.5)
    return spacing * x, spacing * y


def _tumour(f, cells):
    """Crowded, large, dark and unlike each other; in no order."""
    apart = 2 * f["tumour_radius"] * f["tumour_spacing"]
    x, y = _lattice(cells, LATTICES[0], apart)
    there = (cells.layout.lesion(x, y, cells.layout.gland(x, y)) > 0.8 * f["tumour_radius"]) & _near(f, x, y)
    radius = f["tumour_radius"] * np.exp(f["tumour_variation"] * cells.normal)
    dark = f["haematoxylin"] * f["hyperchromasia"]
    return cells.nuclei(
        there & (cells.u[2] < 0.95), x, y, TURN * cells.u[3], radius, 1.05 + 0.7 * cells.u[6],
        dark=dark, pale=0.35, clump=f["clumping"], nucleolus=f["nucleolus"] * dark,
        bent=0.5 * f["tumour_variation"], apart=apart,
    )  # fmt: skip


def _fibroblasts(f, cells):
    """Spindles along the collagen."""
    x, y = _lattice(cells, LATTICES[1], _spacing(DENSE_STROMA), jitter=1.0)
    there = _in_stroma(cells.layout, x, y) & _near(f, x, y) & (cells.u[2] < f["stroma_density"] / DENSE_STROMA)
    angle = direction(f, x, y) + 0.5 * (cells.u[3] - 0.5)
    radius = np.sqrt(f["spindle_length"] * f["spindle_width"]) * (1 + 0.15 * cells.normal)
    ratio = f["spindle_length"] / f["spindle_width"] * (0.6 + 0.7 * cells.u[6])
    return cells.nuclei(
        there, x, y, angle, radius, ratio,
        dark=0.95 * f["haematoxylin"], pale=0.2, clump=0.15, nucleolus=0.0, bent=0.1, apart=0.0,
    )  # fmt: skip


def _lymphocytes(f, cells):
    """Small, round and dark: a few in the stroma, many in an infiltrate, which enters tumour half as dense."""
    densest = DENSE_INFILTRATE + SCATTERED
    x, y = _lattice(cells, LATTICES[2], _spacing(densest), jitter=0.7)
    dx, dy = x - f["infiltrate_x"] * f["field"], y - f["infiltrate_y"] * f["field"]
    cloud = np.exp(-0.5 * (dx * dx + dy * dy) / (f["infiltrate_radius"] * f["field"]) ** 2)
    stroma = _in_stroma(cells.layout, x, y)
    density = stroma * f["scattered"] + f["inflammation"] * f["infiltrate_density"] * cloud * (0.5 + 0.5 * stroma)
    there = (cells.layout.gland(x, y) < -2) & _near(f, x, y) & (cells.u[2] < density / densest)
    return cells.nuclei(
        there, x, y, TURN * cells.u[3], f["lymphocyte_radius"] * (1 + 0.07 * cells.normal), 1 + 0.2 * cells.u[6],
        dark=1.25 * f["haematoxylin"], pale=0.1, clump=0.25, nucleolus=0.0, bent=0.03, apart=0.0,
    )  # fmt: skip


def _in_stroma(layout, x, y):
    depth = layout.gland(x, y)
    return (depth < -2) & (layout.lesion(x, y, depth) < -2)


def _near(f, x, y):
    return np.maximum(np.abs(x), np.abs(y)) < 0.5 * f["field"] + MARGIN


def _measure(f, nuclei):
    """Number, density, mean radius, pleomorphism and share of the area of the nuclei centred in each image."""
    n, field = len(f["field"]), f["field"][:, 0, 0]
    inside = np.maximum(np.abs(nuclei.x), np.abs(nuclei.y)) < 0.5 * field[nuclei.image]
    image, radius = nuclei.image[inside], nuclei.radius[inside]
    count, total, squares = (np.bincount(image, radius**power, n) for power in (0, 1, 2))
    mean = total / np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
    derived = {
        "nuclei": count,
        "nuclear_density": 1000 * count / field**2,
        "nuclear_radius": mean,
        "pleomorphism": deviation / np.maximum(mean, 1e-3),
        "nuclear_fraction": np.pi * squares / field**2,
    }
    f.update({name: value.astype(float)[:, None, None] for name, value in derived.items()})
