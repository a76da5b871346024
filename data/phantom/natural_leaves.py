"""The dead-leaves model: shapes of scale-free sizes, thrown at random, that hide one another.

A scene is a table of shapes from back to front: leaves, the pieces of the subject's outline, the markings on it.

Source: Lee, Mumford and Huang, Occlusion models for natural images, IJCV 2001: with radii r of density r^-3 the
image looks alike at every scale, as natural images do.
"""

from dataclasses import dataclass, fields

import numpy as np

from data.phantom.natural_factors import CLASSES, OUT_OF_VIEW

LEAVES, PIECES, MARKS = 400, 4, 24  # at most so many leaves; pieces of the subject's outline; markings on it
SHAPES = LEAVES + PIECES + MARKS
UNIFORMS = 9  # uniform numbers a shape takes
_MARGIN = 1.2  # leaves fall on [-1.2, 1.2]^2, so that they come into the image from beyond its border


@dataclass
class Shapes:
    """Arrays [n, SHAPES] float64; lengths in half image sides.

    In a shape's own frame (s along its axis, t across, each over its semi-axis) the round ones are
    s^2 + w^2 + lobe s (s^2 - 3 w^2) < 1 with w = t + bend (s^2 - 1/2), where s^2 + w^2 < 2, the angular ones
    max(|s + bend t| + lobe t, |t|) < 1.
    """

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray  # geometric mean of the semi-axes; 0: there is no such shape
    aspect: np.ndarray  # short over long semi-axis
    angle: np.ndarray  # of the long axis
    bend: np.ndarray
    lobe: np.ndarray
    angular: np.ndarray  # bool
    distance: np.ndarray  # of a leaf in a landscape, 1 at the horizon to 0 in front; 0 elsewhere

    def reach(self):
        """Half extents across and down, never too small."""
        root = np.sqrt(self.aspect)
        c, s = np.abs(np.cos(self.angle)), np.abs(np.sin(self.angle))
        along = self.radius / root * np.where(self.angular, 1 + np.abs(self.bend) + self.lobe, 1.15)
        across = self.radius * root * np.where(self.angular, 1, 1.2 + np.abs(self.bend))
        return c * along + s * across, s * along + c * across


def shapes(f, scene, uniform):
    """The shapes of a batch. f, scene: as factors_from gives them. uniform: [n, SHAPES, UNIFORMS] in [0, 1)."""
    columns = np.moveaxis(uniform, -1, 0)
    parts = [
        _leaves(f, scene, columns[..., :LEAVES]),
        _pieces(f, scene, columns[..., LEAVES:-MARKS]),
        _marks(f, scene, columns[..., -MARKS:]),
    ]
    joined = {one.name: np.concatenate([getattr(p, one.name) for p in parts], 1) for one in fields(Shapes)}
    return Shapes(**{k: v if v.dtype == bool else v.astype(float) for k, v in joined.items()})


def scale_free(uniform, smallest, largest):
    """Radii of density proportional to r^-3 between two bounds, by inversion of the distribution function."""
    return smallest / np.sqrt(1 - uniform * (1 - (smallest / largest) ** 2))


def _leaves(f, scene, uniform):
    across, down, size, *form = uniform
    shape = _form(f, scene, form)
    there = np.arange(LEAVES) < _count(f)
    landscape = f["horizon"] < OUT_OF_VIEW
    near = np.sort(np.where(there, down, 1), 1)  # nearer leaves lie lower, are larger and hide the others
    shape.distance = np.where(landscape, 1 - near, 0)
    shape.x = _MARGIN * (2 * across - 1)
    shape.y = np.where(landscape, f["horizon"] + (1.2 - f["horizon"]) * near**1.3, _MARGIN * (2 * down - 1))
    scale = np.where(landscape, 0.25 + 0.75 * near, 1)
    shape.radius = np.where(there, scale * scale_free(size, f["smallest"], f["largest"]), 0)
    return shape


def _count(f):
    """How many leaves have f["layers"] times the image's area together, by the mean of pi r^2."""
    ratio = f["largest"] / f["smallest"]
    mean_area = 2 * np.pi * f["smallest"] ** 2 * np.log(ratio) / (1 - ratio**-2.0)
    return f["layers"] * (2 * _MARGIN) ** 2 / mean_area


def _pieces(f, scene, uniform):
    """A body and what sticks out of it; leaves it in the middle of the image."""
    bearing, reach, size, *form = uniform
    shape = _form(f, scene, form)
    body = np.arange(PIECES) == PIECES - 1
    away = 2 * np.pi * bearing
    distance = np.where(body, 0, f["subject_radius"] * (0.75 + 0.35 * reach))
    shape.x = f["subject_x"] + distance * np.cos(away)
    shape.y = f["subject_y"] + distance * np.sin(away)
    shape.radius = f["subject_radius"] * np.where(body, 0.85, 0.25 + 0.35 * size)
    shape.angle = np.where(body, f["subject_angle"], away)
    shape.aspect = np.where(body, np.maximum(shape.aspect, 0.45), shape.aspect)
    return shape


def _marks(f, scene, uniform):
    away, reach, size, *form = uniform
    shape = _form(f, scene, form)
    shape.radius = f["subject_radius"] * scale_free(size, 0.07, 0.5)
    distance = f["subject_radius"] * 1.25 * np.sqrt(reach)
    shape.x = f["subject_x"] + distance * np.cos(2 * np.pi * away)
    shape.y = f["subject_y"] + distance * np.sin(2 * np.pi * away)
    return shape


def _form(f, scene, uniform):
    """Shapes of the scene's kind, not yet placed. uniform: six arrays [n, k]."""
    turn, spread, narrow, bend, lobe, odd = uniform
    kind = [(scene == i)[:, None] for i in range(len(CLASSES))]
    polygon, landscape = kind[1], kind[3]
    upright = landscape & (odd < 0.3)  # tree trunks and grass among the bushes and stones
    lean = f["disorder"] * np.sqrt(6) * (turn + spread - 1)  # triangular, of deviation `disorder`
    signed = 2 * bend - 1
    bends = [0.35 * signed, 0.5 * f["disorder"] * signed, 0.9 * signed, 0.35 * signed]
    lobes = [0.26 * lobe, 0.6 * lobe**3, 0 * lobe, np.where(upright, 0, 0.26 * lobe)]
    aspects = [0.45 + 0.5 * narrow, 0.25 + 0.75 * narrow, 0.08 + 0.17 * narrow]
    zero = np.zeros_like(turn)
    return Shapes(
        x=zero,
        y=zero,
        radius=zero,
        aspect=np.select(kind, [*aspects, np.where(upright, aspects[2], 0.35 + 0.5 * narrow)]),
        angle=np.select(kind, _angles(f, lean, odd, upright)),
        bend=np.select(kind, bends),
        lobe=np.select(kind, lobes),
        angular=np.broadcast_to(polygon, turn.shape),
        distance=zero,
    )


def _angles(f, lean, odd, upright):
    """Blobs lie any way; polygons along two directions at a right angle; strokes along one; landscapes level."""
    quarter = np.pi / 2
    return [
        f["direction"] + 3 * lean,
        f["direction"] + lean / 2 + quarter * (odd < 0.5),
        f["direction"] + lean,
        lean / 2 + quarter * upright,
    ]
