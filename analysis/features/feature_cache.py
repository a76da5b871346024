"""Features on disk, so that images which were measured once need not go through the network again."""

import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np

from analysis.features.registry import FeatureNetwork
from data import UserError
from data.cache import digest

FORMAT = 1  # raise it when a network's code changes its features: old ones are then computed anew


def cached(network: FeatureNetwork, folder: str | Path) -> FeatureNetwork:
    """The same network, which keeps its features in `folder` and takes them from there.

    A file's name depends on the images (values, shape, dtype), the network's name and weights, and the resizing. A
    file appears whole or not at all; a damaged one is computed anew.

    Raises:
      UserError: when called, a folder that cannot be written.
    """

    def extract(images: np.ndarray) -> np.ndarray:
        path = Path(folder) / f"{key(network, images)}.npy"
        features = _read(path, len(images))
        if features is None:
            features = network(images)
            _write(path, features)
        return features

    return dataclasses.replace(network, extract=extract)


def key(network: FeatureNetwork, images: np.ndarray) -> str:
    """The network's name and 16 hex digits."""
    content = hashlib.sha256(np.ascontiguousarray(images)).hexdigest()
    return f"{network.name}_{digest(FORMAT, network.describe(), content, images.shape, images.dtype.name)}"


def _read(path: Path, count: int) -> np.ndarray | None:
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return features if len(features) == count else None


def _write(path: Path, features: np.ndarray) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, features)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(f"features cannot be kept in {path.parent} ({error}): name another folder") from error
