"""Where in the tissue phantom is what: signed distances in um to glands, tumour and the edge of the tissue.

Points are (x, y) in um, arrays [n, h, w] of pixels or [n, 1, k] of cells; factors are [n, 1, 1]. Distances are
positive inside.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom.tissue_factors import TURN

GLANDS = 3  # at most; the second and third beside the first
GLAND_DRAWS = 7
DRAWS = GLANDS * GLAND_DRAWS + 9  # uniform numbers an example needs
AWAY = -999.0  # distance to what is not there


@dataclass
class Gland:
    """A closed outline around a lumen; all [n, 1, 1]."""

    x: np.ndarray  # um, centre
    y: np.ndarray
    radius: np.ndarray  # um, mean
    present: np.ndarray  # bool
    waves: tuple  # (amplitude relative to the radius, phase in rad) of its harmonics 2, 3 and 5

    def outline(self, turn):
        """Radius of the outline in um in the direction of the complex number `turn`, of modulus 1."""
        square = turn * turn
        swing, powers = 1.0, (square, square * turn, square * square * turn)
        for power, (amplitude, phase) in zip(powers, self.waves, strict=True):
            swing = swing + amplitude * (power.real * np.cos(phase) - power.imag * np.sin(phase))
        return self.radius * swing

    def inside(self, x, y):
        """Distance to the outline along the ray from the centre, um."""
        dx, dy = x - self.x, y - self.y
        r = np.sqrt(dx * dx + dy * dy) + 1e-3
        return np.where(self.present, self.outline((dx + 1j * dy) / r) - r, AWAY)


@dataclass
class Layout:
    """The regions of a batch. `x` and `y` below are um."""

    f: dict
    glands: list
    phases: np.ndarray  # [n, 9] in rad, of the plane waves that make outlines irregular

    @classmethod
    def of(cls, f, uniform):
        """uniform: [n, DRAWS]."""
        split = GLANDS * GLAND_DRAWS
        draws = np.split(uniform[:, :split, None, None], GLANDS, axis=1)
        glands = [_first(f, draws[0])]
        for side, draw in zip((1, -1), draws[1:], strict=True):
            glands.append(_beside(f, glands[0], draw, side))
        return cls(f, glands, TURN * uniform[:, split:, None, None])

    def gland(self, x, y):
        """Depth below the outer outline of the gland that the point is in, um; beyond gland_height is lumen."""
        depth = self.glands[0].inside(x, y)
        for gland in self.glands[1:]:
            depth = np.maximum(depth, gland.inside(x, y))
        return depth

    def lesion(self, x, y, depth):
        """Distance inside the tumour, um; it grows around glands, whose `depth` at the point is given."""
        f = self.f
        away = f["lesion_curve"] * f["field"]
        cx, cy = away * np.cos(f["lesion_angle"]), away * np.sin(f["lesion_angle"])
        radius = away + f["lesion_depth"] * f["field"]
        inside = radius - np.sqrt((x - cx) ** 2 + (y - cy) ** 2) + f["lesion_wobble"] * self._wobble(x, y)
        return np.where(f["lesion"] > 0, np.minimum(inside, -3.0 - depth), AWAY)

    def tissue(self, x, y):
        """Distance inside the tissue, um."""
        f = self.f
        aside = f["lesion_angle"] + 0.25 * TURN + 0.5 * TURN * (f["edge_angle"] > 0.5 * TURN)
        angle = np.where(f["lesion"] > 0, aside, f["edge_angle"])  # tumour and glands keep their sides
        along = x * np.cos(angle) + y * np.sin(angle)
        inside = f["edge_depth"] * f["field"] - along + 2.0 * self._wobble(y, x)
        return np.where(f["edge"] > 0, inside, -AWAY)

    def _wobble(self, x, y):
        """An irregular field of unit amplitude, with waves of 12 to 50 um."""
        total = 0.0
        for i, wavelength in enumerate((50.0, 23.0, 12.0)):
            phase, direction = self.phases[:, 3 * i], self.phases[:, 3 * i + 1]
            along = x * np.cos(direction) + y * np.sin(direction)
            total = total + np.cos(along * (TURN / wavelength) + phase) / (i + 1)
        return total


def _waves(f, draw):
    amplitudes = (f["gland_oval"], f["gland_fold"], 0.6 * f["gland_fold"])
    return tuple((a, TURN * draw[:, 4 + i]) for i, a in enumerate(amplitudes))


def _first(f, draw):
    aside = 0.18 * f["lesion"]  # from the tumour, which would else be hidden where both are small
    x = (f["gland_x"] - aside * np.cos(f["lesion_angle"])) * f["field"]
    y = (f["gland_y"] - aside * np.sin(f["lesion_angle"])) * f["field"]
    return Gland(x, y, f["gland_radius"], f["gland"] > 0, _waves(f, draw))


def _beside(f, first, draw, side):
    """Another gland, far enough from the first for their outlines not to meet."""
    radius = f["gland_radius"] * (0.75 + 0.4 * draw[:, 0])
    away = (1 + f["gland_oval"] + 2 * f["gland_fold"]) * (radius + first.radius) + 4 + 12 * draw[:, 1]
    angle = f["fibre_angle"] + 0.5 * np.pi * side + 1.2 * (draw[:, 2] - 0.5)
    present = first.present & (draw[:, 3] < 0.8)
    return Gland(first.x + away * np.cos(angle), first.y + away * np.sin(angle), radius, present, _waves(f, draw))
