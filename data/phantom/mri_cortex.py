"""The folded cortex: sulci that run inward from the surface of each hemisphere, fissures, and the gray ribbon.

Each hemisphere is laid out along its own outline (a stadium): `turn` counts the sulci around it, lateral and medial
side alike. Depth, place and width of every sulcus are random; a smooth random field bends them.
"""

import numpy as np

from data.phantom.mri_head import HALF_LENGTH, HALF_WIDTH

SULCI = 31  # around a hemisphere: one in 13 mm of its outline
DRAWS = 2 * SULCI * 3  # uniform numbers an example needs: both hemispheres, three a sulcus
AXIS_X, AXIS_HALF = 27.0, 50.0  # the stadium's axis: distance from the midline, half-length [mm]
RADIUS = 33.0
TURN = 4 * AXIS_HALF + 2 * np.pi * RADIUS  # the stadium's outline [mm]
DEEPEST = 27.0  # of the sulci [mm]; primary sulci reach 20-30 mm
_PLACES = (np.arange(SULCI) + 0.5) * (TURN / SULCI)
_MEDIAL = np.tile(np.abs(_PLACES - TURN / 2) < AXIS_HALF, 2)
_POLAR = np.tile(np.abs(_PLACES % (TURN / 2) - TURN / 4) < 1.2 * RADIUS, 2)
# Sulci are shallower and tighter on the medial side, shallower at the poles.
SHALLOWER = np.where(_MEDIAL, 0.55, np.where(_POLAR, 0.75, 1))
TIGHTER = np.where(_MEDIAL, 0.4, 1)


def round_minimum(a, b, radius):
    """Minimum of two distances whose edge is rounded, as the crown of a gyrus is."""
    return 0.5 * (a + b - np.sqrt((a - b) ** 2 + radius * radius))


def cleft(aside, half, pixel):
    """Distance [mm] to the wall of a cleft of half-width `half`, `aside` from its middle; negative within.

    A cleft narrower than a pixel fills no more of it than its width: raster.coverage knows one edge at a time.
    """
    return np.maximum(aside - half, 0.5 * pixel - 2 * half)


def tissue_depth(f, g, hull, x, y, meander, uniform):
    """Distance [mm] into the tissue from the pia, [k], negative in fluid.

    x, y: the pixels in the bent frame of the brain. meander: unit-variance random field. uniform: [DRAWS].
    """
    medial = midline(f, g, x, y)
    inside = np.minimum(hull.depth, medial)
    folds = sulci(f, g, hull, x, inside, meander, uniform)
    folds = np.minimum(folds, sylvian(f, g, np.abs(x), y))
    surface = np.minimum(hull.depth, cleft(medial, 0.4 + 0.8 * f["atrophy"] ** 2, g.pixel))
    return round_minimum(surface, folds, 3.0)


def sulci(f, g, hull, x, inside, meander, uniform):
    """Distance [mm] to the wall of the nearest sulcus, negative in its fluid."""
    place, depth, width = uniform.reshape(3, 2 * SULCI)
    turn = around(np.abs(hull.across) * HALF_WIDTH, hull.along * HALF_LENGTH)
    turn = turn + f["meander"] * meander * (0.5 + np.minimum(inside, 20) / 16)  # they bend as they go deeper
    count = turn * (SULCI / TURN)
    whole = np.floor(count)
    index = whole.astype(np.int32) % SULCI + SULCI * (x > 0)
    aside = (count - whole - (0.2 + 0.6 * place)[index]) * (TURN / SULCI) * hull.scale
    reach = DEEPEST * (0.3 + 0.7 * depth) * SHALLOWER * f["sulcus_depth"]
    reach = np.where(_MEDIAL & (depth < 0.6), -12.0, reach)  # that far outside: no sulcus
    beyond = np.maximum(inside - reach[index] * (2.6 - 1.6 * hull.scale), 0)  # longer near the crown, cut obliquely
    half = 0.1 * TIGHTER + (0.25 + 0.9 * f["atrophy"] ** 2) * (0.4 + 1.2 * width) * TIGHTER
    half = half[index] * (0.4 + 1.2 / (1 + np.maximum(inside, 0) / 4))  # gapes at the surface
    return cleft(np.sqrt(aside * aside + beyond * beyond), half, g.pixel)


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
    q = np.sqrt(((y + 3) / 43) ** 2 + ((g.z - 4) / 25) ** 2)
    bridge = np.maximum(1 - q, 0) * 36
    return np.sqrt(x * x + bridge * bridge)


def sylvian(f, g, x, y):
    """Distance [mm] to the wall of the Sylvian fissure: a cleft from the side that opens on the insula."""
    above = np.maximum(g.z - 13, 0)
    insula = np.sqrt((x - 37.5 - 0.004 * (y - 2) ** 2) ** 2 + np.maximum(np.abs(y - 2) - 15, 0) ** 2 + above * above)
    opening = np.sqrt((0.95 * (y + 1 + 0.3 * (x - 38))) ** 2 + np.maximum(38 - x, 0) ** 2 + above * above)
    half = f["fissure"] * (0.6 + 1.4 * f["atrophy"] ** 2)
    return np.minimum(cleft(insula, half, g.pixel), cleft(opening, half + 0.4, g.pixel))
