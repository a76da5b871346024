"""What the figures and tables of several studies share."""

from collections.abc import Sequence
from typing import Any

from analysis.comparison.cells import Cell, Column, make_cells, number
from analysis.comparison.result_files import Value, owner_words, to_value

SEEDS = "Bars: 95 % intervals of a hierarchical bootstrap over seeds and images, where there are two seeds or more."
SHARED = "All seeds share one subset of the data, one set of real images and the noise that images are drawn from."
WIDE = "Bars: 95 % intervals, the wider of that over seeds and of the seeds' own."


def what(content: dict[str, Any]) -> str:
    """Dataset, size and feature network."""
    network = next(iter(content.get("features", {"": ""})))
    return f"{content['dataset']}, {content['image_shape'][0]}x{content['image_shape'][1]}, {network}"


def counts(content: dict[str, Any]) -> str:
    """How many images stand beside how many."""
    real = content["real"]
    return f"{content['n']} generated and {real['n']} real images{owner_words(real)} ({real['split']} split)"


def seeds(content: dict[str, Any]) -> str:
    """Of how many trainings each number is the mean."""
    number = len({row["seed"] for row in content["rows"]})
    return f"mean of {number} seeds" if number != 1 else "one seed"


def failed(content: dict[str, Any]) -> str:
    """A sentence with the names of jobs that failed, or nothing."""
    return f" Failed: {', '.join(content['failed'])}." if content.get("failed") else ""


def cells(values: Sequence[Any]) -> list[Cell]:
    """A column of a table, none of it bold: estimates {"value", "low", "high"}, numbers or None."""
    rows = [Value(value) if isinstance(value, (int, float)) else to_value(value) for value in values]
    return make_cells(Column("", rows, may_win=False))[: len(rows)]


def differences(rows: Sequence[dict[str, Any]]) -> list[list[Cell]]:
    """Of each contrast its difference, its p-value and that corrected by Holm's procedure; a primary one has none."""
    tests = [[_p(row.get(name)) for name in ("p", "p_holm")] for row in rows]
    return [[cell, *test] for cell, test in zip(cells([row["difference"] for row in rows]), tests, strict=True)]


def _p(value: float | None) -> Cell:
    return Cell("–" if value is None else number(value, 4))
