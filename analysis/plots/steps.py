"""Quality against the number of sampler steps, a line a sampler."""

import math
from collections.abc import Sequence

from analysis.comparison.comparable import describe, labels, reference
from analysis.comparison.metric_names import title
from analysis.comparison.result_files import Result, Value
from analysis.plots.drawing import BARS, FLOOR, Drawing, NothingToDraw, draw_band, draw_line, lows
from analysis.plots.style import (
    BLACK,
    BLUE,
    COLUMN,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    new_figure,
    set_scale,
    styled,
)
from analysis.plots.sweeps import sweeps
from analysis.plots.trilemma import quality

QUALITY = ("kid", "fd_infinity", "fd")
SAMPLERS = {
    "ddpm": (BLUE, "o", "-"), "ddim": (SKY, "s", "--"), "dpmpp": (VERMILION, "D", "-"),
    "dpmpp_sde": (VERMILION, "d", "--"), "em": (GRAY, "P", ":"),
    "euler": (ORANGE, "v", "-"), "midpoint": (GREEN, "^", "--"), "heun": (PURPLE, "p", "-."), "rk4": (BLACK, "*", "-"),
}  # fmt: skip


@styled
def draw(results: Sequence[Result], space: str) -> Drawing:
    """A panel for each trained model that was sampled with several numbers of steps.

    Raises:
      NothingToDraw: there is none.
    """
    groups = sweeps([result for result in results if result.metrics(space)], ("steps", "sampler"))
    if not groups:
        raise NothingToDraw("no two results of one run differ in steps and sampler only")
    members = [result for group in groups for result in group]
    name = quality(members, space, QUALITY)
    columns = min(len(groups), 2)
    rows = math.ceil(len(groups) / columns)
    figure = new_figure(COLUMN, 0.3 + 2.0 * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    kind = set_scale(axes.flat[0].yaxis, *_range(members, space, name))
    floor = reference(members, space, name, "floor")
    names = labels([group[0] for group in groups])
    for axis, group, label in zip(axes.flat, groups, names, strict=False):
        _panel(axis, group, space, name, floor)
        axis.set_title(label)
    for axis in axes.flat[len(groups) :]:
        axis.set_axis_off()
    for row in axes:
        row[0].set_ylabel(f"{title(name)} (↓ better" + (f", {kind})" if kind != "linear" else ")"))
    return Drawing(f"steps_{space}", figure, _caption(members, space, name))


def _range(results: Sequence[Result], space: str, name: str) -> tuple[list[float], list[float]]:
    values = [result.value(space, name) for result in results]
    return [value.value for value in values], lows(values)


def apart(numbers: Sequence[int], share: float = 0.1) -> list[int]:
    """Of ascending numbers on a logarithmic axis those whose labels do not touch: `share` of the axis apart."""
    room = share * math.log(numbers[-1] / numbers[0])
    kept = list(numbers[:1])
    for number in numbers[1:-1]:
        if math.log(number / kept[-1]) >= room and math.log(numbers[-1] / number) >= room:
            kept.append(number)
    return kept + list(numbers[1:][-1:])


def _panel(axis, group: Sequence[Result], space: str, name: str, floor: Value | None) -> None:
    samplers = list(dict.fromkeys(result.options.get("sampler") or "" for result in group))
    for sampler in sorted(samplers, key=lambda s: (list(SAMPLERS).index(s) if s in SAMPLERS else len(SAMPLERS), s)):
        members = [result for result in group if (result.options.get("sampler") or "") == sampler]
        color, marker, line = SAMPLERS.get(sampler, (GRAY, ".", "-"))
        steps, values = ([r.options["steps"] for r in members], [r.value(space, name) for r in members])
        draw_line(axis, steps, values, line, color=color, marker=marker, label=sampler, markersize=4)
    draw_band(axis, floor)
    ticks = apart(sorted({result.options["steps"] for result in group}))
    axis.set(xscale="log", xlabel="Sampler steps")
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.legend(handlelength=2.2, labelspacing=0.2)


def _caption(results: Sequence[Result], space: str, name: str) -> str:
    return (
        f"Quality ({title(name)}) against the number of sampler steps. {describe(results, space)}. {BARS} {FLOOR} "
        "Midpoint and Heun evaluate the network twice a step, RK4 four times, the others once."
    )
