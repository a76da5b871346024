"""The first samples of an evaluation in one row, kept beside its result: of one study, the same labels in every run."""

from pathlib import Path
from typing import Any

import numpy as np

from analysis.evaluation.sets import ImageSet

TILES = 16


def write_strip(path: Path, generated: ImageSet, run) -> dict[str, Any]:
    """Writes the first images side by side, in the order in which they were drawn; gives what the result says of it."""
    from analysis.grid import save_png
    from analysis.labels import caption

    tiles = generated.images[:TILES]
    strip = np.concatenate(list(tiles if tiles.dtype == np.uint8 else (tiles >> 8).astype(np.uint8)), axis=1)
    save_png(path, strip, {"run": run.folder.resolve().name, "step": str(run.step)})
    captions = [caption(label, run.info) for label in generated.label[:TILES]]
    return {"file": path.name, "tiles": len(tiles), "captions": captions}
