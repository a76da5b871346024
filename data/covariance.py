"""How training images vary about the image that their label leads one to expect: a covariance of low rank, and a rest.

Directions come from one half of the images and the variances along them from the other (Abadir, Distaso and Zikes
2014), since along the directions that vary most in a sample the sample varies more than its distribution does.
"""

from typing import NamedTuple

import numpy as np

from data.label_means import LabelMeans
from data.ranges import to_float

LIMIT = 4096  # images a half, at most
VALUES = 200_000_000  # numbers a half, at most: 0.8 GB
PER_DIRECTION = 4  # images that a direction needs


class PixelCovariance(NamedTuple):
    """basis float32 [r, h w c], orthonormal rows; variance float32 [r] along them; rest: that along any other.

    In units of x in [-1, 1], squared.
    """

    basis: np.ndarray
    variance: np.ndarray
    rest: float


def pixel_covariance(
    images: np.ndarray, labels: np.ndarray, means: LabelMeans, rank: int, flip: bool = False
) -> PixelCovariance:
    """Of stored images [n, h, w, c] with labels [n, k] about `means`.

    Args:
      rank: directions at most; fewer where a half has not PER_DIRECTION images for each.
      flip: images are flipped at random in training, so that every second one of those used is.
    """
    count = max(int(min(LIMIT, VALUES // np.prod(images.shape[1:]), len(images) // 2)), 1)  # of one image, itself
    rows = np.linspace(0, len(images) - 1, 2 * count).astype(int)
    halves = [_residuals(images, labels, means, rows[part::2], flip) for part in (0, 1)]
    basis = _directions(halves[0], max(min(rank, count // PER_DIRECTION), 1))
    along = np.square(halves[1] @ basis.T).mean(0, dtype=np.float64)
    total = np.square(halves[1]).sum(1, dtype=np.float64).mean()
    rest = max(float(total - along.sum()), 1e-12 * total) / max(basis.shape[1] - len(basis), 1)
    return PixelCovariance(basis, np.maximum(along, rest).astype(np.float32), rest)


def _residuals(images, labels, means: LabelMeans, rows: np.ndarray, flip: bool) -> np.ndarray:
    """What an image is beyond what its label says, float32 [m, h w c]."""
    x, label = to_float(np.asarray(images[rows])), np.asarray(labels[rows], np.float32)
    entries = np.where(label >= 0, label - means.prevalence, 0.0).astype(np.float32)
    x -= means.maps[0] + np.tensordot(entries, means.maps[1:], 1)
    if flip:
        x[::2] = x[::2, :, ::-1]
    return x.reshape(len(rows), -1)


def _directions(x: np.ndarray, rank: int) -> np.ndarray:
    """The `rank` directions [rank, d] along which x [m, d] varies most, by the eigenvectors of x x'."""
    from scipy.linalg import eigh

    m = len(x)
    values, vectors = eigh(x @ x.T, subset_by_index=[m - rank, m - 1])
    kept = values > 1e-6 * values[-1]  # of less, rounding has made the direction
    basis = (x.T @ (vectors[:, kept] / np.sqrt(values[kept]))).T[::-1]
    return np.ascontiguousarray(np.linalg.qr(basis.T)[0].T, np.float32)
