"""Images to files: grids and PNGs that say in their metadata that they are synthetic."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

SYNTHETIC = "Synthetic image made by a generative model. Not a patient. Not for diagnosis."


def make_grid(images: np.ndarray, columns: int = 0, gap: int = 2, scale: int = 0) -> np.ndarray:
    """Images [n, h, w, c] of uint8 or uint16 -> one picture [H, W] or [H, W, 3] of uint8, rows filled first.

    Args:
      columns: images in a row; 0 makes the grid about square.
      gap: white pixels between images.
      scale: whole factor of enlargement; 0 brings small images to about 128 pixels.
    """
    images = images if images.dtype == np.uint8 else (images >> 8).astype(np.uint8)
    scale = scale or max(1, 128 // images.shape[1])
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, c), 255, np.uint8)
    for index, image in enumerate(images):
        y, x = index // columns * (h + gap), index % columns * (w + gap)
        canvas[y : y + h, x : x + w] = image
    return canvas[..., 0] if c == 1 else canvas


def save_png(path: Path, image: np.ndarray, facts: Mapping[str, str]) -> None:
    """Writes [h, w], [h, w, 1] or [h, w, 3] of uint8, or gray of uint16, whole or not at all, marked as synthetic.

    Args:
      facts: further text entries of the file.
    """
    text = PngImagePlugin.PngInfo()
    text.add_text("Description", SYNTHETIC)
    text.add_text("Synthetic", "true")
    for key, value in facts.items():
        text.add_itxt(key, value if isinstance(value, str) else json.dumps(value))
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    temporary = path.with_suffix(".tmp")
    Image.fromarray(image).save(temporary, "PNG", pnginfo=text)
    os.replace(temporary, path)
