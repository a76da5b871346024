"""Samples of an evaluation in a row, kept beside its result: the first, and those farthest from all real images."""

from pathlib import Path
from typing import Any

import numpy as np

from analysis.evaluation.sets import ImageSet
from analysis.metrics.blocks import nearest

TILES = 16


def write_strip(path: Path, generated: ImageSet, run) -> dict[str, Any]:
    """Writes the first images side by side, in the order in which they were drawn; gives what the result says of it.

    Of one study they have the same labels in every run.
    """
    return _write(path, generated, np.arange(min(TILES, len(generated))), run)


def write_worst(path: Path, generated: ImageSet, real: np.ndarray, run) -> dict[str, Any]:
    """The same of the images whose nearest real image is farthest in the first feature space, the farthest first.

    So failures are shown and not hidden. A blurred image is near to many others and may be missed by this.

    Args:
      real: [m, d] features of real images in that space.

    Returns:
      What the result says of it: beside the file "space", "distance" of each tile, and of the "real" images to the
      nearest other one "median" and "highest".
    """
    space = next(iter(generated.features))
    distance = np.sqrt(nearest(generated.features[space], real, 1)[0][:, 0])
    own = np.sqrt(nearest(real, real, 1, own=True)[0][:, 0])
    order = np.argsort(-distance, kind="stable")[:TILES]
    facts = {"space": space, "distance": distance[order].tolist(),
             "real": {"median": float(np.median(own)), "highest": float(own.max())}}  # fmt: skip
    return _write(path, generated, order, run) | facts


def _write(path: Path, generated: ImageSet, rows: np.ndarray, run) -> dict[str, Any]:
    from analysis.grid import save_png
    from analysis.labels import caption

    tiles = generated.images[rows]
    strip = np.concatenate(list(tiles if tiles.dtype == np.uint8 else (tiles >> 8).astype(np.uint8)), axis=1)
    save_png(path, strip, {"run": run.folder.resolve().name, "step": str(run.step)})
    captions = [caption(label, run.info) for label in generated.label[rows]]
    return {"file": path.name, "tiles": len(tiles), "captions": captions}
