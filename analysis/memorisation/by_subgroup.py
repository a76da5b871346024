"""Whose images are given away: membership and copies within each subgroup of patients that the source records."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.evaluation.bands import bands
from analysis.memorisation.membership import of_all
from analysis.memorisation.neighbours import Neighbours
from analysis.metrics.shares import share

LEAST = 20  # images of a subgroup on either side from which something is said of it
Found = dict[str, dict[str, dict[str, Any]]]  # {attribute: {value: what is said}}


def members_by_subgroup(
    recorded: Sequence[str],
    member: tuple[Mapping[str, np.ndarray], np.ndarray],
    unseen: tuple[Mapping[str, np.ndarray], np.ndarray],
    groups: tuple[np.ndarray, np.ndarray],
) -> Found:
    """{attribute: {value: {score: {"auc", "tpr", "fpr"}}}}: members and unseen images of one subgroup.

    Args:
      recorded: names of the attributes.
      member, unseen: scores {name: [n]}, and attributes [n, a] of the same images.
      groups: of both the patient of each image, int [n], by one numbering.
    """
    found: Found = {}
    parts = (_inside(recorded, attributes) for _, attributes in (member, unseen))
    for (name, value, ours), (*_, theirs) in zip(*parts, strict=True):
        if min(ours.sum(), theirs.sum()) >= LEAST:
            scores = ({key: values[rows] for key, values in of.items()}
                      for of, rows in ((member[0], ours), (unseen[0], theirs)))  # fmt: skip
            found.setdefault(name, {})[value] = of_all(*scores, (groups[0][ours], groups[1][theirs]))
    return found


def copied_by_subgroup(recorded: Sequence[str], near: Neighbours, limit: float, train: np.ndarray) -> Found:
    """{attribute: {value: {"copies", "training"}}}: its share of the copies' originals, and of the training images.

    An image belongs to the copies where its ratio is below the limit. {} where there are none.

    Args:
      train: [m, a] attributes of the training images; near.index counts these once more where mirrored ones follow.
    """
    originals = near.index[near.ratio < limit] % len(train)
    found: Found = {}
    for name, value, inside in _inside(recorded, train) if len(originals) else ():
        if inside.sum() >= LEAST:
            copies = dataclasses.asdict(share(inside[originals]))
            found.setdefault(name, {})[value] = {"copies": copies, "training": float(inside.mean())}
    return found


def _inside(recorded: Sequence[str], attributes: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """(attribute, value, [n] whether an image has it)."""
    for column, name in enumerate(recorded):
        for value, inside in bands(name):
            yield name, value, inside(attributes[:, column])
