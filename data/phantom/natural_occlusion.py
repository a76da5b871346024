"""Which shape is in front, pixel by pixel: the painter's algorithm on patches just large enough for a shape."""

import numpy as np

_STEPS = np.array([4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512])  # sides of patches, pixels
_SLAB = 1 << 16  # points looked at together: their arrays stay in the cache


def front(shapes, first, last, back):
    """The front-most of the shapes first to last - 1 at each pixel, int32 [n, size, size].

    shapes: Shapes. back: int32 [n, size, size], kept where none of them is; below `first` everywhere.
    """
    z, size = back.reshape(-1).copy(), back.shape[-1]
    table = _by_patch(_seen(shapes, first, last, size), size)
    change = (np.diff(table["w"]) != 0) | (np.diff(table["h"]) != 0) | np.diff(table["angular"])
    borders = [0, *(np.flatnonzero(change) + 1), len(table["w"])]
    for start, stop in zip(borders[:-1], borders[1:], strict=True):
        if start < stop:
            w, h = int(table["w"][start]), int(table["h"][start])
            rows = max(1, _SLAB // (w * h))
            for at in range(start, stop, rows):
                _draw(z, {k: v[at : min(at + rows, stop)] for k, v in table.items()}, w, h, size)
    return z.reshape(back.shape)


def _seen(shapes, first, last, size):
    """The shapes that touch their image, one after another, from back to front; lengths in pixels."""
    part = slice(first, last)
    wide, high = (reach[:, part] * (size / 2) for reach in shapes.reach())
    x, y = ((c[:, part] + 1) * (size / 2) for c in (shapes.x, shapes.y))
    seen = (shapes.radius[:, part] > 0) & (x + wide > 0) & (x - wide < size) & (y + high > 0) & (y - high < size)
    image, index = np.nonzero(seen)
    at = image, index + first
    root, radius, angle = np.sqrt(shapes.aspect[at]), shapes.radius[at] * (size / 2), shapes.angle[at]
    return {
        "x": x[seen], "y": y[seen], "wide": wide[seen], "high": high[seen],
        "along_u": np.cos(angle) * root / radius, "along_v": np.sin(angle) * root / radius,
        "across_u": -np.sin(angle) / (root * radius), "across_v": np.cos(angle) / (root * radius),
        "bend": shapes.bend[at], "lobe": shapes.lobe[at], "angular": shapes.angular[at],
        "image": image.astype(np.int32), "rank": at[1].astype(np.int32),
    }  # fmt: skip


def _by_patch(table, size):
    """The same shapes grouped by the size of their patch and by kind, with the patch's corner and size."""
    steps = np.append(_STEPS[_STEPS < size], size)
    for side, corner, centre, half in (("w", "left", "x", "wide"), ("h", "top", "y", "high")):
        span = np.minimum(np.ceil(2 * table[half]) + 1, size)
        table[side] = steps[np.searchsorted(steps, span)]
        start = np.floor(table[centre] - table[half])
        table[corner] = np.maximum(np.minimum(start, size - table[side]), 0).astype(np.int32)
    order = np.lexsort((table["angular"], table["h"], table["w"]))  # stable: back to front within a group
    return {k: v[order] for k, v in table.items()}


def _draw(z, t, w, h, size):
    """Draws shapes that share a patch of w by h pixels and a kind over what is behind them."""
    column = t["left"][:, None] + np.arange(w, dtype=np.int32)
    row = t["top"][:, None] + np.arange(h, dtype=np.int32)
    u, v = column + 0.5 - t["x"][:, None], row + 0.5 - t["y"][:, None]
    p = (u * t["along_u"][:, None])[:, None, :] + (v * t["along_v"][:, None])[:, :, None]
    q = (u * t["across_u"][:, None])[:, None, :] + (v * t["across_v"][:, None])[:, :, None]
    inside = (_angular if t["angular"][0] else _round)(p, q, t["bend"][:, None, None], t["lobe"][:, None, None])
    place = ((t["image"][:, None] * size + row) * size)[:, :, None] + column[:, None, :]
    place = place[inside]
    rank = np.repeat(t["rank"], np.count_nonzero(inside, (1, 2)))
    ahead = rank > z[place]
    z[place[ahead]] = rank[ahead]  # of a pixel named twice the last one stays, and ranks ascend


def _round(p, q, bend, lobe):
    pp = p * p
    q += bend * (pp - 0.5)
    qq = q * q
    cubic = p * (pp - 3 * qq)
    pp += qq
    near = pp < 2
    cubic *= lobe
    pp += cubic
    return (pp < 1) & near  # far away the cubic wins over the squares again


def _angular(p, q, bend, lobe):
    inside = np.abs(q) < 1
    p += bend * q
    q *= lobe
    q += np.abs(p)
    return (q < 1) & inside
