"""Whether requested findings are seen in generated images, and others are not, by a classifier of real images."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.domain.classifier import auroc_of_known, classifier
from analysis.domain.factors import OTHER
from analysis.metrics.patients import Groups, patient_groups
from analysis.metrics.shares import share

SPECIFICITY = 0.95
FEWEST = 20  # real images without a finding that a threshold can be set on: one in 20 is above it
NORMAL = ("normal", "no finding")


class Read(NamedTuple):
    """What the classifier says of images: logits [n, k] beside labels [n, k], and whose images they are."""

    logits: np.ndarray
    labels: np.ndarray
    groups: Groups = None


def findings(
    dataset, images: np.ndarray, labels: np.ndarray, seed: int = 0, split: str = "test",
    folder: str | Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Label fidelity, finding by finding, and findings that nobody asked for.

    A finding is seen where its logit is above that of 95 % of the real normal images of the other of val and test (of
    those without that finding, where normals are fewer than 20). The thresholds are taken as they are: the intervals
    (see `share`, over the patients) are of the shares alone.

    Args:
      dataset: data.dataset.Dataset with classes.
      images: [n, h, w, c] stored samples.
      labels: [n, k] what was asked of them.
      split: real images to compare with, val or test.
      folder: where the classifier is kept, see `analysis.domain.store.kept`.

    Returns:
      Plain JSON. "label_fidelity": {finding: {"real": {"auroc", "interval", "n"}, "samples": the same}}.
      "seen": {finding: {"generated": share of images asked for it in which it is seen, "real": the same of images that
      have it, "false": {"generated", "real"}: shares of normals, "threshold_from", "threshold_n"}}.
      "false_findings": {"generated", "real"}: shares of normals in which any finding is seen; None for a dataset
      without normals. A share is {"value", "low", "high", "n"} or None where n is 0.

    Raises:
      UserError: a dataset without classes, or without one of the splits.
    """
    reader, info = classifier(dataset, folder, seed), dataset.info
    real, held = dataset.arrays(split), dataset.arrays(OTHER[split])
    k = len(info.classes)
    sets = {
        "generated": Read(reader.outputs(images), labels[:, :k]),
        "real": Read(reader.outputs(real["image"]), real["label"][:, :k], patient_groups(np.asarray(real["patient"]))),
    }
    limits = _thresholds(info.classes, reader.outputs(held["image"]), held["label"][:, :k])
    return {
        "label_fidelity": _fidelity(info.classes, sets["real"], sets["generated"]),
        "seen": {name: _seen(j, limits[name], sets, info.classes) for j, name in enumerate(info.classes)
                 if name in limits},
        "false_findings": _any_seen(limits, sets, info.classes),
    }  # fmt: skip


def fidelity(
    dataset, real: tuple[np.ndarray, ...], generated: tuple[np.ndarray, ...], seed: int = 0,
    folder: str | Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Label fidelity alone, of parts of the images: "label_fidelity" of `findings`.

    Args:
      real, generated: (stored images [n, h, w, c], labels [n, k], and where several may be of one patient, int [n]
        from 0 whose they are).
    """
    reader, k = classifier(dataset, folder, seed), len(dataset.info.classes)
    read = [Read(reader.outputs(images), labels[:, :k], *groups) for images, labels, *groups in (real, generated)]
    return _fidelity(dataset.info.classes, *read)


def _fidelity(classes: tuple[str, ...], real: Read, generated: Read) -> dict[str, Any]:
    sets = {"real": real, "samples": generated}
    return {
        name: {kind: auroc_of_known(of.logits[:, j], of.labels[:, j], of.groups) for kind, of in sets.items()}
        for j, name in enumerate(classes)
    }


def normal(classes: tuple[str, ...], labels: np.ndarray) -> np.ndarray:
    """Which rows of [n, k] are of normal images, bool [n]: of the class of that name, else of no class."""
    named = [name.lower() in NORMAL for name in classes]
    if any(named):
        return labels[:, named.index(True)] == 1
    return (labels == 0).all(1)


def _thresholds(classes: tuple[str, ...], scores: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, Any]]:
    """{finding: {"limit", "from", "n"}} of those with real images enough that lack it."""
    found, quiet = {}, normal(classes, labels)
    for j, name in enumerate(classes):
        kind, rows = ("normal", quiet) if quiet.sum() >= FEWEST else ("without it", labels[:, j] == 0)
        if name.lower() not in NORMAL and rows.sum() >= FEWEST:
            limit = np.quantile(scores[rows, j], SPECIFICITY, method="higher")
            found[name] = {"limit": limit, "from": kind, "n": int(rows.sum())}
    return found


def _seen(j: int, limit: dict[str, Any], sets: dict[str, Read], classes: tuple[str, ...]) -> dict[str, Any]:
    shares: dict[str, Any] = {"threshold_from": limit["from"], "threshold_n": limit["n"], "false": {}}
    for kind, of in sets.items():
        hits = of.logits[:, j] > limit["limit"]
        shares[kind] = _share(hits, of.labels[:, j] == 1, of.groups)
        shares["false"][kind] = _share(hits, normal(classes, of.labels), of.groups)
    return shares


def _any_seen(
    limits: dict[str, dict[str, Any]], sets: dict[str, Read], classes: tuple[str, ...]
) -> dict[str, Any] | None:
    columns = [classes.index(name) for name in limits]
    limit = np.array([limits[name]["limit"] for name in limits])
    rows = {kind: normal(classes, of.labels) for kind, of in sets.items()}
    if not columns or not rows["real"].any():
        return None
    return {kind: _share((of.logits[:, columns] > limit).any(1), rows[kind], of.groups) for kind, of in sets.items()}


def _share(hits: np.ndarray, rows: np.ndarray, groups: Groups) -> dict[str, Any] | None:
    """Of hits [n], those of some rows, a mask [n]."""
    return dataclasses.asdict(share(hits[rows], None if groups is None else groups[rows])) if rows.any() else None
