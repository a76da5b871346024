"""Images that repeat others: nearer in a space of features than unseen images are, or of the same perceptual hash."""

import dataclasses
from typing import Any

import numpy as np

from analysis.metrics.blocks import nearest
from analysis.metrics.shares import p_more_often, share
from data.duplicates import pairs, perceptual_hash

BITS = 40  # of 256 in which the hashes of near-duplicates differ at most, as where splits are made


def repeats_another(features: np.ndarray, threshold: float) -> np.ndarray:
    """Whether each of the images [n] has another one nearer than `threshold`; features [n, d], n >= 2."""
    return np.sqrt(nearest(features, features, 1, own=True)[0][:, 0]) < threshold


def by_hash(samples: np.ndarray, held_out: np.ndarray, train: np.ndarray) -> dict[str, Any]:
    """Shares of samples and of held-out images [n, h, w, c] that repeat a training image, or each other, by their hash.

    Copies that were scaled, compressed or brightened have about the same hash; shifted ones need not. Of each other as
    many of both kinds are compared. `p` is the chance of as many samples or more, were they drawn like the held-out
    images.
    """
    known, *bits = (hashes(images) for images in (train, samples, held_out))
    n, names = min(len(samples), len(held_out)), ("samples", "held_out")
    of_training = [has_copy(part, known) for part in bits]
    shares = {name: dataclasses.asdict(share(flags)) for name, flags in zip(names, of_training, strict=True)}
    of_each_other = {
        name: dataclasses.asdict(share(has_copy(part[:n]))) for name, part in zip(names, bits, strict=True)
    }
    return {"bits": BITS, "of_training": shares | {"p": p_more_often(*of_training)}, "of_each_other": of_each_other}


def hashes(images: np.ndarray) -> np.ndarray:
    """bool [n, 256]."""
    return np.stack([perceptual_hash(image) for image in images])


def has_copy(bits: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Whether each hash [n, 256] has about an equal among `others`; without any, among the rest of its own."""
    found = np.zeros(len(bits), bool)
    for rows, columns, _ in pairs(bits, bits if others is None else others, BITS):
        found[rows if others is not None else rows[rows != columns]] = True
    return found
