"""Images that repeat others: nearer in a space of features than unseen images are, or of the same perceptual hash."""

import dataclasses
from typing import Any

import numpy as np

from analysis.metrics.blocks import nearest
from analysis.metrics.patients import Groups
from analysis.metrics.shares import p_more_often, share
from data.duplicates import pairs, perceptual_hash

BITS = 40  # of 256 in which the hashes of near-duplicates differ at most, as where splits are made


def repeats_another(features: np.ndarray, threshold: float) -> np.ndarray:
    """Whether each of the images [n] has another one nearer than `threshold`; features [n, d], n >= 2."""
    return np.sqrt(nearest(features, features, 1, own=True)[0][:, 0]) < threshold


def by_hash(samples: np.ndarray, held_out: np.ndarray, train: np.ndarray, groups: Groups = None) -> dict[str, Any]:
    """Shares of samples and of held-out images [n, h, w, c] that repeat a training image, or each other, by their hash.

    Copies that were scaled, compressed or brightened have about the same hash; shifted ones need not. Of each other as
    many of both kinds are compared. `p` is the chance of as many samples or more, were they drawn like the held-out
    images.

    Args:
      groups: the patient of each held-out image.
    """
    known, *bits = (hashes(images) for images in (train, samples, held_out))
    n, names = min(len(samples), len(held_out)), ("samples", "held_out")
    of_training = dict(zip(names, (has_copy(part, known) for part in bits), strict=True))
    of_each_other = dict(zip(names, (has_copy(part[:n]) for part in bits), strict=True))
    p = p_more_often(*of_training.values(), groups)
    return {"bits": BITS, "of_training": shares_of(of_training, groups) | {"p": p},
            "of_each_other": shares_of(of_each_other, groups)}  # fmt: skip


def shares_of(flags: dict[str, np.ndarray], groups: Groups) -> dict[str, dict[str, Any]]:
    """{kind: share of true entries} of samples [n] and of held-out images [m], the first of those in `groups`."""
    owners = {"samples": None, "held_out": None if groups is None else groups[: len(flags["held_out"])]}
    return {kind: dataclasses.asdict(share(part, owners[kind])) for kind, part in flags.items()}


def hashes(images: np.ndarray) -> np.ndarray:
    """bool [n, 256]."""
    return np.stack([perceptual_hash(image) for image in images])


def has_copy(bits: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Whether each hash [n, 256] has about an equal among `others`; without any, among the rest of its own."""
    found = np.zeros(len(bits), bool)
    for rows, columns, _ in pairs(bits, bits if others is None else others, BITS):
        found[rows if others is not None else rows[rows != columns]] = True
    return found
