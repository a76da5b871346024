"""The metrics within a finding, and within a subgroup of the patients: what an average over all images hides."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from analysis.evaluation.scores import QUICK, Reference
from analysis.evaluation.sets import ImageSet, floor_pair
from data import Info
from data.attributes import OLDEST, VALUES

LEAST = 20  # images on either side that a group must have
AGES = (40, 60)  # years at which an age band ends and the next begins
MARGIN = 1e-4


def classes(generated: ImageSet, real: ImageSet, train: ImageSet, info: Info, space: str) -> dict[str, Any]:
    """{finding: {metric: {"generated", "floor", "better"}}}, and under "mean" KID's mean over the findings.

    Images that were requested with a finding beside real ones that have it, whatever else is asked for or there; and
    under "normal" those without any. Findings with fewer than LEAST images on either side are left out.
    """
    found = {}
    for name, masks in _of_classes(info, generated.label, real.label, train.label):
        rows = _group(*(s.rows(m) for s, m in zip((generated, real, train), masks, strict=True)), space)
        if rows:
            found[name] = rows
    if found:
        found["mean"] = {"kid": {
            kind: {"value": float(np.mean([rows["kid"][kind]["value"] for rows in found.values()]))}
            for kind in ("generated", "floor")
        } | {"better": "lower"}}  # fmt: skip
    return found


def subgroups(
    generated: ImageSet,
    real: ImageSet,
    train: ImageSet,
    info: Info,
    space: str,
    fidelity: Callable[[ImageSet, ImageSet], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """{attribute: {value: {metric: {"generated", "floor", "better"}, "requested": bool}}} of what the source records.

    Where the run was conditioned on the attribute, images requested with a value beside real ones that have it. Else
    all generated ones beside them: whom do they look like? Groups of fewer than LEAST images are left out.

    Args:
      fidelity: label fidelity of (real, generated) images, which goes under "label_fidelity"; None leaves it out.
    """
    found: dict[str, Any] = {}
    for column, attribute in enumerate(info.recorded):
        requested = attribute in info.attributes
        for value, inside in bands(attribute):
            parts = [s.rows(inside(s.attributes[:, column])) for s in (real, train)]
            drawn = generated
            if requested:
                asked = generated.label[:, len(info.classes) + info.attributes.index(attribute)]
                drawn = generated.rows(inside(asked))
            rows = _group(drawn, *parts, space)
            if rows:
                read = {"label_fidelity": fidelity(parts[0], drawn)} if fidelity else {}
                found.setdefault(attribute, {})[value] = rows | {"requested": requested} | read
    return found


def bands(attribute: str) -> list[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """[(name, function of values [n] -> bool [n])]: the values of an attribute, or bands of years."""
    if attribute == "age":
        edges = itertools.pairwise((0, *AGES, OLDEST + 1))
        return [(f"{a} to {b - 1}", partial(_between, low=a / 100, high=b / 100)) for a, b in edges]
    return [(name, partial(_between, low=code, high=code + 1.0)) for name, code in VALUES[attribute].items()]


def _between(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """low <= x < high; the unknown is below all. Stored in float32, hence the margin."""
    return (x > low - MARGIN) & (x < high - MARGIN)


def _of_classes(info: Info, *labels: np.ndarray) -> Iterator[tuple[str, list[np.ndarray]]]:
    k = len(info.classes)
    for j, name in enumerate(info.classes):
        yield name, [label[:, j] == 1 for label in labels]
    if k and not info.exclusive:
        yield "normal", [(label[:, :k] == 0).all(1) for label in labels]


def _group(generated: ImageSet, real: ImageSet, train: ImageSet, space: str) -> dict[str, Any]:
    if min(len(generated), len(real)) < LEAST:
        return {}
    reference = Reference(real, floor_pair(real, train, min(len(real), len(generated))))
    return reference.rows(generated, space, QUICK) | reference.rows(generated, "images", QUICK)
