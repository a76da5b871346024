"""How close images lie to the training images, in one space of features."""

import dataclasses

import numpy as np

from analysis.metrics.blocks import nearest

AROUND = 50  # neighbours that say how near training images usually are (Carlini et al. 2023, section 4.2)


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """Of n images: distances to the training images.

    Attributes:
      distance: [n] to the nearest one.
      ratio: [n] the same over the mean distance to the AROUND nearest after it, or to half of the training images
        where those are fewer. A blurred image is near to all of them, a copy to one alone: about 1 and about 0.
      index: [n] row of the nearest one.
    """

    distance: np.ndarray
    ratio: np.ndarray
    index: np.ndarray

    def __getitem__(self, rows) -> "Neighbours":
        return Neighbours(self.distance[rows], self.ratio[rows], self.index[rows])


def find_neighbours(features: np.ndarray, train: np.ndarray, own: bool = False) -> Neighbours:
    """Neighbours of features [n, d] among those of the training images [m, d], m >= 3, in bounded memory.

    Args:
      own: `features` are those of the training images, of which none is its own neighbour.

    Raises:
      ValueError: fewer than 3 training images, features of different length, or not finite.
    """
    around = min(AROUND, max((len(train) - own) // 2, 1))
    squared, index = nearest(features, train, 1 + around, own)
    distance = np.sqrt(squared)
    usual = distance[:, 1:].mean(1)
    ratio = np.divide(distance[:, 0], usual, out=np.ones(len(distance)), where=usual > 0)
    return Neighbours(distance[:, 0], ratio, index[:, 0])
