"""Two-stage sampling: what is drawn too close to a training image is dropped and drawn again."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analysis.features.registry import FeatureNetwork
from analysis.memorisation.aligned import find_aligned
from analysis.memorisation.threshold import new, threshold
from analysis.memorisation.unseen import Unseen
from analysis.metrics.shares import share
from data import UserError

DRAWS = 20  # a requested image, on average, after which the filter gives up

Draw = Callable[[np.ndarray, int], np.ndarray]  # (labels [n, k], index of the first) -> images [n, h, w, c]


@dataclasses.dataclass(frozen=True, eq=False)
class PrivacyFilter:
    """Tells which images are closer to a training image than unseen real images are.

    Attributes:
      network: the space.
      train: [m, d] features of the training images.
      measure: of closeness: distance or ratio, see `neighbours.Neighbours`.
      limit: closeness below which an image is dropped.
      expected: share of unseen real images that would be dropped.
    """

    network: FeatureNetwork
    train: np.ndarray
    measure: str
    limit: float
    expected: float

    def rejects(self, images: np.ndarray) -> np.ndarray:
        """Whether each of the stored images [n, h, w, c] is dropped, bool [n]."""
        return getattr(find_aligned(self.network, images, self.train), self.measure) < self.limit

    def describe(self) -> dict[str, Any]:
        """For the facts of written samples."""
        return {
            "space": self.network.describe(),
            "measure": self.measure,
            "threshold": self.limit,
            "expected": self.expected,
            "train": len(self.train),
        }


def build_filter(
    network: FeatureNetwork, train: np.ndarray, unseen: Unseen, measure: str = "ratio"
) -> PrivacyFilter:
    """The filter whose threshold all unseen images set; train: [m, h, w, c] stored training images."""
    known = network(train)
    near = find_aligned(network, unseen.all["image"], known)
    closeness = getattr(near, measure)
    return PrivacyFilter(network, known, measure, *threshold(closeness[new(closeness)]))


@dataclasses.dataclass(frozen=True, eq=False)
class Filtered:
    """Images [n, h, w, c] that passed, and for every draw made its label [d, k] and whether it was dropped [d]."""

    images: np.ndarray
    labels: np.ndarray
    rejected: np.ndarray

    def describe(self, classes: Sequence[str]) -> dict[str, Any]:
        """Rejected share with its interval, in all and among the draws that were asked to show each finding."""
        columns = {name: self.labels[:, j] > 0.5 for j, name in enumerate(classes)}
        return {
            "drawn": len(self.rejected),
            "rejected": dataclasses.asdict(share(self.rejected)),
            "rejected_by_label": {
                name: dataclasses.asdict(share(self.rejected[asked])) for name, asked in columns.items() if asked.any()
            },
        }


def draw_filtered(
    draw: Draw,
    keep: PrivacyFilter,
    labels: np.ndarray,
    batch: int = 64,
    report: Callable[[int], None] | None = None,
) -> Filtered:
    """Images for labels [n, k], each drawn with its own label until it passes, so that the labels stay as requested.

    Draws are numbered on: what takes the place of a dropped image has the next index that is free.

    Args:
      batch: images drawn at once; what is drawn again is filled up to it, so that one shape is compiled.
      report: called with the number of images that have passed.

    Raises:
      UserError: DRAWS draws an image were made and some were still dropped.
    """
    open_, made, images = np.arange(len(labels)), 0, None
    drawn, rejected = [], []
    while len(open_):
        if made >= DRAWS * len(labels):
            count = sum(int(flags.sum()) for flags in rejected)
            raise UserError(
                f"privacy filter: {count} of {made} draws lie closer to a training image than {keep.expected:.1%} of "
                f"unseen real images do; this model repeats what it learned: train it on more images, or for shorter"
            )
        size = min(batch, len(labels))
        filled = np.resize(open_, -(-len(open_) // size) * size)
        part = draw(labels[filled], made)[: len(open_)]
        images = part.copy() if images is None else images
        images[open_] = part
        flags = keep.rejects(part)
        drawn.append(labels[open_])
        rejected.append(flags)
        made, open_ = made + len(open_), open_[flags]
        if report:
            report(len(labels) - len(open_))
    return Filtered(images, np.concatenate(drawn), np.concatenate(rejected))
