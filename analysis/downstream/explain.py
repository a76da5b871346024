"""What a classifier looks at: Grad-CAM and LIME on test images, and how much of each lies inside the finding's mask."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from analysis.downstream.fit import Fitted
from analysis.downstream.grad_cam import grad_cam
from analysis.downstream.lime_maps import lime_map
from analysis.downstream.measures import ALL
from analysis.downstream.predictions import probabilities
from analysis.features.images import levels
from analysis.grid import make_grid, save_png
from analysis.metrics.intervals import Estimate
from analysis.metrics.patients import student_95
from analysis.progress import progress
from data.dataset import Dataset
from data.draws import Turns
from data.prepare import DRAWN

# The mask within which a finding lies. The chest phantom's lungs are the whole pleural space, with what fills it.
MASK_OF = {
    "phantom_cxr": {"pneumonia": "lungs", "pneumothorax": "lungs", "effusion": "lungs", "cardiomegaly": "heart"},
    "phantom_mri": {"tumour": "tumour"},
    "phantom_tissue": {"gland": "gland", "lesion": "lesion"},
    "phantom_us": {"cyst": "lesion", "benign": "lesion", "malignant": "lesion"},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """n test images with what explains a class of each.

    Attributes:
      rows: [n] of the test split.
      images: [n, h, w, c] as stored.
      column: [n] class explained, one that the image has.
      maps: {method: [n, h, w]}, at least 0.
      mask: bool [n, h, w], all False where none is known.
      probability: [n] of that class.
    """

    rows: np.ndarray
    images: np.ndarray
    column: np.ndarray
    maps: dict[str, np.ndarray]
    mask: np.ndarray
    probability: np.ndarray


def explain(fitted: Fitted, dataset: Dataset, n: int, samples: int) -> Explained:
    """At most n test images that have a class, the classes taking turns; the class explained is that one.

    Args:
      samples: perturbed copies in LIME.
    """
    test, classes = dataset.arrays("test"), dataset.info.classes
    rows, column = chosen(test["label"][:, : len(classes)], n)
    images = np.stack([test["image"][row] for row in rows])
    classify = lambda part: probabilities(fitted.logits(part), fitted.exclusive)  # noqa: E731
    maps = {"grad_cam": grad_cam(fitted.network, fitted.params, images, column), "lime": np.zeros(images.shape[:3])}
    with progress("LIME", len(rows)) as report:
        for i, image in enumerate(images):
            maps["lime"][i] = lime_map(classify, image, int(column[i]), samples, i)
            report(i + 1)
    mask = np.stack([_mask(dataset, test, row, classes[j]) for row, j in zip(rows, column, strict=True)])
    return Explained(rows, images, column, maps, mask, classify(images)[np.arange(len(rows)), column])


def chosen(label: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) of at most n positives of labels [m, k]: the classes take turns, each in an order of its own."""
    columns = [j for j, column in enumerate(label.T) if (column == 1).any()]
    rows = Turns([np.flatnonzero(label[:, j] == 1) for j in columns], seed=0).at(np.arange(n))
    pairs = np.stack([rows, np.resize(columns, n)], 1)
    first = np.sort(np.unique(pairs, axis=0, return_index=True)[1])  # a rare class has come round again
    return pairs[first, 0], pairs[first, 1]


def _mask(dataset: Dataset, test: dict[str, np.ndarray], row: int, name: str) -> np.ndarray:
    channel = MASK_OF.get(dataset.info.name, {}).get(name)
    if channel is None:
        return np.zeros(dataset.info.image_shape[:2], bool)
    return test["mask"][row][..., dataset.info.mask_channels.index(channel)] > 0


def inside(explained: Explained, classes: tuple[str, ...]) -> dict[str, Any] | None:
    """How much of each map lies within the finding's mask, beside the mask's share of the image; None without masks.

    {method: {"all" or class: {"inside", "area", "excess": estimates, "empty"}}}: the means over images of the map's
    share inside, of the mask's area as a share of the image, and of their difference, with Student's intervals over
    images (None of a single one). A map that is spread evenly, or does not know where the finding is, has an excess of
    about 0. `empty` counts maps that are all 0, which are left out.
    """
    with_mask = explained.mask.any((1, 2))
    if not with_mask.any():
        return None
    groups = {ALL: with_mask} | {name: with_mask & (explained.column == j) for j, name in enumerate(classes)}
    return {
        method: {name: _shares(maps[rows], explained.mask[rows]) for name, rows in groups.items() if rows.any()}
        for method, maps in explained.maps.items()
    }


def _shares(maps: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    total = maps.sum((1, 2))
    maps, mask = maps[total > 0], mask[total > 0]
    area = mask.mean((1, 2))
    share = (maps * mask).sum((1, 2)) / total[total > 0]
    parts = {"inside": share, "area": area, "excess": share - area}
    return {part: _mean(values) for part, values in parts.items()} | {"empty": int((total == 0).sum())}


def _mean(values: np.ndarray) -> dict[str, Any] | None:
    if len(values) < 2:
        return None
    mean, half = float(values.mean()), student_95(len(values)) * float(values.std(ddof=1)) / len(values) ** 0.5
    return dataclasses.asdict(Estimate(mean, mean - half, mean + half, (len(values),)))


def save_figure(path: Path, explained: Explained, dataset: Dataset, most: int = 8) -> None:
    """A PNG of a few of the images: as they are, the mask where there is one, and each map from 0 to its own highest.

    It holds test images: of real data it is not to be published.
    """
    tiles, captions, masked = [], [], explained.mask.any()
    for i in range(min(most, len(explained.rows))):
        gray = levels(explained.images[i : i + 1])[0].mean(-1) / 255.0
        layers = {dataset.info.classes[explained.column[i]]: np.zeros_like(gray)}
        layers |= {"mask": explained.mask[i]} if masked else {}
        layers |= {f"Grad-CAM, p {explained.probability[i]:.2f}": explained.maps["grad_cam"][i]}
        layers |= {"LIME": explained.maps["lime"][i]}
        tiles += [_tinted(gray, layer) for layer in layers.values()]
        captions += list(layers)
    grid = make_grid(np.stack(tiles), 2 * len(layers), captions=captions)
    save_png(path, grid, {"dataset": dataset.info.name}, synthetic=dataset.info.name in DRAWN)


def _tinted(gray: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Gray [h, w] in [0, 1], red where the layer [h, w] is high: uint8 [h, w, 3]."""
    share = 0.6 * (layer / max(float(layer.max()), 1e-12))[..., None]
    return np.rint(255 * ((1 - share) * gray[..., None] + share * np.array([1.0, 0.1, 0.0]))).astype(np.uint8)
