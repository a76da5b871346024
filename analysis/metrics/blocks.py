"""Distances between two sets of features, a block at a time, so that memory does not grow with the sets."""

from collections.abc import Iterator

import numpy as np

ROWS, COLUMNS = 1024, 8192  # of distances in memory at once: 64 MiB an array, whatever the size of the sets


def distance_blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """(rows of x, rows of y, their squared distances) of all parts in turn; features [n, d] and [m, d]."""
    centre = x.mean(0, dtype=np.float64)  # of smaller numbers fewer digits cancel
    rounding = x.shape[1] * np.finfo(np.float64).eps
    for i in range(0, len(x), ROWS):
        rows = slice(i, min(i + ROWS, len(x)))
        a = x[rows] - centre
        for j in range(0, len(y), COLUMNS):
            columns = slice(j, min(j + COLUMNS, len(y)))
            b = y[columns] - centre
            size = np.square(a).sum(1)[:, None] + np.square(b).sum(1)
            distance = size - 2.0 * (a @ b.T)
            distance[distance < rounding * size] = 0.0  # copies are at no distance
            yield rows, columns, distance


def nearest(x: np.ndarray, y: np.ndarray, k: int, own: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(squared distances [n, k], rows of y [n, k]) of the k nearest features y [m, d] to each of x [n, d], in order.

    Args:
      own: y is x, and no feature counts as its own neighbour.

    Raises:
      ValueError: fewer than k neighbours, features of different length, or features that are not finite.
    """
    if x.shape[1:] != y.shape[1:] or len(y) - own < k:
        raise ValueError(f"features of shape {x.shape} and {y.shape}: {k} neighbours of one length are needed")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("features are not finite")
    best, index = np.full((len(x), k), np.inf), np.zeros((len(x), k), int)
    for rows, columns, distance in distance_blocks(x, y):
        if own:
            same = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
            distance[same - rows.start, same - columns.start] = np.inf
        part, names = _smallest(distance, min(k, distance.shape[1]))
        both = np.concatenate([best[rows], part], 1), np.concatenate([index[rows], names + columns.start], 1)
        best[rows], order = _smallest(both[0], k)
        index[rows] = np.take_along_axis(both[1], order, 1)
    return best, index


def _smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest of each row [n, m] in order, and their columns."""
    columns = np.argpartition(values, k - 1, 1)[:, :k]
    found = np.take_along_axis(values, columns, 1)
    order = np.argsort(found, 1, kind="stable")
    return np.take_along_axis(found, order, 1), np.take_along_axis(columns, order, 1)
