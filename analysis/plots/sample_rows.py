"""Samples side by side: a row a run, the same labels in every column."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.comparison.comparable import describe_images, labels
from analysis.comparison.result_files import Result
from analysis.plots.drawing import Drawing, NothingToDraw
from analysis.plots.style import PAGE, new_figure, styled

COLUMNS = 8  # tiles in a line; more go on in a further block
LETTER, LINE = 0.065, 0.12  # inches: width of a letter of a run's name, height of a line of a caption
GAP = 0.03  # of a tile, between tiles


@styled
def draw(results: Sequence[Result]) -> Drawing:
    """The strips of samples that lie beside the result files.

    Raises:
      NothingToDraw: no result has a strip.
    """
    held = [result for result in results if (result.content.get("grid") or {}).get("file")]
    strips = {result: tiles for result in held if (tiles := _tiles(result)) is not None}
    if not strips:
        raise NothingToDraw("no result has a strip of samples beside it (grid.file)")
    captions = _captions(next(iter(strips)))
    rows = [result for result in strips if _captions(result) == captions and len(strips[result]) == len(captions)]
    left = [result.path.name for result in results if result not in rows]
    figure = rows_figure([strips[result] for result in rows], labels(rows), [_lines(caption) for caption in captions])
    caption = (
        f"The first {len(captions)} synthetic samples of each run, not chosen, with the same labels in every row. "
        f"{describe_images(rows[0])}. Not for diagnosis."
        + (f" Left out, for want of a strip with these labels: {', '.join(left)}." if left else "")
    )
    return Drawing("samples", figure, caption, synthetic=True)


def _captions(result: Result) -> list[str]:
    return list(result.content["grid"].get("captions") or [])


def _tiles(result: Result) -> np.ndarray | None:
    return read_strip(result.path.parent / Path(result.content["grid"]["file"]).name, result.content["image_shape"])


def read_strip(path: Path, image_shape: Sequence[int]) -> np.ndarray | None:
    """[n, h, w] or [n, h, w, 3] of a row of images [h, w, c] without gaps; None where there is none such."""
    from PIL import Image

    height, width, _ = image_shape
    if not path.is_file():
        return None
    with Image.open(path) as picture:
        strip = np.asarray(picture)
    if strip.shape[0] != height or strip.shape[1] % width:
        return None
    return np.stack(np.split(strip, strip.shape[1] // width, axis=1))


def read_rows(
    rows: Sequence[dict[str, Any]], folder: Path, name: str = "file"
) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """(the first tiles of each row's picture in `folder`, the row itself), of pictures that are there."""
    held = [(read_strip(folder / row[name], row["image_shape"]), row) for row in rows]
    held = [(tiles[:COLUMNS], row) for tiles, row in held if tiles is not None]
    return [tiles for tiles, _ in held], [row for _, row in held]


def label_lines(row: dict[str, Any]) -> list[list[str]]:
    """What stands above each tile of a study's row of samples."""
    return [_lines(caption) for caption in row["captions"][:COLUMNS]]


def _lines(caption: str) -> list[str]:
    """A caption in lines no wider than a tile."""
    return textwrap.wrap(caption.replace("_", " "), 15, break_long_words=False)


def rows_figure(strips: Sequence[np.ndarray], names: Sequence[str], words: Sequence[Sequence[str]]):
    """A row for each strip, in blocks of COLUMNS tiles below one another, each with its captions on top.

    Args:
      strips: [n, h, w] or [n, h, w, 3] each.
      names: of the rows.
      words: lines above each of the n columns.
    """
    names = [textwrap.fill(name, 12, break_long_words=False) for name in names]
    margin = 0.2 + LETTER * max(len(line) for name in names for line in name.split("\n"))
    count = len(words)
    columns = min(count, COLUMNS)
    tile = (PAGE - margin) / COLUMNS
    tall = tile * strips[0].shape[1] / strips[0].shape[2]
    blocks = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
    heads = [LINE * max(max((len(words[i]) for i in block), default=0), 1) + 0.05 for block in blocks]
    height = sum(heads) + math.fsum([tall * len(strips)] * len(blocks)) + 0.06 * len(blocks)
    figure = new_figure(margin + tile * columns, height)
    figure.set_layout_engine("none")
    top = height
    for block, head in zip(blocks, heads, strict=True):
        top -= head
        _block(figure, [strip[block.start : block.stop] for strip in strips], names,
               [words[i] for i in block], (margin, top, tile, tall))  # fmt: skip
        top -= tall * len(strips) + 0.06
    return figure


def _block(figure, strips, names: Sequence[str], words: Sequence[Sequence[str]], place: tuple) -> None:
    """One block, its first tile `margin` inches from the left and ending `top` inches above the lower edge."""
    margin, top, tile, tall = place
    width, height = figure.get_size_inches()
    for column, lines in enumerate(words):
        figure.text((margin + (column + 0.5) * tile) / width, (top + 0.03) / height, "\n".join(lines), ha="center",
                    va="bottom", fontsize=7, linespacing=1.0)  # fmt: skip
    for row, (strip, name) in enumerate(zip(strips, names, strict=True)):
        bottom = top - (row + 1) * tall
        figure.text((margin - 0.06) / width, (bottom + tall / 2) / height, name, ha="right",
                    va="center", fontsize=8)  # fmt: skip
        for column, image in enumerate(strip):
            size = (tile * (1 - GAP) / width, tall * (1 - GAP) / height)
            axis = figure.add_axes(((margin + column * tile) / width, bottom / height, *size))
            axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
            axis.set_axis_off()
