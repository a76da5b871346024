"""Whether generated images show plausible anatomy, as a trained segmenter of real images sees it."""

import dataclasses
from typing import Any

import numpy as np

from analysis.domain.parts import measures, usual_parts
from analysis.features.images import in_batches
from analysis.metrics.patients import Groups, halves
from analysis.metrics.shares import share
from data import UserError
from data.ranges import to_float

CENTRAL = 0.99
FEWEST = 40


def anatomy(
    segmenter, images: np.ndarray, real_images: np.ndarray, seed: int = 0, groups: Groups = None
) -> dict[str, Any]:
    """Share of generated images whose mask has every measure within the central 99 % of real ones.

    The ranges are those of a random half of the real images; the share of the other half, without a patient of the
    first, stands beside. That is below 99 %, as each of several measures leaves out 1 %. With 200 images in a half or
    fewer the ranges are those from the least to the greatest of them, all but in name.

    Args:
      segmenter: a run of unet_seg or flow_seg (what `analysis.load` gives), or its folder.
      images: [n, h, w, c] stored samples.
      real_images: [m, h, w, c], m >= 40, that the segmenter did not learn from.
      groups: int [m] from 0, the patient of each.

    Returns:
      Plain JSON: {"segmenter", "parts", "ranges": {measure: [low, high]}, "plausible": {"generated", "real"},
      "outside": {measure: {"generated", "real"}}, "mean": {measure: {"generated", "real"}}, "implausible": [rows of
      the generated images]}. Measures are those of `analysis.domain.parts`, shares {"value", "low", "high", "n"} with
      the intervals of `share`. A measure that does not exist, as of a lung that is not there, is outside.

    Raises:
      UserError: no segmenter; images of another size; fewer than 40 real ones; masks of other than 1 or 2 parts.
    """
    if len(real_images) < FEWEST:
        raise UserError(f"anatomy: ranges need at least {FEWEST} real images, and there are {len(real_images)}")
    run = _open(segmenter, images)
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(real_images))
    groups = order if groups is None else groups[order]
    real, (one, other) = segment(run, real_images, seed)[order], halves(groups)
    if min(len(one), len(other)) < FEWEST // 2:
        raise UserError(f"anatomy: ranges need {FEWEST // 2} images in either half of the real ones, which have no "
                        f"patient in common, and there are {min(len(one), len(other))}")  # fmt: skip
    parts = usual_parts(real[one])
    if parts not in (1, 2):
        raise UserError(f"anatomy: {run.folder} finds {parts} parts in most real images; one or two can be measured")
    sets, owners = {"generated": segment(run, images, seed), "real": real[other]}, {"real": groups[other]}
    table = {kind: _table(masks, parts) for kind, masks in sets.items()}
    return _compare(table, _ranges(_table(real[one], parts)), owners) | {
        "segmenter": {"family": run.config.model.family, "dataset": run.info.name, "step": run.step},
        "parts": parts,
    }


def segment(run, images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Masks [n, h, w] (bool) of stored images: where the mean of the SDFs drawn is not above 0."""
    from analysis.segment import predictor

    predict = predictor(run, run.sample_options(), seed)
    rows = np.arange(len(images))
    return in_batches(lambda part: predict(to_float(np.asarray(images[part])), part).mean(1) <= 0, rows, 32)


def _open(segmenter, images: np.ndarray):
    from analysis.run import load

    run = segmenter if hasattr(segmenter, "family") else load(segmenter)
    if not hasattr(run.family, "predict"):
        raise UserError(f"anatomy: {run.folder} is no segmenter; train configs/unet_seg.py on this dataset")
    if tuple(images.shape[1:]) != tuple(run.info.image_shape):
        raise UserError(f"anatomy: {run.folder} segments images of {run.info.image_shape}, not {images.shape[1:]}")
    return run


def _table(masks: np.ndarray, parts: int) -> dict[str, np.ndarray]:
    """{measure: [n]}."""
    rows = [measures(mask, parts) for mask in masks]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _ranges(table: dict[str, np.ndarray]) -> dict[str, list[float]]:
    ends = [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2]
    return {name: [float(end) for end in np.nanquantile(values, ends)] for name, values in table.items()}


def _compare(
    table: dict[str, dict[str, np.ndarray]], ranges: dict[str, list[float]], groups: dict[str, np.ndarray]
) -> dict[str, Any]:
    within = {
        kind: {name: (values[name] >= low) & (values[name] <= high) for name, (low, high) in ranges.items()}
        for kind, values in table.items()
    }
    good = {kind: np.all(list(rows.values()), axis=0) for kind, rows in within.items()}
    return {
        "ranges": ranges,
        "plausible": {kind: _share(rows, groups.get(kind)) for kind, rows in good.items()},
        "outside": {
            name: {kind: _share(~rows[name], groups.get(kind)) for kind, rows in within.items()} for name in ranges
        },
        "mean": {name: {kind: _mean(values[name]) for kind, values in table.items()} for name in ranges},
        "implausible": np.flatnonzero(~good["generated"]).tolist(),
    }


def _share(hits: np.ndarray, groups: Groups) -> dict[str, Any]:
    return dataclasses.asdict(share(hits, groups))


def _mean(values: np.ndarray) -> float | None:
    exists = np.isfinite(values)
    return float(values[exists].mean()) if exists.any() else None
