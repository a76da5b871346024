"""Quality, and whether requested findings are seen, against the guidance of the sampler."""

import math
from collections.abc import Sequence

from analysis.comparison.comparable import describe, reference
from analysis.comparison.metric_names import title
from analysis.comparison.result_files import Result, Value
from analysis.plots.drawing import BARS, FLOOR, Drawing, NothingToDraw, add_legend, draw_band, draw_line, lows
from analysis.plots.style import COLUMN, LINES, PAGE, looks, new_figure, set_scale, styled
from analysis.plots.sweeps import sweeps

MANY = 8  # findings that take both columns of a page


@styled
def draw(results: Sequence[Result], space: str) -> Drawing:
    """A panel of KID, and one of each finding's AUROC, a line for each trained model sampled with several guidances.

    Raises:
      NothingToDraw: there is none.
    """
    groups = sweeps([result for result in results if result.value(space, "kid")], ("guidance",))
    if not groups:
        raise NothingToDraw("no two results of one run differ in guidance only")
    members = [result for group in groups for result in group]
    findings = list(dict.fromkeys(name for r in members for name in r.findings if r.auroc(name, "samples")))
    width, columns = (COLUMN, 2) if len(findings) < MANY else (PAGE, 4)
    rows = math.ceil((1 + len(findings)) / columns)
    figure = new_figure(width, 0.5 + 1.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    values = [result.value(space, "kid") for result in members]
    set_scale(axes.flat[0].yaxis, [value.value for value in values], lows(values))
    _panel(axes.flat[0], groups, lambda r: r.value(space, "kid"), reference(members, space, "kid", "floor"))
    axes.flat[0].set_title(f"{title('kid')} (↓ better)")
    for axis, finding in zip(axes.flat[1:], findings, strict=False):
        real = next((r.auroc(finding, "real") for r in members if r.auroc(finding, "real")), None)
        _panel(axis, groups, lambda r, f=finding: r.auroc(f, "samples"), real)
        axis.set_title(f"AUROC, {finding.replace('_', ' ')}")
    for axis in axes.flat[1 + len(findings) :]:
        axis.set_axis_off()
    figure.supxlabel("Guidance (1 is off)", fontsize=8)
    add_legend(figure, [group[0] for group in groups], [LINES[i % len(LINES)] for i in range(len(groups))])
    return Drawing(f"guidance_{space}", figure, _caption(members, space, findings))


def _panel(axis, groups: Sequence[Sequence[Result]], value_of, band: Value | None) -> None:
    ticks = sorted({result.options["guidance"] for group in groups for result in group})
    apart = 0.012 * (ticks[-1] - ticks[0])  # so that the intervals of several runs are seen
    for i, (group, look) in enumerate(zip(groups, looks([group[0] for group in groups]), strict=True)):
        shift = apart * (i - (len(groups) - 1) / 2)
        points = [(result.options["guidance"] + shift, value_of(result)) for result in group if value_of(result)]
        draw_line(axis, [x for x, _ in points], [value for _, value in points], LINES[i % len(LINES)], **look)
    if len(ticks) <= 6:
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    draw_band(axis, band)


def _caption(results: Sequence[Result], space: str, findings: Sequence[str]) -> str:
    shown = "KID and label fidelity" if findings else "KID"
    words = f"{shown} against guidance s in u + s (c - u). {describe(results, space)}. {BARS} {FLOOR}"
    if not findings:
        return words
    return words + (
        " AUROC: of a classifier of real images that reads the requested findings in the samples; there, gray is real "
        "images, and samples above it show their findings more clearly than those do."
    )
