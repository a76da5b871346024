"""Images to files: grids and PNGs that say in their metadata that they are synthetic."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

CAPTION = 14  # pixels of a line below an image
FONT = 11  # its size
REAL = "Real images beside what a model made. Not for diagnosis."
SYNTHETIC = "Synthetic image made by a generative model. Not a patient. Not for diagnosis."


def make_grid(
    images: np.ndarray, columns: int = 0, gap: int = 2, scale: int = 0, captions: Sequence[str] = ()
) -> np.ndarray:
    """Images [n, h, w, c] of uint8 or uint16 -> one picture [H, W] or [H, W, 3] of uint8, rows filled first.

    Args:
      columns: images in a row; 0 makes the grid about square.
      gap: white pixels between images.
      scale: whole factor of enlargement; 0 brings small images to about 128 pixels.
      captions: words under each image, broken after commas where they are too long; without any, no room is left.
    """
    images = images if images.dtype == np.uint8 else (images >> 8).astype(np.uint8)
    scale = scale or max(1, 128 // images.shape[1])
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    n, h, w, c = images.shape
    texts = [_broken(text, w) for text in captions]
    below = CAPTION * max((len(lines) for lines in texts), default=0)
    columns = columns or math.ceil(math.sqrt(n))
    rows, step = math.ceil(n / columns), (h + below + gap, w + gap)
    canvas = np.full((rows * step[0] - gap, columns * step[1] - gap, c), 255, np.uint8)
    for index, image in enumerate(images):
        y, x = index // columns * step[0], index % columns * step[1]
        canvas[y : y + h, x : x + w] = image
        for line, text in enumerate(texts[index] if below else ()):
            top = y + h + line * CAPTION
            canvas[top : top + CAPTION, x : x + w] = _line(text, w)[..., None]
    return canvas[..., 0] if c == 1 else canvas


def _broken(text: str, width: int) -> list[str]:
    """The text in lines that fit into so many pixels, where commas allow it."""
    font, lines = ImageFont.load_default(FONT), []
    for part in text.replace(", ", ",\n").split("\n") if text else ():
        longer = f"{lines[-1]} {part}" if lines else part
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _line(text: str, width: int) -> np.ndarray:
    """One line of text in the middle, black on white, uint8 [CAPTION, width]; what does not fit is cut."""
    picture = Image.new("L", (width, CAPTION), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT)
    draw.text((max(width - draw.textlength(text, font), 0) / 2, 1), text, fill=0, font=font)
    return np.asarray(picture)


def save_png(path: Path, image: np.ndarray, facts: Mapping[str, str], synthetic: bool = True) -> None:
    """Writes [h, w], [h, w, 1] or [h, w, 3] of uint8, or gray of uint16, whole or not at all, marked as synthetic.

    Args:
      facts: further text entries of the file.
      synthetic: False where real images are in it.
    """
    text = PngImagePlugin.PngInfo()
    text.add_text("Description", SYNTHETIC if synthetic else REAL)
    text.add_text("Synthetic", "true" if synthetic else "false")
    for key, value in facts.items():
        text.add_itxt(key, value if isinstance(value, str) else json.dumps(value))
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    temporary = path.with_suffix(".tmp")
    Image.fromarray(image).save(temporary, "PNG", pnginfo=text)
    os.replace(temporary, path)
