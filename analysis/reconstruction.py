"""How well a family that encodes images gives them back: PSNR, SSIM and a perceptual distance, image by image."""

from typing import Any

import numpy as np

from analysis.evaluation.sets import patients_of
from analysis.features import perceptual
from analysis.metrics.structure import psnr, ssim
from analysis.seg_metrics import bootstrap
from data import UserError
from data.ranges import to_uint

BATCH = 64
LEAST = 10  # images, below which the bootstrap's interval says nothing


def reconstruction(
    run, dataset, n: int, split: str = "test", distance: perceptual.PerceptualDistance | None = None
) -> dict[str, Any]:
    """Likeness of at most n images of a split and what the run's family makes of their codes.

    Each is the mean over images, its 95 % interval from a bootstrap of the patients. Beside it stands the same of
    disjoint pairs of images of two patients, drawn at random, which says what a reconstruction is worth that knows
    nothing of its image; its interval is from a bootstrap of the pairs.

    Args:
      run: what `analysis.load` gives, of a family with `reconstruct`.
      dataset: what the run was trained on.
      distance: of `perceptual.build`; in EfficientNet-Lite0 where left out.

    Returns:
      {"split", "features", "psnr", "ssim", "perceptual"}, the last three {"reconstructed": E, "another": E, "better",
      "unit"}; E is {"value", "low", "high", "n"}, all but n null where an image was given back exactly, so that its
      PSNR is infinite, and low and high where fewer than three patients are known.

    Raises:
      UserError: a family that encodes nothing, or too few images.
    """
    if not hasattr(run.family, "reconstruct"):
        raise UserError(f"{run.folder}: the family {run.config.model.family!r} encodes no images; give a run of a VAE")
    if min(n, dataset.info.sizes.get(split, 0)) < LEAST:
        raise UserError(f"reconstruction needs {LEAST} images of the split {split!r} at least")
    distance = distance or perceptual.build()
    real, made, ids = reconstructed(run, dataset, n, split)
    groups = patients_of(dataset, split, ids)
    one, other = _strangers(groups)
    result: dict[str, Any] = {"split": split, "features": distance.describe()}
    most = np.iinfo(real.dtype).max
    for name, function, better, unit in (
        ("psnr", lambda x, y: in_parts(psnr, x, y, most), "higher", "dB"),
        ("ssim", lambda x, y: in_parts(ssim, x, y, most), "higher", "1"),
        ("perceptual", distance, "lower", "1"),
    ):
        another = function(real[one], real[other]) if len(one) else np.zeros(0)  # where all are of one patient
        estimates = {"reconstructed": _estimate(function(real, made), groups), "another": _estimate(another)}
        result[name] = estimates | {"better": better, "unit": unit}
    return result


def reconstructed(run, dataset, n: int, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(stored images, the same from their codes, ids): twice [n, h, w, c] of the dataset's bits, and [n]."""
    from models.cpu import jit

    give_back, state = jit(run.family.reconstruct), run.state.replace(opt_state={})
    real, made, ids = [], [], []
    for batch in dataset.epoch(split, BATCH, limit=n):
        kept = batch["weight"] > 0
        images = np.asarray(give_back(state, {"image": batch["image"], "label": batch["label"]}))
        real.append(to_uint(batch["image"][kept], run.info.bits))
        made.append(to_uint(images[kept], run.info.bits))
        ids.append(batch["id"][kept])
    return np.concatenate(real), np.concatenate(made), np.concatenate(ids)


def _strangers(groups: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of disjoint pairs of images that are not of one patient; images are stored patient by patient."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(groups))
    half = len(order) // 2
    one, other = order[:half], order[half : 2 * half]
    apart = groups[one] != groups[other]
    return one[apart], other[apart]


def in_parts(function, x: np.ndarray, y: np.ndarray, data_range: float) -> np.ndarray:
    """`function` of BATCH pairs at a time: it computes in float64."""
    parts = [function(x[i : i + BATCH], y[i : i + BATCH], data_range) for i in range(0, len(x), BATCH)]
    return np.concatenate(parts)


def _estimate(values: np.ndarray, groups: np.ndarray | None = None) -> dict[str, Any]:
    known = len(values) and np.isfinite(values).all()
    mean, low, high = bootstrap(values, groups) if known else (None, None, None)
    return {"value": mean, "low": low, "high": high, "n": [len(values)]}
