"""A picture of the samples that lie closest to training images, beside the closest of unseen real images."""

from pathlib import Path

import numpy as np

from analysis.grid import make_grid, save_png
from analysis.memorisation.neighbours import Neighbours


def save_pairs(
    path: Path,
    sets: dict[str, tuple[np.ndarray, Neighbours]],
    train: np.ndarray,
    facts: dict[str, str],
    measure: str = "ratio",
    rows: int = 8,
    synthetic: bool = False,
) -> None:
    """Writes a PNG, for each set two columns: an image with its closeness, and the training image nearest to it.

    The closest come first.

    Args:
      sets: {caption: (images [n, h, w, c], their neighbours)}.
      train: [m, h, w, c] that the neighbours point into.
      measure: of closeness: distance or ratio.
      synthetic: True where the training images are drawn by a phantom; else real images are in the picture.
    """
    rows = min(rows, *(len(images) for images, _ in sets.values()))
    tiles, captions = [], []
    orders = {name: np.argsort(getattr(near, measure), kind="stable") for name, (_, near) in sets.items()}
    for place in range(rows):
        for name, (images, near) in sets.items():
            row = orders[name][place]
            tiles += [np.asarray(images[row]), np.asarray(train[near.index[row]])]
            captions += [f"{name}, {measure} {getattr(near, measure)[row]:.2f}", "training image"]
    grid = make_grid(np.stack(tiles), 2 * len(sets), captions=captions)
    save_png(path, grid, facts | {"measure": measure}, synthetic=synthetic)
