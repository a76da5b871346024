"""Quality, speed and likelihood of the families: none has all three."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from analysis.comparison.comparable import describe, labels, reference
from analysis.comparison.metric_names import BITS, title
from analysis.comparison.result_files import Result, Value
from analysis.plots.drawing import BARS, FLOOR, Drawing, NothingToDraw, add_legend, draw_band, lows, reach
from analysis.plots.style import COLUMN, GRAY, looks, new_figure, set_scale, styled

QUALITY = ("fd_infinity", "kid", "fd")  # the first that all runs have, and not singular


class Point(NamedTuple):
    """A generator: its quality, images/s, bits/dim (None without a likelihood), and colour, marker and filling."""

    quality: Value
    speed: float | None
    bits: Value | None
    look: dict[str, Any]


@styled
def draw(results: Sequence[Result], space: str) -> Drawing:
    """Quality beside speed, and beside likelihood where a family without one is drawn at "none".

    Raises:
      NothingToDraw: fewer than two results with a speed and one quality, speeds of several devices, or no likelihood.
    """
    without = [result for result in results if not result.sampling.get("images_per_second")]
    results = [result for result in results if result not in without]
    if len(results) < 2:
        raise NothingToDraw("fewer than two runs have images_per_second")
    if len({result.device for result in results}) > 1:
        raise NothingToDraw("the runs were sampled on several devices, whose speeds are not comparable")
    if not any(result.bits_per_dim for result in results):
        raise NothingToDraw("no run has a likelihood")
    name = quality(results, space, QUALITY)
    figure = new_figure(COLUMN, 2.35)
    speed, bits = figure.subplots(1, 2, sharey=True)
    found = [result.value(space, name) for result in results]
    kind = set_scale(speed.yaxis, [value.value for value in found], lows(found))
    for axis in (speed, bits):
        draw_band(axis, reference(results, space, name, "floor"))
    points = [
        Point(value, result.sampling["images_per_second"], result.bits_per_dim, look)
        for result, value, look in zip(results, found, looks(results), strict=True)
    ]
    draw_speed(speed, points)
    draw_likelihood(bits, points)
    speed.set_ylabel(f"{title(name)} (↓ better" + (f", {kind})" if kind != "linear" else ")"))
    add_legend(figure, results)
    left = f" Left out, for want of a speed: {', '.join(result.run for result in without)}." if without else ""
    return Drawing(f"trilemma_{space}", figure, _caption(results, space, name) + left)


def quality(results: Sequence[Result], space: str, names: Sequence[str]) -> str:
    """The first of the metrics that all results have, in none of them singular.

    Raises:
      NothingToDraw: there is none.
    """
    for name in names:
        values = [result.value(space, name) for result in results]
        if all(value and not value.singular for value in values):
            return name
    raise NothingToDraw(f"no metric of {', '.join(names)} is in all results for {space}, of more images than features")


def draw_speed(axis, points: Sequence[Point]) -> None:
    """Quality against images/s."""
    for quality, speed, _, look in points:
        axis.errorbar(speed, quality.value, yerr=reach(quality), linestyle="none", **look)
    axis.set(xscale="log", xlabel="Images/s (better →)")
    axis.margins(0.15)
    speeds = [point.speed for point in points]
    if max(speeds) < 4 * min(speeds):  # near each other, and to be seen as near
        axis.set_xlim(min(speeds) / 2.5, max(speeds) * 2.5)
    _speed_ticks(axis.xaxis, speeds)


def _speed_ticks(axis, speeds: Sequence[float]) -> None:
    """Powers of ten alone have names, or 1, 2 and 5 of each where the speeds are near each other."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_minor_formatter(NullFormatter())
    if max(speeds) < 30 * min(speeds):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")


def draw_likelihood(axis, points: Sequence[Point]) -> None:
    """Quality against bits/dim, the better to the left; what has no likelihood on a place of its own at the right."""
    bits = [point.bits for point in points]
    ends = [end for b in bits if b for end in ((b.low, b.high) if b.has_interval else (b.value,))] or [0.0, 1.0]
    span = max(ends) - min(ends) or max(abs(max(ends)), 1.0) * 0.2
    none, lacking = max(ends) + 0.5 * span, not all(bits)
    for quality, _, b, look in points:
        sideways = reach(b) if b else None
        axis.errorbar(b.value if b else none, quality.value, reach(quality), sideways, linestyle="none", **look)
    axis.set_xlim(min(ends) - 0.15 * span, (none if lacking else max(ends)) + 0.25 * span)
    ticks = _ticks(min(ends) - 0.15 * span, max(ends) + 0.1 * span) if any(bits) else []
    axis.set_xticks([*ticks, none] if lacking else ticks, [f"{tick:g}" for tick in ticks] + ["none"] * lacking)
    if lacking:
        axis.axvline(none - 0.25 * span, color=GRAY, linewidth=0.5, linestyle=":")
    axis.set_xlabel(f"{BITS} (← better)")


def _ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(tick) for tick in MaxNLocator(3).tick_values(low, high) if low <= tick <= high]


def _caption(results: Sequence[Result], space: str, name: str) -> str:
    kinds = [f"{label} by {result.content['likelihood']['kind']} (n = {', '.join(map(str, result.bits_per_dim.n))})"
             for label, result in zip(labels(results), results, strict=True) if result.bits_per_dim]  # fmt: skip
    kinds += ["the others have none"] if len(kinds) < len(results) else []
    return (
        f"Quality ({title(name)}), speed and likelihood. {describe(results, space)}. {BARS} {FLOOR} "
        f"Speed of sampling on {results[0].device}. Likelihood: {'; '.join(kinds)}."
    )
