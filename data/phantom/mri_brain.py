"""Assembles a slice: which tissue fills how much of each pixel, and the signal that this gives."""

import numpy as np

from data.phantom import mri_cortex, mri_deep, mri_head, mri_lesions
from data.phantom.mri_fields import smooth_fields
from data.phantom.raster import coverage

WARP = 2.6  # mm (standard deviation) by which the brain deviates from the template
OUTLINE_WARP = 1.0  # mm, by which head and skull deviate
PARTS = {  # mask: the tissues it is made of
    "gray_matter": ("gray", "deep", "pallidum"),
    "white_matter": ("white", "leukoaraiosis"),
    "ventricles": ("ventricles", "plexus"),
    "tumour": ("tumour_tissue", "rim", "necrosis_tissue"),
    "edema": ("edema",),
}


def draw(f, draws, signal, size):
    """Signed signal [size, size] of the slice, and {mask: share of each pixel [size, size]}.

    f: factors, to which the tumour's centre is added. signal: {tissue: signal}.
    """
    mri_lesions.add_centre(f)
    g = mri_head.Grid.view(f, size)
    bend = smooth_fields(draws.modes[0], size, slope=3.0, corner=4.0)
    fields = smooth_fields(draws.modes[1], size, slope=3.0, corner=9.0)
    hull = mri_head.outline(f, g, g.x + OUTLINE_WARP * bend[0], g.y + OUTLINE_WARP * bend[1])
    around, _ = composite(mri_head.layers(f, g, hull, bend[1]))
    tissue = sum(signal[name] * part for name, part in around.items())
    where = np.flatnonzero(hull.depth > -g.pixel)  # the brain fills less than half of the image
    bend, fields = ([a.ravel()[where] for a in pair] for pair in (bend, fields))
    part, left = composite(brain(f, g.take(where), hull.take(where), bend, fields, draws.sulci))
    tissue.ravel()[where] = left * tissue.ravel()[where] + sum(signal[name] * part[name] for name in part)
    share = {"brain": coverage(hull.depth, g.pixel)}
    for mask, names in PARTS.items():
        share[mask] = np.zeros((size, size))
        share[mask].ravel()[where] = sum(part[name] for name in names)
    return tissue, share


def brain(f, g, hull, bend, fields, sulci):
    """Layers of the brain, from the cortex to what covers it: [(tissue, coverage [k])]."""
    straight = np.minimum(np.abs(g.x) / 30 + 0.15, 1)  # the falx holds the midline
    x, y = mri_lesions.displaced(f, g.x + WARP * straight * bend[0], g.y + WARP * bend[1])
    depth = mri_cortex.tissue_depth(f, g, hull, x, y, fields[0], sulci)
    white = coverage(depth - f["cortex"], g.pixel)
    ventricle = mri_deep.lateral_ventricles(f, g, x, y)
    fluid = np.maximum(mri_deep.third_ventricle(f, g, x, y), mri_deep.cistern(f, g, x, y))
    nuclei = {name: mri_deep.nucleus(g, x, y, name) for name in mri_deep.NUCLEI}
    glioma = mri_lesions.glioma(f, g, hull, *fields)
    inside = coverage(ventricle, g.pixel)
    return [
        ("gray", coverage(depth, g.pixel)),
        ("white", white),
        ("leukoaraiosis", white * mri_lesions.leukoaraiosis(f, ventricle, fields[1])),
        ("deep", np.maximum(np.maximum(nuclei["caudate"], nuclei["putamen"]), nuclei["thalamus"])),
        ("pallidum", nuclei["pallidum"]),
        ("edema", glioma.edema * np.maximum(white, 0.2 * (depth > 0))),  # spreads along fibres, spares the cortex
        ("csf", coverage(fluid, g.pixel)),
        ("ventricles", inside),
        ("plexus", inside * mri_deep.plexus(f, g, x, y)),
        ("tumour_tissue", glioma.solid),
        ("rim", glioma.rim),
        ("necrosis_tissue", glioma.necrosis),
    ]


def composite(layers):
    """({tissue: share of each pixel}, share left) of layers [(tissue, coverage)], each painted over those before."""
    left, share = 1.0, {}
    for name, cover in reversed(layers):
        share[name] = left * cover
        left = left - share[name]
    return share, left
