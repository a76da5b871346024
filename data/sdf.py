"""Signed distance functions of masks, truncated and scaled to [-1, 1], and back.

Distances are exact and Euclidean, in pixels, below zero inside unless asked otherwise. The half-pixel convention puts
the zero between the last pixel inside and the first one outside, so that every pixel is at least half a pixel from it
and small errors of a prediction do not change the mask. The boundary convention is that of FlowSDF's published code:
the mask's own border pixels are at 0, where any error above 0 removes them.
"""

import numpy as np
from scipy import ndimage

CONVENTIONS = ("half_pixel", "boundary")


def sdf_of_mask(
    mask: np.ndarray, truncation: float, convention: str = "half_pixel", inside_positive: bool = False
) -> np.ndarray:
    """[h, w] of {0, 1} -> float32 [h, w] in [-1, 1]; an empty mask is 1 everywhere, a full one -1.

    Args:
      truncation: distance in pixels that becomes 1.
      convention: half_pixel or boundary.
      inside_positive: the other sign.

    Raises:
      ValueError: another convention, a truncation that is not above 0, or a mask of other values or dimensions.
    """
    values = np.asarray(mask)
    if values.ndim != 2 or not np.isin(values, (0, 1)).all():
        raise ValueError(f"a mask is [h, w] of 0 and 1, not {values.shape} of {np.unique(values)[:4]}")
    if convention not in CONVENTIONS or truncation <= 0:
        raise ValueError(f"convention {convention!r}, truncation {truncation}: use {' or '.join(CONVENTIONS)}, above 0")
    inside = values.astype(bool)
    if not inside.any() or inside.all():
        distance = np.where(inside, -np.inf, np.inf)
    elif convention == "half_pixel":
        outer, inner = (ndimage.distance_transform_edt(region) - 0.5 for region in (~inside, inside))
        distance = np.where(inside, -inner, outer)
    else:
        border = inside & ~ndimage.binary_erosion(inside, border_value=0)
        distance = ndimage.distance_transform_edt(~border)
        distance = np.where(inside, -distance, distance)
    scaled = np.clip(distance / truncation, -1.0, 1.0)
    return (-scaled if inside_positive else scaled).astype(np.float32)


def mask_of_sdf(sdf: np.ndarray, inside_positive: bool = False) -> np.ndarray:
    """uint8 of {0, 1} in the shape of `sdf`: 1 where it is not outside (SDF <= 0)."""
    return ((sdf >= 0) if inside_positive else (sdf <= 0)).astype(np.uint8)
