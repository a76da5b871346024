"""Small patches added up on the pixel grids of a batch: what a cell contributes, around each cell."""

import numpy as np

STEP = 3  # pixels: patches are drawn together whose half-width is the same multiple of it


def stamp(nuclei, reach, field, size, layers, draw):
    """Sums of the layers that `draw` gives around each nucleus, float64 [layers, n, size, size].

    reach: um around its centre that a patch must cover, [m]. field: width of each image, um [n].
    draw: called as draw(chosen, dx, dy, pixel) for the nuclei with these indices; dx, dy: um from each centre,
    pixel: um, all broadcasting to [k, p, p]; returns such arrays, one a layer.
    """
    n, pixel = len(field), (field / size)[nuclei.image]
    halves = (np.ceil((reach / pixel + 1) / STEP) * STEP).astype(int)
    seen = np.maximum(np.abs(nuclei.x), np.abs(nuclei.y)) / pixel < 0.5 * size + halves
    col, row = (v / pixel + 0.5 * size - 0.5 for v in (nuclei.x, nuclei.y))
    width = size + 2  # a frame of one pixel catches what falls outside
    total = np.zeros((layers, n * width * width))
    for half in np.unique(halves[seen]):
        chosen = np.flatnonzero(seen & (halves == half))
        j, dx = _places(col[chosen], half)
        i, dy = _places(row[chosen], half)
        columns, rows = (np.clip(k, -1, size) + 1 for k in (j[:, None], i[:, :, None]))
        index = ((nuclei.image[chosen, None, None] * width + rows) * width + columns).ravel()
        scale = pixel[chosen, None, None]
        for layer, value in zip(total, draw(chosen, dx[:, None] * scale, dy[:, :, None] * scale, scale), strict=True):
            layer += np.bincount(index, value.ravel(), len(layer))
    return total.reshape(layers, n, width, width)[:, :, 1:-1, 1:-1]


def _places(centre, half):
    """Pixels around `centre` [k] and their distance from it, [k, 2 half + 1]."""
    places = np.rint(centre).astype(int)[:, None] + np.arange(-half, half + 1)
    return places, places - centre[:, None]
