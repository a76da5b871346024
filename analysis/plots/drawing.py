"""A figure with its caption, and its files."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.comparison.comparable import labels
from analysis.comparison.result_files import Result, Value
from analysis.plots.style import GRAY, PALE, looks, styled

BARS = "Bars: 95 % intervals, where there are honest ones; short ones lie behind their markers."
FLOOR = "Gray line and band: the floor, the same between two real sets, and its interval."


class NothingToDraw(Exception):
    """The results do not hold what a figure shows; the message says what is missing."""


@dataclasses.dataclass(frozen=True, eq=False)
class Drawing:
    """A figure, the name of its files, and its caption.

    Attributes:
      figure: a matplotlib Figure.
      synthetic: whether generated images are in it, which its files then say in their metadata.
    """

    name: str
    figure: Any
    caption: str
    synthetic: bool = False


@styled
def save(drawing: Drawing, folder: Path) -> list[Path]:
    """Writes NAME.pdf and NAME.png, each whole or not at all; the same drawing gives the same files.

    A figure with generated images is marked as `analysis.grid.save_png` marks them.
    """
    from analysis.grid import SYNTHETIC

    pdf, png = (folder / f"{drawing.name}.{kind}" for kind in ("pdf", "png"))
    temporary = pdf.with_suffix(".tmp")
    facts = {"CreationDate": None, "Title": drawing.caption} | ({"Subject": SYNTHETIC} if drawing.synthetic else {})
    drawing.figure.savefig(temporary, format="pdf", metadata=facts)
    os.replace(temporary, pdf)
    _save_png(drawing, png)
    return [pdf, png]


def _save_png(drawing: Drawing, path: Path) -> None:
    import numpy as np

    from analysis.grid import save_png

    if drawing.synthetic:
        drawing.figure.canvas.draw()
        save_png(path, np.asarray(drawing.figure.canvas.buffer_rgba())[..., :3], {"Title": drawing.caption})
        return
    temporary = path.with_suffix(".tmp")
    drawing.figure.savefig(temporary, format="png", metadata={"Title": drawing.caption})
    os.replace(temporary, path)


def reach(value: Value) -> list[list[float]] | None:
    """How far the interval goes below and above its value, as matplotlib takes it; None without one.

    An end on the wrong side of the value, as Student's interval of a biased estimate may have, is at the value.
    """
    if not value.has_interval:
        return None
    return [[max(value.value - value.low, 0.0)], [max(value.high - value.value, 0.0)]]


def draw_line(axis, places: Sequence[float], values: Sequence[Value], line: str = "-", **look: Any) -> None:
    """Values along an axis, joined, each with its interval."""
    axis.plot(places, [value.value for value in values], line, **look)
    for place, value in zip(places, values, strict=True):
        axis.errorbar(place, value.value, reach(value), color=look["color"], linewidth=0.8)


def lows(values: Sequence[Value | None]) -> list[float]:
    """Lower ends of what is drawn."""
    return [value.low if value.has_interval else value.value for value in values if value]


def add_legend(figure, results: Sequence[Result], lines: Sequence[str] = (), first: Sequence[Any] = ()) -> None:
    """Names above the panels, each with the marker of its result.

    Args:
      lines: style of each result's line, where it has one.
      first: handles of what is no result.
    """
    from matplotlib.lines import Line2D

    styles = lines or ["none"] * len(results)
    handles = [*first]
    for look, name, style in zip(looks(results), labels(results), styles, strict=True):
        handles.append(Line2D([], [], linestyle=style, label=name, **look))
    width = figure.get_figwidth() / (0.4 + 0.06 * max(len(handle.get_label()) for handle in handles))
    figure.legend(handles=handles, loc="outside upper center", ncols=max(min(len(handles), int(width)), 1),
                  handletextpad=0.4, columnspacing=1.2)  # fmt: skip


def draw_ceiling(axis, value: Value | None) -> None:
    """A broken gray line through the whole panel; or words at its edge, where the line would squeeze the rest."""
    if value is None:
        return
    low, high = axis.get_ylim()
    inside = value.value < 3 * high if axis.get_yscale() == "log" else value.value < high + (high - low)
    if inside:
        axis.axhline(value.value, color=GRAY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0.6)
    else:
        axis.annotate(f"Gaussian {value.value:.2g} ↑", (0.02, 0.93), xycoords="axes fraction", color=GRAY, fontsize=7)


def draw_band(axis, value: Value | None, vertical: bool = False) -> None:
    """A gray line through the whole panel, with a band where there is an interval; nothing of None.

    Where the axis is logarithmic and the band lies far below what is drawn, or not above 0, it is told in words.

    Args:
      vertical: the value is one of the x axis.
    """
    if value is None:
        return
    if axis.get_yscale() == "log" and not vertical and max(value.value, value.high or 0.0) < axis.get_ylim()[0] / 3:
        words = f"floor {value.value:.1g} ↓".replace("-", "−")
        axis.annotate(words, (0.02, 0.02), xycoords="axes fraction", color=GRAY, fontsize=7)
        return
    line, span = (axis.axvline, axis.axvspan) if vertical else (axis.axhline, axis.axhspan)
    line(value.value, color=GRAY, linewidth=0.8, zorder=0.6)
    if value.has_interval:
        span(value.low, value.high, color=PALE, linewidth=0, zorder=0.5)
