"""The mean image that a label leads one to expect: a ridge regression of the training pixels on the label."""

from typing import NamedTuple

import numpy as np

from data.ranges import to_float

ROWS = 256  # images in memory at once


class LabelMeans(NamedTuple):
    """x is expected to be maps[0] + sum over known entries of (label_j - prevalence_j) maps[1 + j].

    maps: float32 [k + 1, h, w, c], in units of x in [-1, 1]; prevalence: float32 [k], the mean of each known entry;
    std: what is left, the root mean square of x minus its expectation.
    """

    maps: np.ndarray
    prevalence: np.ndarray
    std: float


def label_means(
    images: np.ndarray, labels: np.ndarray, flip: bool = False, ridge: float = 100.0, limit: int = 20_000
) -> LabelMeans:
    """Fits the maps to stored images [n, h, w, c] and labels [n, k] (-1: unknown, which says nothing).

    Args:
      flip: images are flipped at random in training, so that every map is made symmetric.
      ridge: images' worth of evidence that a label does nothing; the effect of a finding with m cases is shrunk by
        m / (m + ridge), since a mean of few images is mostly noise (and, of one image, that image).
      limit: images used at most, evenly spaced.
    """
    rows = np.linspace(0, len(images) - 1, min(limit, len(images))).astype(int)
    labels = np.asarray(labels[rows], np.float64)
    known = labels >= 0
    prevalence = np.where(known, labels, 0).sum(0) / np.maximum(known.sum(0), 1)
    design = np.where(known, labels - prevalence, 0.0)
    shape, moments = images.shape[1:], np.zeros((design.shape[1] + 1, int(np.prod(images.shape[1:]))))
    squares = 0.0
    for start in range(0, len(rows), ROWS):
        x = np.asarray(to_float(images[rows[start : start + ROWS]]), np.float64).reshape(-1, moments.shape[1])
        part = design[start : start + ROWS]
        moments[0] += x.sum(0)
        moments[1:] += part.T @ x
        squares += np.square(x).sum()
    base, gram = moments[0] / len(rows), design.T @ design
    across = moments[1:] - np.outer(design.sum(0), base)
    cases = np.maximum(np.where(known, labels, 0).sum(0), 1.0)
    slopes = np.linalg.solve(gram + ridge * np.diag(np.maximum(np.diag(gram), 1e-6) / cases), across)
    maps = np.concatenate([base[None], slopes]).reshape(-1, *shape)
    if flip:
        maps = 0.5 * (maps + maps[:, :, ::-1])
        # about a symmetric map, images and their mirror images have one and the same mean square
        base, slopes = maps.reshape(len(maps), -1)[0], maps.reshape(len(maps), -1)[1:]
    left = squares - 2 * base @ moments[0] + len(rows) * np.square(base).sum()
    left += np.sum(slopes * (gram @ slopes)) - 2 * np.sum(slopes * (moments[1:] - np.outer(design.sum(0), base)))
    std = float(np.sqrt(max(left, 1e-12) / (len(rows) * base.size)))
    return LabelMeans(maps.astype(np.float32), prevalence.astype(np.float32), std)
