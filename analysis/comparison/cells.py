"""Numbers as cells of a table: their digits, their marks, and which of a column is best."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from analysis.comparison.metric_names import ARROWS
from analysis.comparison.result_files import Value

SINGULAR = "†"
OTHER_N = "‡"
NOTES = {
    SINGULAR: "no more images than features: mostly bias, compare only within this column",
    OTHER_N: "at the floor's own n, not that of the rows above",
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """Text of a cell: a value, its interval and its mark."""

    text: str = ""
    interval: str = ""
    mark: str = ""
    bold: bool = False


@dataclasses.dataclass(frozen=True)
class Column:
    """Values of one metric: of the runs, and of the floor and the ceiling below them."""

    title: str
    values: list[Value | None]
    better: str = ""
    floor: Value | None = None
    ceiling: Value | None = None
    may_win: bool = True  # False where values are no measure of one thing, so that none is best
    marks: tuple[str, ...] = ()  # of the values, then of the floor and the ceiling


def best(values: Sequence[Value | None], better: str, floor: Value | None = None) -> int | None:
    """Index of the value that is best and whose interval overlaps no other's; None where there is none such.

    None either where a value has no interval or is mostly bias. Of "closer", the distance to the floor's value counts,
    whose own uncertainty is left out.
    """
    known = [i for i, value in enumerate(values) if value]
    target = floor.value if floor else None
    if len(known) < 2 or (better == "closer" and target is None) or better not in ARROWS:
        return None
    if any(values[i].singular or not values[i].has_interval for i in known):
        return None
    ends = {i: _loss(values[i], better, target) for i in known}
    first = min(known, key=lambda i: ends[i][1])
    return first if all(ends[first][1] < ends[i][0] for i in known if i != first) else None


def _loss(value: Value, better: str, target: float | None) -> tuple[float, float]:
    """The interval turned so that less is better."""
    if better == "lower":
        return value.low, value.high
    if better == "higher":
        return -value.high, -value.low
    ends = abs(value.low - target), abs(value.high - target)
    return 0.0 if value.low <= target <= value.high else min(ends), max(ends)


def make_cells(column: Column) -> list[Cell]:
    """Of the runs, the floor and the ceiling."""
    values = [*column.values, column.floor, column.ceiling]
    places = decimals(values)
    winner = best(column.values, column.better, column.floor) if column.may_win else None
    marks = column.marks or [""] * len(values)
    cells = []
    for i, value in enumerate(values):
        if value is None:
            cells.append(Cell("–" if i < len(column.values) else ""))
            continue
        interval = f"[{number(value.low, places)}, {number(value.high, places)}]" if value.has_interval else ""
        cells.append(Cell(number(value.value, places), interval, marks[i], i == winner))
    return cells


def decimals(values: Sequence[Value | None]) -> int:
    """Places after the point for a column: two digits of a middling interval's half, or three of a middling value."""
    known = [value for value in values if value]
    halves = [(value.high - value.low) / 2 for value in known if value.has_interval and value.high > value.low]
    scale = halves or [abs(value.value) / 10 for value in known if value.value]
    if not scale:
        return 3
    return min(max(1 - math.floor(math.log10(statistics.median(scale))), 0), 5)


def number(value: float, places: int) -> str:
    """With a thousands separator and a true minus sign, which is absent where all digits shown are 0."""
    text = f"{value:,.{places}f}"
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text.lstrip("-")


def short(count: int | None) -> str:
    """A count such as 950, 24 k or 10.7 M."""
    if count is None:
        return "–"
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= limit:
            return f"{count / limit:.3g}{unit}"
    return str(count)


def duration(seconds: float | None) -> str:
    """Such as 45 s, 3.5 min, 12 min or 3.4 h."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.{1 if seconds < 600 else 0}f} min"
    return f"{seconds / 3600:.1f} h"
