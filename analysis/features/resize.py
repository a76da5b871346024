"""Images at the size that a network takes, by the three rules under which Frechet distances are published.

They differ more than many models do (Parmar, Zhang and Zhu 2022, "On aliased resizing and surprising subtleties in GAN
evaluation"), so a distance says which one it is of:

  clean              Pillow's bicubic, antialiased, on each channel as floats, clipped to [0, 255]: clean-fid
  legacy-tensorflow  bilinear as in TensorFlow 1, pixel i at i, not antialiased: the first FID code, torch-fidelity
  legacy-pytorch     bilinear with pixel i at i + 1/2 (align_corners=False), not antialiased: pytorch-fid

All work on the host, as Pillow must; clean and legacy-tensorflow then give the bits of the packages named.
"""

import numpy as np
from PIL import Image

from data import UserError


def resize(images: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Images [n, h, w, c], float32 in [0, 255] -> float32 [n, size, size, c]; the sides are scaled apart.

    Raises:
      UserError: an unknown mode.
    """
    check_mode(mode)
    return MODES[mode](np.asarray(images, np.float32), size)


def check_mode(mode: str) -> None:
    if mode not in MODES:
        raise UserError(f"resize mode {mode!r} is none of {', '.join(MODES)}")


def _clean(images: np.ndarray, size: int) -> np.ndarray:
    n, height, width, channels = images.shape
    planes = np.moveaxis(images, -1, 1).reshape(-1, height, width)
    out = [np.asarray(Image.fromarray(x).resize((size, size), Image.Resampling.BICUBIC)) for x in planes]
    return np.moveaxis(np.stack(out).reshape(n, channels, size, size), 1, -1).clip(0.0, 255.0)


def _legacy_tensorflow(images: np.ndarray, size: int) -> np.ndarray:
    # Multiplied in float32, as the package does.
    return _bilinear(images, *(np.arange(size, dtype=np.float32) * _scale(n, size) for n in images.shape[1:3]))


def _legacy_pytorch(images: np.ndarray, size: int) -> np.ndarray:
    # PyTorch multiplies and subtracts in one rounding, which float64 in between has too.
    centres = np.arange(size, dtype=np.float64) + 0.5
    places = (centres * _scale(n, size) - 0.5 for n in images.shape[1:3])
    return _bilinear(images, *(np.maximum(place, 0.0).astype(np.float32) for place in places))


def _scale(old: int, new: int) -> np.float32:
    return np.float32(old / new)


def _bilinear(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values at [n, rows, columns, c] between the pixels; beyond the last one its value holds."""
    low, high, part = _neighbours(columns, images.shape[2])
    images = images[:, :, low] + (images[:, :, high] - images[:, :, low]) * part[:, None]
    low, high, part = _neighbours(rows, images.shape[1])
    return images[:, low] + (images[:, high] - images[:, low]) * part[:, None, None]


def _neighbours(places: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low = places.astype(np.int64)
    return low, np.minimum(low + 1, count - 1), places - low.astype(np.float32)


MODES = {"clean": _clean, "legacy-tensorflow": _legacy_tensorflow, "legacy-pytorch": _legacy_pytorch}
