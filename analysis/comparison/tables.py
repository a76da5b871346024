"""Tables of comparable results: a row a run, a column a metric, the floor and the ceiling below."""

import dataclasses
from collections.abc import Sequence

from analysis.comparison.cells import NOTES, OTHER_N, SINGULAR, Cell, Column, duration, make_cells, short
from analysis.comparison.comparable import Group, describe, devices, labels, reference, references_differ
from analysis.comparison.metric_names import ARROWS, BITS, SPEED, ordered, title
from analysis.comparison.result_files import Result, Value, one_a_run

TRAINING = ["Parameters", "Images trained", "Training time"]
# The speed has no interval, and is of one device: a fact of the run beside its metrics.
SAMPLING = ["Sampler", "Steps", "Guidance", f"{SPEED} {ARROWS['higher']}", "Likelihood"]


@dataclasses.dataclass(frozen=True)
class Table:
    """`rows` of cells, as many as `header`; the last `references` of them are the floor and the ceiling."""

    caption: str
    header: list[str]
    rows: list[list[Cell]]
    references: int


def make_tables(group: Group, every: bool = False) -> list[Table]:
    """Of each feature network a table of its metrics, then one of what needs no network.

    Args:
      every: all results of a run that was sampled in several ways; else the one of `one_a_run`.
    """
    results = list(group.results) if every else one_a_run(group.results)
    words = ""
    if len(results) < len(group.results):
        words = f" Of each run one sampling, that of its own file; all {len(group.results)} results are in table.csv."
    spaces = [space for space in group.spaces if any(result.metrics(space) for result in results)]
    tables = [_table([result for result in results if result.metrics(space)], space, words) for space in spaces]
    return [*tables, _table(results, "images", words)]


def _table(results: Sequence[Result], space: str, words: str) -> Table:
    columns = [_metric(results, space, name) for name in metric_names(results, space)]
    facts, fact_rows = TRAINING, [_training(result) for result in results]
    if space == "images":
        columns = [*_likelihood(results), *columns]
        facts, fact_rows = SAMPLING, [_sampling(result) for result in results]
    cells = [make_cells(column) for column in columns]
    rows = [
        [Cell(label), *map(Cell, fact_rows[i]), *(column[i] for column in cells)]
        for i, label in enumerate(labels(results))
    ]
    references = [(name, at) for name, at in (("Floor (real images)", -2), ("Ceiling (Gaussian)", -1))
                  if any(column[at].text for column in cells)]  # fmt: skip
    rows += [[Cell(name), *[Cell()] * len(facts), *(column[at] for column in cells)] for name, at in references]
    header = ["Run", *facts, *(f"{c.title} {ARROWS.get(c.better, '')}".strip() for c in columns)]
    return Table(_caption(results, space, rows) + words, header, rows, len(references))


def _training(result: Result) -> list[str]:
    content = result.content
    seconds = content.get("train_seconds")
    return [short(content.get("parameters")), short(content.get("images_trained")), duration(seconds)]


def _sampling(result: Result) -> list[str]:
    options = [result.options.get(name) for name in ("sampler", "steps", "guidance")]
    kind = (result.content.get("likelihood") or {}).get("kind") or "none"
    speed = result.sampling.get("images_per_second")
    options.append(None if speed is None else f"{speed:.3g}")
    return [*("–" if option is None else str(option) for option in options), kind]


def metric_names(results: Sequence[Result], space: str) -> list[str]:
    """Metrics that any of the results has in a space, in the order in which they stand."""
    return ordered(name for result in results for name in result.metrics(space))


def _metric(results: Sequence[Result], space: str, name: str) -> Column:
    values = [result.value(space, name) for result in results]
    floor, ceiling = (reference(results, space, name, kind) for kind in ("floor", "ceiling"))
    better = next((result.better(space, name) for result in results if result.better(space, name)), "")
    # Where a metric depends on n, evaluate gives it at the floor's n as well.
    other_n = any(result.value(space, name, "generated_at_floor_n") for result in results)
    marks = [_mark(value) for value in (*values, floor, ceiling)]
    marks[-2] += OTHER_N if other_n else ""
    return Column(title(name), values, better, floor, ceiling, marks=tuple(marks))


def _mark(value: Value | None) -> str:
    return SINGULAR if value and value.singular else ""


def _likelihood(results: Sequence[Result]) -> list[Column]:
    values = [result.bits_per_dim for result in results]
    kinds = {(r.content["likelihood"] or {}).get("kind") for r in results if r.bits_per_dim}
    return [Column(BITS, values, "lower", may_win=len(kinds) == 1)] if any(values) else []


def _caption(results: Sequence[Result], space: str, rows: list[list[Cell]]) -> str:
    words = [f"{describe(results, space)}.", "Brackets: 95 % intervals.",
             "Bold: best, where its interval overlaps no other's."]  # fmt: skip
    for mark, note in NOTES.items():
        words += [f"{mark}: {note}."] if any(mark in cell.mark for row in rows for cell in row) else []
    for kind in ("floor", "ceiling"):
        if any(references_differ(results, space, name, kind) for name in metric_names(results, space)):
            words.append(f"The files differ in their {kind}; shown is the first run's.")
    if space == "images":
        words.append(f"Sampled on {devices(results)}.")
    return " ".join(words)
