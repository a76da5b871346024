"""Published measures of copying: authenticity and the data-copying test."""

import dataclasses

import numpy as np
from scipy import stats

from analysis.memorisation.neighbours import Neighbours
from analysis.metrics.blocks import nearest

COMPONENTS, CELLS = 64, 3  # principal components and cells of the data-copying test
FEWEST = 20  # samples and held-out images in a cell that is counted


def authentic(neighbours: Neighbours, train_own: np.ndarray) -> np.ndarray:
    """Whether each of n images is authentic, bool [n]: its nearest training image has a nearer one among its own kind.

    Its share is AuthPct (Alaa et al. 2022, section 4). Blurred images fail it without being copies.

    Args:
      train_own: [m] distance of each training image to the nearest other one.
    """
    return train_own[neighbours.index] < neighbours.distance


@dataclasses.dataclass(frozen=True)
class Copying:
    """C_T (far below 0: samples are nearer to training images than held-out ones are) and its one-sided P.

    `cells` is the number of cells counted, `n` (samples, held-out images) in them.
    """

    value: float
    p: float
    cells: int
    n: tuple[int, int]


def data_copying(samples: np.ndarray, train: np.ndarray, held_out: np.ndarray, seed: int = 0) -> Copying | None:
    """The data-copying test of features [n, d], [m, d] and [l, d] (Meehan, Chaudhuri and Dasgupta 2020, eq. 3).

    The space of the first principal components of the training features is cut into cells by k-means; in each cell
    with enough images, Z is the standardised Mann-Whitney U of the samples' distances to the nearest training image
    against the held-out images'; C_T is their mean, weighted by the held-out images in each. Under equal distributions
    each Z is about standard normal, from which P. Z grows with the number of images: compare at one n.

    Returns:
      None where no cell has enough of both.
    """
    from scipy.cluster.vq import kmeans2

    # A principal component changes no distance but by what it leaves out.
    centre = train.mean(0, dtype=np.float64)
    axes = principal_axes(train - centre)
    train, samples, held_out = ((a - centre) @ axes for a in (train, samples, held_out))
    rows = np.random.Generator(np.random.Philox(key=seed)).permutation(len(train))[:CELLS]
    centres = kmeans2(train, train[rows], minit="matrix")[0]
    far, cell = {}, {}
    for name, features in (("samples", samples), ("held_out", held_out)):
        far[name] = nearest(features, train, 1)[0][:, 0]
        cell[name] = nearest(features, centres, 1)[1][:, 0]
    scores, weights, n = [], [], np.zeros(2, int)
    for i in range(len(centres)):
        one, other = (far[name][cell[name] == i] for name in ("samples", "held_out"))
        if min(len(one), len(other)) >= FEWEST:
            scores.append(mann_whitney_z(one, other))
            weights.append(len(other))
            n += (len(one), len(other))
    if not scores:
        return None
    weights = np.array(weights) / sum(weights)
    value = float(weights @ scores)
    p = stats.norm.cdf(value / np.sqrt(np.square(weights).sum()))
    return Copying(value, float(p), len(scores), (int(n[0]), int(n[1])))


def principal_axes(centred: np.ndarray) -> np.ndarray:
    """The COMPONENTS directions [d, k] in which centred features [n, d] vary most; all, where there are fewer."""
    from scipy.sparse.linalg import svds

    least = min(centred.shape)
    if least <= COMPONENTS:
        return np.linalg.svd(centred, full_matrices=False)[2].T
    start = np.random.Generator(np.random.Philox(key=0)).normal(size=least)
    return svds(centred, COMPONENTS, v0=start)[2].T


def mann_whitney_z(one: np.ndarray, other: np.ndarray) -> float:
    """(U - E U) / deviation of U, the number of pairs in which `one` [m] is above `other` [n], ties counted half."""
    m, n = len(one), len(other)
    u = stats.rankdata(np.concatenate([one, other]))[:m].sum() - m * (m + 1) / 2
    return float((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))
