"""The training set of each arm."""

import dataclasses
from typing import Any

import numpy as np

from analysis.downstream.options import Settings
from analysis.downstream.synthetic import Synthetic, added, synthetic
from data import DataOptions, UserError
from data.dataset import Dataset
from data.draws import Orders


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images of two sources, taken as one list; nothing is copied.

    Attributes:
      sources: the real images and the synthetic ones, each [., h, w, c] as stored.
      source: [m] which of the two, 0 or 1.
      row: [m] place in it; a place may stand several times.
      label: [m, k].
      facts: plain JSON for the result file.
    """

    sources: tuple[np.ndarray, np.ndarray]
    source: np.ndarray
    row: np.ndarray
    label: np.ndarray
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.row)

    def batch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(images [b, h, w, c], labels [b, k]) at places [b] of the list."""
        image = np.empty((len(index), *self.sources[0].shape[1:]), self.sources[0].dtype)
        for which, images in enumerate(self.sources):
            mine = np.flatnonzero(self.source[index] == which)
            image[mine] = images[self.row[index[mine]]]
        return image, self.label[index]


def training_set(dataset: Dataset, options: DataOptions, settings: Settings) -> TrainingSet:
    """The images of one arm.

    real: the training split. synthetic: ratio times as many drawn ones. mixed: both. duplicated: the real ones, and
    ratio times as many of them once more, so that the list is as long as that of `mixed`; augmentation differs at
    every visit, as it does in all arms.

    Raises:
      UserError: a dataset without classes, or samples that cannot be used.
    """
    k = len(dataset.info.classes)
    if not k:
        raise UserError(f"{dataset.info.name} has no classes, so that no classifier can learn from it")
    for name in ("flip", "balance", "stain"):
        if getattr(options, name):
            raise UserError(f"config.data.{name} is of a generator's batches: leave it out, a classifier has --augment")
    real = dataset.arrays("train")
    n = len(real["image"])
    count = added(settings, n)
    empty = Synthetic(np.asarray(real["image"][:0]), np.zeros((0, k), np.float32), {})
    drawn = synthetic(dataset, options, settings, count) if settings.arm in ("synthetic", "mixed") else empty
    again = Orders(n, settings.seed).at(np.arange(count)) if settings.arm == "duplicated" else np.zeros(0, int)
    rows = np.concatenate([np.zeros(0, int) if settings.arm == "synthetic" else np.arange(n), again])
    facts = {
        "images": len(rows) + len(drawn.images),
        "real": len(np.unique(rows)),
        "duplicates": len(again),
        "synthetic": len(drawn.images),
        "patients": dataset.info.patients["train"] if dataset.info.patients and len(rows) else None,
    }
    return TrainingSet(
        (real["image"], drawn.images),
        np.repeat([0, 1], [len(rows), len(drawn.images)]),
        np.concatenate([rows, np.arange(len(drawn.images))]),
        np.concatenate([real["label"][rows, :k], drawn.label]),
        facts | ({"generator": drawn.facts} if drawn.facts else {}),
    )
