"""Synthetic training images: from a folder that analysis.sample wrote, or drawn from a run and kept as one."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from analysis.downstream.options import Settings
from analysis.evaluation.folders import SAMPLES
from data import DataOptions, UserError, load
from data.cache import digest, locked
from data.dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class Synthetic:
    """Attributes: images [n, h, w, c] as stored; label [n, k], the classes asked for; facts, plain JSON."""

    images: np.ndarray
    label: np.ndarray
    facts: dict[str, Any]


def synthetic(dataset: Dataset, options: DataOptions, settings: Settings, n: int) -> Synthetic:
    """The first n images of --samples or --run.

    Args:
      options: what `dataset` was loaded with.

    Raises:
      UserError: no such images, too few, or of another size or other classes; or a generator of which it is not known
        that it learned from the training split alone.
    """
    folder = Path(settings.samples) if settings.samples else drawn(settings, n)
    images, labels, facts = read(folder)
    info = dataset.info
    if tuple(images.shape[1:]) != tuple(info.image_shape) or 8 * images.itemsize != info.bits:
        raise UserError(
            f"{folder} holds images of {images.shape[1:]} with {8 * images.itemsize} bits, {info.name} of "
            f"{tuple(info.image_shape)} with {info.bits}: draw from a run of the same config.data"
        )
    names, k = tuple(facts["label_names"]), len(info.classes)
    if names[:k] != info.classes:
        raise UserError(f"{folder} was drawn for {', '.join(names) or 'no classes'}, not {', '.join(info.classes)}")
    if len(images) < n:
        raise UserError(f"{folder} holds {len(images)} images and {n} are needed; draw --n {n}, or lower --ratio")
    facts["same_split"] = same_split(facts, dataset, options)
    if not facts["same_split"] and not settings.unchecked_split:
        raise UserError(
            f"{folder}: nothing shows that the generator learned from this training split, so that it may have seen "
            "test images; draw from a run of the same config.data, or say --unchecked_split if you know that it did not"
        )
    return Synthetic(images[:n], labels[:n, :k].astype(np.float32), facts)


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """(images, labels, facts) of samples.npz.

    Raises:
      UserError: none there, or a damaged one.
    """
    path = folder / SAMPLES
    try:
        with np.load(path) as held:
            return held["images"], held["labels"], json.loads(str(held["facts"]))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} holds no samples ({error}); make it with python -m analysis.sample") from error


def same_split(facts: dict[str, Any], dataset: Dataset, options: DataOptions) -> bool:
    """Whether the generator's training split is known to be this one, or another share of the same.

    A fingerprint is of the prepared images, their split and the share of the training patients, so that the dataset is
    prepared once more with the generator's own share and attributes.
    """
    theirs = facts.get("data")
    if not theirs:
        return False
    if theirs["fingerprint"] == dataset.info.fingerprint:
        return True
    attributes = tuple(facts["label_names"][len(dataset.info.classes) :])
    options = dataclasses.replace(options, fraction=theirs["fraction"], attributes=attributes)
    return load(options).info.fingerprint == theirs["fingerprint"]


def drawn(settings: Settings, n: int) -> Path:
    """The folder of n images of --run, drawn now if it is not there; labels as in the run's training split."""
    from analysis.run import load as load_run

    run = load_run(settings.run, settings.checkpoint)
    weights = run.folder / "checkpoints" / f"{run.step}.sha256"
    drawing = (settings.sample_seed, settings.guidance, n)
    key = digest(weights.read_text(), run.info.fingerprint, run.config.to_dict(), *drawing)
    folder = Path(settings.sample_cache) / f"{run.folder.resolve().name}_{run.step}_{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not (folder / SAMPLES).exists():
            draw(run, settings, n, folder)
    return folder


def draw(run: Any, settings: Settings, n: int, folder: Path) -> None:
    """Writes n images of a run to `folder`, as analysis.sample does.

    Guided images show their findings more plainly than real ones do, and vary less; the images of a classifier's
    training set are to be like real ones.
    """
    from analysis import sample

    if not hasattr(run.family, "sample"):
        raise UserError(f"{run.folder} is a segmenter, which draws no images; give a run of a generative family")
    command = ["--run", str(run.folder), "--checkpoint", str(run.step), "--n", str(n)]
    guidance = ["--guidance", str(settings.guidance)] if "guidance" in run.config.sample else []
    sample.main([*command, *guidance, "--seed", str(settings.sample_seed), "--out", str(folder)])


def added(settings: Settings, n: int) -> int:
    """How many images --ratio adds to n real ones.

    Raises:
      UserError: none.
    """
    count = round(settings.ratio * n)
    if not count:
        raise UserError(f"--ratio {settings.ratio} of {n} real training images is no image; give a larger one")
    return count
