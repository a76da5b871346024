"""The metrics within a finding, and within a subgroup of the patients: what an average over all images hides."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from analysis.domain import findings
from analysis.evaluation.bands import bands
from analysis.evaluation.scores import OF_PARTS, Reference
from analysis.evaluation.sets import ImageSet, floor_pair
from data import Info

LEAST = 20  # images on either side that a group must have


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
            for kind in ("generated", "floor") if all(kind in rows["kid"] for rows in found.values())
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


def _of_classes(info: Info, *labels: np.ndarray) -> Iterator[tuple[str, list[np.ndarray]]]:
    k = len(info.classes)
    for j, name in enumerate(info.classes):
        yield name, [label[:, j] == 1 for label in labels]
    if k and not info.exclusive and not any(name.lower() in findings.NORMAL for name in info.classes):
        yield "normal", [findings.normal(info.classes, label[:, :k]) for label in labels]


def _group(generated: ImageSet, real: ImageSet, train: ImageSet, space: str) -> dict[str, Any]:
    if min(len(generated), len(real)) < LEAST:
        return {}
    reference = Reference(real, floor_pair(real, train, min(len(real), len(generated))))
    return reference.rows(generated, space, OF_PARTS) | reference.rows(generated, "images", OF_PARTS)
