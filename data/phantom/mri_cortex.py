"""The folded cortex: sulci that run inward from the surface of each hemisphere, fissures, and the gray ribbon.

Each hemisphere is laid out along its own outline (a stadium): `turn` counts the sulci around it, lateral and medial
side alike. Depth, place and width of every sulcus are random; a smooth random field bends them.
"""

import numpy as np

from data.phantom.mri_head import HALF_LENGTH, HALF_WIDTH

SULCI = 25  # around a hemisphere: one in 16 mm of its outline
DRAWS = 2 * SULCI * 3  # uniform numbers an example needs: both hemispheres, three a sulcus
AXIS_X, AXIS_HALF = 27.0, 50.0  # the stadium's axis: distance from the midline, half-length [mm]
RADIUS = 33.0
TURN = 4 * AXIS_HALF + 2 * np.pi * RADIUS  # the stadium's outline [mm]
DEEPEST = 25.0  # of the sulci [mm]; primary sulci reach 20-30 mm


def round_minimum(a, b, radius):
    """Minimum of two distances whose edge is rounded, as the crown of a gyrus is."""
    return 0.5 * (a + b - np.sqrt((a - b) ** 2 + radius * radius))


def tissue_depth(f, g, hull, x, y, meander, uniform):
    """Distance [mm] into the tissue from the pia, [n, h, w], negative in fluid.

    x, y: the pixels in the bent frame of the brain. meander: unit-variance random field. uniform: [n, DRAWS].
    """
    medial = midline(f, g, x, y)
    inside = np.minimum(hull.depth, medial)
    folds = sulci(f, hull, x, inside, meander, uniform)
    folds = np.minimum(folds, sylvian(f, g, np.abs(x), y))
    surface = np.minimum(hull.depth, medial - 0.5 - 1.0 * f["atrophy"])
    return round_minimum(surface, folds, 3.0)


def sulci(f, hull, x, inside, meander, uniform):
    """Distance [mm] to the wall of the nearest sulcus, negative in its fluid."""
    place, depth, width = np.moveaxis(uniform.reshape(len(uniform), 2 * SULCI, 3), 2, 0)
    turn = around(np.abs(hull.across) * HALF_WIDTH, hull.along * HALF_LENGTH) + f["meander"] * meander
    count = turn * (SULCI / TURN)
    whole = np.floor(count)
    index = whole.astype(np.int32) % SULCI + SULCI * (x > 0)
    at = index + (np.arange(len(uniform)) * 2 * SULCI)[:, None, None]
    aside = np.abs(count - whole - 0.3 - 0.4 * place.ravel()[at]) * (TURN / SULCI) * hull.scale
    reach = DEEPEST * (0.25 + 0.75 * depth) * np.where(_medial(), 0.6, 1)
    beyond = np.maximum(inside - f["sulcus_depth"] * reach.astype(np.float32).ravel()[at], 0)
    open_ = 0.25 + (0.35 + 1.1 * f["atrophy"]) * (0.4 + 1.2 * width.ravel()[at])  # half-width at the surface
    return np.sqrt(aside * aside + beyond * beyond) - open_ * (0.45 + 1.1 / (1 + np.maximum(inside, 0) / 5))


def _medial():
    """Which sulci of a hemisphere lie on its medial side, bool [2 SULCI]; these are shallower."""
    centre = (np.arange(SULCI) + 0.5) * (TURN / SULCI)
    return np.tile(np.abs(centre - TURN / 2) < AXIS_HALF, 2)


def around(x, y):
    """Position [mm] along the stadium's outline of the points, from its lateral middle over front to back.

    x >= 0: distance from the midline; y: from the centre of the hemisphere, both mm.
    """
    straight = np.minimum(np.abs(y), AXIS_HALF)
    out = x - AXIS_X
    angle = np.arctan2(np.abs(y) - straight, out)
    length = RADIUS * angle + np.where(out < 0, 2 * AXIS_HALF - straight, straight)
    return np.where(y < 0, TURN - length, length)


def midline(f, g, x, y):
    """Distance [mm] to the fissure between the hemispheres; the corpus callosum and what lies below bridge it."""
    q = np.sqrt(((y + 5) / 40) ** 2 + ((g.z - 4) / 25) ** 2)
    bridge = np.maximum(1 - q, 0) * 30
    return np.sqrt(x * x + bridge * bridge)


def sylvian(f, g, x, y):
    """Distance [mm] to the wall of the Sylvian fissure: a cleft from the side that opens on the insula."""
    above = np.maximum(g.z - 13, 0)
    insula = np.sqrt((x - 37.5 - 0.004 * (y - 2) ** 2) ** 2 + np.maximum(np.abs(y - 2) - 15, 0) ** 2 + above * above)
    cleft = np.sqrt((0.95 * (y + 1 + 0.3 * (x - 38))) ** 2 + np.maximum(38 - x, 0) ** 2 + above * above)
    half = f["fissure"] * (0.6 + 1.6 * f["atrophy"])
    return np.minimum(insula, cleft - 0.4) - half
