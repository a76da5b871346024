"""How close stored images lie to the training images, where a small shift does not hide a copy."""

import numpy as np

from analysis.features.registry import FeatureNetwork
from analysis.memorisation.neighbours import Neighbours, find_neighbours

PARTS = 32  # a shift is the image's side over this, at least one pixel


def find_aligned(network: FeatureNetwork, images: np.ndarray, train: np.ndarray) -> Neighbours:
    """Neighbours of stored images [n, h, w, c] among the features of the training images [m, d].

    In a space of pixels (one without weights) an image is first moved by one step along either axis or both, or not,
    whichever brings it nearest: a shift of one pixel in 32 takes a copy as far away as another image. Networks hardly
    mind.
    """
    best = find_neighbours(network(images), train)
    if network.weights:
        return best
    for moved in shifts(images):
        found = find_neighbours(network(moved), train)
        nearer = found.distance < best.distance
        best = Neighbours(*(np.where(nearer, getattr(found, name), getattr(best, name))
                            for name in ("distance", "ratio", "index")))  # fmt: skip
    return best


def shifts(images: np.ndarray) -> list[np.ndarray]:
    """The eight shifts of images [n, h, w, c] by one step, their edges repeated."""
    step = max(min(images.shape[1:3]) // PARTS, 1)
    height, width = images.shape[1:3]
    wide = np.pad(images, ((0, 0), (step, step), (step, step), (0, 0)), mode="edge")
    places = [(y, x) for y in (0, step, 2 * step) for x in (0, step, 2 * step) if (y, x) != (step, step)]
    return [wide[:, y : y + height, x : x + width] for y, x in places]
