"""Where a run can begin: another run, a checkpoint of one, or published PyTorch weights."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data import Info, UserError
from models.convert import unet_from_published
from models.lora import merge_factors
from models.transfer import Images
from train import rundir
from train.checkpoint import Checkpointer, content_hash, read_params
from train.weight_files import read_weights

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
Flat = dict[tuple[str, ...], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Parameters to begin from.

    Attributes:
      networks: network -> {path: array}.
      images: what they were trained on.
      model: `config.model` of the run, None where there is no config.
      facts: where they come from, as init.json and provenance.json say it: path, kind, sha256 of the weights, step,
        dataset, weights (the average or the raw ones).
    """

    networks: dict[str, Flat]
    images: Images
    model: dict[str, Any] | None
    facts: dict[str, Any]


def read_source(given: str, checkpoint: str, average: bool, images: Images) -> Source:
    """The source at `given`.

    Args:
      given: a run directory, a folder of checkpoints, one checkpoint in it, or a file of published weights.
      checkpoint: of a run: latest, best, a step, or a duration; "" is the run's own `config.checkpoint.use`.
      average: take the moving average, where one was kept.
      images: of the dataset that the model is for; a checkpoint without its run is taken to be of the same.

    Raises:
      UserError: nothing there, or nothing of these kinds.
    """
    path = Path(given).expanduser()
    if not path.exists():
        raise UserError(f"config.init.source={given!r} is not there; give a run directory or a file of weights")
    if path.is_file():
        return _read_published(path)
    if path.name.isdigit() and (path / "state").exists():
        folder, checkpoint = path.parent, path.name
    else:
        folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    if not any(folder.glob("[0-9]*/state")):
        raise UserError(
            f"config.init.source={given!r} is no run directory (no checkpoints in it) and no file of weights "
            f"({', '.join(SUFFIXES)}); give one of these"
        )
    return _read_checkpoint(path, folder, checkpoint, average, images)


def _read_checkpoint(path: Path, folder: Path, checkpoint: str, average: bool, images: Images) -> Source:
    config, info, scale, run = None, None, None, folder.parent
    if (run / "config.json").exists() and (run / "provenance.json").exists():
        config = rundir.read_json(run / "config.json")
        info = Info.from_dict(rundir.read_json(run / "provenance.json")[-1]["data"])
        images = Images(info.image_shape[-1], info.labels)
        init = config.get("init", {"train": "all"})  # runs from before there was fine-tuning have none
        scale = init["lora_alpha"] / init["lora_rank"] if init["train"] == "lora" else None
    else:
        images = Images(images.channels, None)
    step = _step(folder, checkpoint, config, info)
    saved = read_params(folder / str(step))
    chosen = {name: saved["ema"].get(name, value) if average else value for name, value in saved["params"].items()}
    if scale is not None:
        chosen = {name: merge_factors(value, scale) for name, value in chosen.items()}
    facts = {
        "path": str(path), "kind": "run" if config else "checkpoint", "sha256": content_hash(folder / str(step)),
        "step": step, "dataset": info.name if info else None, "data_fingerprint": info.fingerprint if info else None,
        "weights": {name: "average" if average and name in saved["ema"] else "raw" for name in chosen},
    }  # fmt: skip
    return Source({name: flatten(tree) for name, tree in chosen.items()}, images, config and config["model"], facts)


def _step(folder: Path, checkpoint: str, config: dict[str, Any] | None, info: Info | None) -> int:
    """The step that `checkpoint` names; its content is checked against its checksum."""
    checkpointer = Checkpointer(folder, read_only=True)
    try:
        if config is not None:
            name = checkpoint or config["checkpoint"]["use"]
            step = checkpointer.find(name, config["train"]["batch_size"], info.sizes["train"])
        else:
            step = checkpointer.find(checkpoint or "latest", 1, 1)
        if step not in checkpointer.steps:
            have = ", ".join(map(str, checkpointer.steps))
            raise UserError(f"{folder} holds no intact checkpoint of step {step}; there are: {have}")
        return step
    finally:
        checkpointer.close()


def _read_published(path: Path) -> Source:
    if path.suffix not in SUFFIXES:
        raise UserError(f"config.init.source={str(path)!r} is no file of weights; they end in {', '.join(SUFFIXES)}")
    try:
        layout, tree = unet_from_published(read_weights(path))
    except (KeyError, ValueError) as error:
        raise UserError(f"config.init.source={str(path)!r} cannot be read: {error.args[0]}") from error
    params = {name: np.asarray(array, np.float32) for name, array in flatten(tree).items()}
    facts = {
        "path": str(path), "kind": layout, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "step": None, "dataset": None, "data_fingerprint": None, "weights": {"net": "as published"},
    }  # fmt: skip
    images = Images(params["conv_in", "kernel"].shape[2], None)  # these layouts have no space-to-depth stem
    return Source({"net": params}, images, None, facts)


def flatten(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Flat:
    """Nested dicts -> {path: array}."""
    out: Flat = {}
    for name, value in tree.items():
        out |= flatten(value, (*path, name)) if isinstance(value, Mapping) else {(*path, name): np.asarray(value)}
    return out


def unflatten(flat: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    return tree
