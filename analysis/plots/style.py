"""How all figures look: size, fonts, and one colour and marker for a family everywhere."""

import functools
import math
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from analysis.comparison.result_files import Result

COLUMN, PAGE = 3.5, 7.16  # inches: one column of a two-column page, and both
# Told apart under any colour blindness: Okabe and Ito (2008).
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GRAY, PALE = "#666666", "#D9D9D9"

FAMILY = {
    "gan": (VERMILION, "o"),
    "vae": (GREEN, "s"),
    "ddpm": (BLUE, "^"),
    "flow": (PURPLE, "D"),
}
OTHERS = ((ORANGE, "v"), (SKY, "P"), (BLACK, "X"))
FILLS = ("full", "none", "left", "right")  # of several runs of one family
LINES = ("-", "--", "-.", ":")

RC = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "errorbar.capsize": 2,
    "pdf.fonttype": 42,  # fonts that journals take, and text that can be searched
    "savefig.dpi": 300,
    "figure.dpi": 300,
}


def styled(draw):
    """A drawing function whose figure is in the style of all others, whatever the caller's settings."""

    @functools.wraps(draw)
    def inside(*args: Any, **kwargs: Any):
        from matplotlib import style

        with style.context(["default", RC]):
            return draw(*args, **kwargs)

    return inside


def new_figure(width: float, height: float):
    """A figure of so many inches that belongs to no window; its parts find their own room."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def family_look(family: str) -> tuple[str, str]:
    """(colour, marker) of a family; one that is not known has always the same of OTHERS."""
    return FAMILY.get(family) or OTHERS[zlib.crc32(family.encode()) % len(OTHERS)]


def looks(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Colour, marker and filling of each result; runs of one family differ in their filling."""
    seen: Counter[str] = Counter()
    found = []
    for result in results:
        color, marker = family_look(result.family)
        found.append({"color": color, "marker": marker, "fillstyle": FILLS[seen[result.family] % len(FILLS)]})
        seen[result.family] += 1
    return found


def set_scale(axis, values: Sequence[float], lows: Sequence[float] = ()) -> str:
    """Makes an axis (`axes.xaxis` or `.yaxis`) logarithmic where its values span more than a factor of 20.

    Where a value or an interval reaches 0 or below, as KID's may, it is linear around 0 up to about the smallest value
    above. To be called before anything is drawn, so that the limits are of that scale.

    Returns:
      linear, log or symlog.
    """
    positive = [value for value in values if value > 0]
    kind, options = "linear", {}
    if positive and max(positive) > 20 * min(positive):
        below = min([*values, *lows]) <= 0
        straight = 10.0 ** round(math.log10(min(positive)))  # a decade, so that ticks within it are not crowded
        kind, options = ("symlog", {"linthresh": straight, "linscale": 0.5}) if below else ("log", {})
    getattr(axis.axes, f"set_{axis.axis_name}scale")(kind, **options)
    return kind
