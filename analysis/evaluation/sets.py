"""The sets of images that are compared: generated ones, real ones, and the two that say what a value means."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.metrics.patients import halves, patient_groups
from data import UserError
from data.dataset import Dataset
from data.ranges import to_float, to_uint

LEAST = 10  # images of a split that anything can be said of
GAUSSIAN_VALUES = 200_000_000  # pixels that the Gaussian is fitted to at most: 0.8 GB


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with what is known of them.

    Attributes:
      images: [n, h, w, c] as stored.
      label: [n, k]; of generated images what was asked of them.
      attributes: [n, a], -1 where unknown, in the order of `info.recorded`.
      patient: int [n], whose images they are, -1 of nobody else's.
      features: [n, d] of each feature network.
    """

    images: np.ndarray
    label: np.ndarray
    attributes: np.ndarray
    patient: np.ndarray
    features: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, rows) -> "ImageSet":
        """Some of them: a slice, a mask [n] or indices."""
        features = {name: values[rows] for name, values in self.features.items()}
        return ImageSet(self.images[rows], self.label[rows], self.attributes[rows], self.patient[rows], features)

    @property
    def groups(self) -> np.ndarray:
        """int [n] from 0, which images are of one patient."""
        return patient_groups(self.patient)

    def measured(self, networks: dict[str, Callable]) -> "ImageSet":
        """The same with the features of these networks."""
        return dataclasses.replace(self, features={name: net(self.images) for name, net in networks.items()})


def unlabelled(images: np.ndarray) -> ImageSet:
    """Images of which nothing else is known."""
    nothing = np.zeros((len(images), 0), np.float32)
    return ImageSet(images, nothing, nothing, nobody(len(images)))


def nobody(n: int) -> np.ndarray:
    """`patient` of n images that are no patient's, or each of another one's."""
    return np.full(n, -1)


def take(dataset: Dataset, split: str, n: int, seed: int) -> ImageSet:
    """At most n images of a split, drawn without replacement, in random order.

    Raises:
      UserError: no such split, or too few images in it.
    """
    if dataset.info.sizes.get(split, 0) < LEAST:
        sizes = ", ".join(f"{name} {size}" for name, size in dataset.info.sizes.items())
        raise UserError(f"--split {split}: at least {LEAST} images are needed; {dataset.info.name} has {sizes}")
    arrays = dataset.arrays(split)
    rows = _order(len(arrays["image"]), seed)[:n]
    images = np.empty((len(rows), *arrays["image"].shape[1:]), arrays["image"].dtype)
    order = np.argsort(rows)  # a file is read from its beginning to its end
    images[order] = arrays["image"][rows[order]]
    attributes = arrays.get("attributes", np.zeros((len(arrays["image"]), 0), np.float32))
    known = (np.asarray(values)[rows] for values in (arrays["label"], attributes, arrays["patient"]))
    return ImageSet(images, *known)


def floor_pair(real: ImageSet, train: ImageSet, n: int) -> tuple[ImageSet, ImageSet]:
    """Two real sets of one size, whose distance is what a perfect generator would score.

    Training images beside the real ones, n of each; where there are not so many, the halves of the real ones, which
    have no patient in common.
    """
    if min(len(real), len(train)) >= n:
        return train.rows(slice(n)), real.rows(slice(n))
    parts = halves(real.groups)
    half = min(map(len, parts))
    return tuple(real.rows(rows[:half]) for rows in parts)


def gaussian_images(images: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n images of the Gaussian with the mean and covariance of the pixels of `images` [m, h, w, c], stored likewise.

    mean + x' z / sqrt(m - 1) with z ~ N(0, I_m) and x the centred pixels has that covariance exactly, also where m is
    smaller than the number of pixels. Of very many large images some are taken, evenly spaced: sources are stored
    class by class and patient by patient.
    """
    count = min(max(GAUSSIAN_VALUES // int(np.prod(images.shape[1:])), 2), len(images))
    few = images[np.linspace(0, len(images) - 1, count).astype(int)]
    x = to_float(np.asarray(few)).reshape(len(few), -1)
    mean = x.mean(0)
    x -= mean
    rng = np.random.Generator(np.random.Philox(key=seed))
    z = rng.standard_normal((n, len(x)), np.float32) / np.float32((len(x) - 1) ** 0.5)
    return to_uint((mean + z @ x).reshape(n, *images.shape[1:]), 8 * images.dtype.itemsize)


def patients_of(dataset: Dataset, split: str, ids: np.ndarray) -> np.ndarray:
    """int [n] from 0: which images of a split, by their ids [n], are of one patient."""
    arrays = dataset.arrays(split)
    places = {number: place for place, number in enumerate(np.asarray(arrays["id"]).tolist())}
    return patient_groups(np.asarray(arrays["patient"])[[places[number] for number in ids.tolist()]])


def owners(groups: np.ndarray, named: bool) -> dict[str, Any]:
    """{"groups", "groups_are"} as results say whose images n are: how many independent groups, and what these are.

    Args:
      groups: int [n] from 0.
      named: whether the source names patients; else groups of several images are near-duplicates (`data.load`).
    """
    number = len(np.unique(groups))
    alone = "images" if number == len(groups) else "groups of near-duplicates"
    return {"groups": number, "groups_are": "patients" if named else alone}


def _order(n: int, seed: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=seed)).permutation(n)


def open_data(run, folder: str | None) -> Dataset:
    """The dataset that a run was trained on, found at `folder` where one is given."""
    from data import DataOptions
    from data import load as load_data

    options = run.config.data.to_dict() | ({"dir": folder} if folder else {})
    return load_data(DataOptions(**options))
