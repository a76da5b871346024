"""Measures of the parts of a mask: how many, how large, where."""

import numpy as np
from scipy import ndimage

SPECK = 0.002  # share of the image below which a component is no part


def measures(mask: np.ndarray, parts: int) -> dict[str, float]:
    """Of a mask [h, w] (bool) that should show `parts` parts, 1 or 2; shares of the image's area, height and width.

    Components touch by sides or corners. "components" counts all that are no specks. The largest ones are the parts,
    two of them "left" and "right" as seen in the image; nan where there are fewer.
    """
    labelled, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(labelled.ravel(), minlength=count + 1)[1:] / mask.size
    order = np.argsort(-areas, kind="stable")[:parts] + 1
    centres = [np.asarray(ndimage.center_of_mass(mask, labelled, i)) / mask.shape for i in order]
    found = {"components": float((areas >= SPECK).sum())}
    names = ("left", "right") if parts == 2 else ("",)
    if len(order) < parts:
        centres, areas, order = [np.full(2, np.nan)] * parts, np.array([np.nan]), np.ones(parts, int)
    for name, at in zip(names, np.argsort([c[1] for c in centres]), strict=True):
        ending = f"_{name}" if name else ""
        found[f"area{ending}"] = float(areas[order[at] - 1])
        found[f"y{ending}"], found[f"x{ending}"] = (float(value) for value in centres[at])
    if parts == 2:
        found["area_ratio"] = found["area_left"] / found["area_right"]
    return found


def usual_parts(masks: np.ndarray) -> int:
    """Median number of components that are no specks in masks [n, h, w]."""
    return int(np.median([measures(mask, 1)["components"] for mask in masks]))
