"""Every metric of every run in a small panel of its own, beside floor and ceiling."""

import math
from collections.abc import Sequence

from analysis.comparison.comparable import describe, labels, reference
from analysis.comparison.metric_names import ordered, title
from analysis.comparison.result_files import Result, Value
from analysis.plots.drawing import BARS, FLOOR, Drawing, NothingToDraw, draw_band, reach
from analysis.plots.style import COLUMN, GRAY, looks, new_figure, styled

DIRECTIONS = {"lower": "← better", "higher": "better →", "closer": "better near floor"}
COLUMNS = 2
FAR = 1.0  # a ceiling farther beyond the runs than so many of their spans is named at the edge, and not drawn


@styled
def draw(results: Sequence[Result], space: str) -> Drawing:
    """Metrics of a feature network and of the images, a result a row.

    Raises:
      NothingToDraw: none of the results has a metric.
    """
    results = [result for result in results if result.metrics(space)]
    panels = [(s, name) for s in (space, "images") for name in ordered(n for r in results for n in r.metrics(s))]
    panels = [(s, name) for s, name in panels if any(result.value(s, name) for result in results)]
    if not panels:
        raise NothingToDraw(f"no result has metrics in {space}")
    rows = math.ceil(len(panels) / COLUMNS)
    height = rows * (0.55 + 0.13 * len(results)) + 0.1
    figure = new_figure(COLUMN, height)
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    for at, axis in enumerate(axes.flat):
        if at < len(panels):
            _panel(axis, results, *panels[at], named=at % COLUMNS == 0)
        else:
            axis.set_axis_off()
    return Drawing(f"metrics_{space}", figure, _caption(results, space, panels))


def _panel(axis, results: Sequence[Result], space: str, name: str, named: bool) -> None:
    for row, (result, look) in enumerate(zip(results, looks(results), strict=True)):
        value, small = (result.value(space, name, kind) for kind in ("generated", "generated_at_floor_n"))
        if value:
            axis.errorbar(value.value, row, xerr=reach(value), linestyle="none", **look)
        else:
            axis.annotate("none", (0.5, row), xycoords=("axes fraction", "data"), ha="center", va="center", color=GRAY,
                          fontsize=7)  # fmt: skip
        if small:
            axis.plot(small.value, row, "|", color=look["color"], markersize=8, zorder=1.5)
    axis.margins(x=0.1)
    draw_band(axis, reference(results, space, name, "floor"), vertical=True)
    _ceiling(axis, reference(results, space, name, "ceiling"))
    better = next((result.better(space, name) for result in results if result.better(space, name)), "")
    singular = any(value and value.singular for value in (result.value(space, name) for result in results))
    axis.set_title(title(name) + ("†" if singular else ""), loc="left", pad=3)
    axis.set_xlabel(DIRECTIONS.get(better, ""), color=GRAY, labelpad=1, fontsize=7)
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.set_yticks(range(len(results)), labels(results) if named else [""] * len(results))
    axis.tick_params(axis="y", length=0)
    axis.locator_params(axis="x", nbins=4)


def _ceiling(axis, value: Value | None) -> None:
    """A dashed line; or an arrow at the edge, where the line would squeeze the runs."""
    if value is None:
        return
    low, high = axis.get_xlim()
    span = high - low
    if low - FAR * span <= value.value <= high + FAR * span:
        axis.axvline(value.value, color=GRAY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0.6)
        return
    right = value.value > high
    words = f"{value.value:.3g} ⇢" if right else f"⇠ {value.value:.3g}"
    axis.set_title(words, loc="right", pad=3, fontsize=7, color=GRAY)


def _caption(results: Sequence[Result], space: str, panels: list[tuple[str, str]]) -> str:
    words = f"Metrics by family. {describe(results, space)}. {BARS} {FLOOR} Dashed line, or number with an arrow where "
    words += "it lies outside the panel: the ceiling, a Gaussian fitted to the training pixels."
    if any(result.value(s, name, "generated_at_floor_n") for result in results for s, name in panels):
        words += " Vertical ticks: the run at the floor's n, to be compared with the floor."
    if any(v and v.singular for v in (result.value(s, name) for result in results for s, name in panels)):
        words += " †: no more images than features, mostly bias."
    return words
