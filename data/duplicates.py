"""Images that are nearly the same, found by their perceptual hashes.

Where a source names no patient, neighbouring slices and copies of one image would fall into different splits and a
model would be tested on what it was trained on. They are therefore found, and kept together.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

SIDE = 16  # of the hash: 256 bits
_BLOCK = 4096  # images compared with each other at once


def perceptual_hash(pixels: np.ndarray) -> np.ndarray:
    """The signs of the image's lowest frequencies against their median (pHash, by the package imagehash).

    Args:
        pixels: [h, w] or [h, w, c], of any range; colour is averaged and the range is stretched to 8 bits.

    Returns:
        bool [256]. Copies that were scaled, compressed or brightened differ in few bits, unrelated images in about 128.
    """
    import imagehash

    gray = pixels.astype(np.float32) if pixels.ndim == 2 else pixels.mean(-1, dtype=np.float32)
    low, high = gray.min(), gray.max()
    stretched = np.rint((gray - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    return imagehash.phash(Image.fromarray(stretched), hash_size=SIDE).hash.ravel()


def pairs(one: np.ndarray, other: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of hashes that differ in at most `distance` bits, a block at a time, so that memory stays bounded.

    Args:
        one, other: bool [n, 256], [m, 256].

    Yields:
        (rows of `one`, rows of `other`, bits that differ), int [p] each.
    """
    signs = [np.where(bits, 1, -1).astype(np.float32) for bits in (one, other)]
    for i in range(0, len(one), _BLOCK):
        for j in range(0, len(other), _BLOCK):
            yield _near(signs[0], signs[1], i, j, distance)


def pairs_within(bits: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The same of one set of hashes, bool [n, 256]: each pair once, the smaller row first, and none with itself."""
    signs = np.where(bits, 1, -1).astype(np.float32)
    for i in range(0, len(bits), _BLOCK):
        for j in range(i, len(bits), _BLOCK):
            rows, columns, differ = _near(signs, signs, i, j, distance)
            once = rows < columns
            yield rows[once], columns[once], differ[once]


def _near(one: np.ndarray, other: np.ndarray, i: int, j: int, distance: int):
    """Of the block that begins at (i, j); one, other: 1 and -1, float [n, 256], [m, 256]."""
    differ = (one.shape[1] - one[i : i + _BLOCK] @ other[j : j + _BLOCK].T) / 2
    rows, columns = np.nonzero(differ <= distance)
    return rows + i, columns + j, differ[rows, columns].astype(int)


def groups(bits: np.ndarray, distance: int) -> np.ndarray:
    """The number of each image's group, int [n]: images are together if a chain of near-duplicates joins them.

    Pairs are forgotten as soon as they have joined their groups, since a set of copies has very many.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(bits)
    number = np.arange(n)
    for rows, columns, _ in pairs_within(bits, distance):
        one, other = number[rows], number[columns]
        new = one != other
        if new.any():
            graph = coo_matrix((np.ones(new.sum(), bool), (one[new], other[new])), shape=(n, n))
            number = connected_components(graph, directed=False)[1][number]
    return number


def leaders(keys: list[str], images: Iterable[np.ndarray], distance: int) -> dict[str, str]:
    """For each image that has near-duplicates, by its key, the first key of its group.

    Args:
        keys: names of the images.
        images: their pixels, in the same order.
        distance: bits in which the hashes of near-duplicates differ at most.
    """
    number = groups(np.stack([perceptual_hash(pixels) for pixels in images]), distance)
    members = {}
    for key, group in sorted(zip(keys, number, strict=True)):
        members.setdefault(group, []).append(key)
    return {key: group[0] for group in members.values() if len(group) > 1 for key in group}
