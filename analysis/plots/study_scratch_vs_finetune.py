"""Figures and table of the study of beginnings: learning curves, and the paired differences at equal cost; samples."""

from pathlib import Path
from typing import Any

from analysis.comparison.cells import Cell, number
from analysis.comparison.result_files import to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, draw_band, draw_line, reach
from analysis.plots.sample_rows import label_lines, read_rows, rows_figure
from analysis.plots.study_parts import cells, counts, differences, failed, seeds, what
from analysis.plots.style import BLACK, BLUE, GREEN, LINES, ORANGE, PAGE, PURPLE, new_figure, styled

STARTS = (BLACK, ORANGE, BLUE, GREEN, PURPLE)  # scratch first
MARKERS = ("o", "s", "^", "D", "v")
BUDGETS = {"steps": "equal steps", "wall-clock": "equal wall-clock", "with pretraining": "pretraining counted"}


@styled
def draw(content: dict[str, Any]) -> Drawing:
    """A row of panels for each family: KID against steps at each fraction of the data, then the differences.

    Raises:
      NothingToDraw: no run has been scored.
    """
    curves = content["curves"]
    if not curves:
        raise NothingToDraw("no run has been scored")
    families, fractions = _kept(curves, "family"), _kept(curves, "fraction")
    figure = new_figure(PAGE, 0.5 + 1.9 * len(families))
    axes = figure.subplots(len(families), len(fractions) + 1, squeeze=False)
    for row, family in zip(axes, families, strict=True):
        row[0].sharey(row[-2]) if len(fractions) > 1 else None
        for axis, fraction in zip(row, fractions, strict=False):
            _curves(axis, [c for c in curves if (c["family"], c["fraction"]) == (family, fraction)], content)
            axis.set(title=f"{family.upper()}, {fraction:.0%} of the data", xlabel="Optimiser steps")
        row[0].set_ylabel("KID (↓ better)")
        _differences(row[-1], [c for c in content["contrasts"] if c["family"] == family])
    _legend(figure, _kept(curves, "start"))
    return Drawing("scratch_vs_finetune", figure, _caption(content))


def _kept(rows: list[dict[str, Any]], name: str) -> list:
    """Values in order: scratch first, fractions from small to large."""
    return sorted({row[name] for row in rows}, key=lambda value: (value != "scratch", value))


def _curves(axis, curves: list[dict[str, Any]], content: dict[str, Any]) -> None:
    for i, start in enumerate(_kept(content["curves"], "start")):
        line = sorted((c for c in curves if c["start"] == start), key=lambda c: c["step"])
        steps, values = [c["step"] for c in line], [to_value(c["kid"]) for c in line]
        draw_line(axis, steps, values, LINES[i % 4], color=STARTS[i % 5], marker=MARKERS[i % 5])
    axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
    draw_band(axis, to_value(content.get("floor")))


def _differences(axis, contrasts: list[dict[str, Any]]) -> None:
    """Fine-tuned minus scratch, a line each; the primary one is filled."""
    for place, row in enumerate(reversed(contrasts)):
        value = to_value(row["difference"])
        color = STARTS[1 + _kept(contrasts, "source").index(row["source"])]
        filling = "full" if row["primary"] else "none"
        axis.errorbar(value.value, place, xerr=reach(value), color=color, marker="o", fillstyle=filling)
    names = [f"{row['fraction']:.0%}, {BUDGETS[row['budget']]}" for row in reversed(contrasts)]
    axis.set_yticks(range(len(names)), names)
    axis.axvline(0.0, color=BLACK, linewidth=0.6)
    axis.set(title="KID, fine-tuned − scratch", xlabel="← fine-tuned better", ylim=(-0.6, len(names) - 0.4))
    axis.yaxis.tick_right()


def _legend(figure, starts: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=STARTS[i % 5], marker=MARKERS[i % 5], linestyle=LINES[i % 4], label=_words(start))
        for i, start in enumerate(starts)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _words(start: str) -> str:
    return "from scratch" if start == "scratch" else f"fine-tuned from {start} images"


def _caption(content: dict[str, Any]) -> str:
    primary = "; filled: the primary contrast" if any(row["primary"] for row in content["contrasts"]) else ""
    return (
        f"{what(content)}. Left: KID of {counts(content)} against optimiser steps, {seeds(content)}; gray: the floor. "
        f"Right: the difference paired by seed{primary}. Bars: 95 % intervals of a hierarchical bootstrap over seeds "
        "and images. All seeds share one subset of the data, one pretraining and the noise that images are drawn from."
        f"{_pretraining(content)}{_guidance(content)} {content['device']}."
    )


def _pretraining(content: dict[str, Any]) -> str:
    """What it cost."""
    made = content.get("pretraining") or {"seconds": {}}
    spent = [(family, *one) for family, sources in made["seconds"].items() for one in sources.items()]
    named = [f"{family.upper()} on {source} images {seconds:.0f} s" for family, source, seconds in spent if seconds]
    return f" Pretraining, {made['steps']:,} steps: {', '.join(named)}." if named else ""


def _guidance(content: dict[str, Any]) -> str:
    """How strongly samples were guided, of each family that was."""
    named = [f"{family.upper()} {value:g}" for family, value in (content.get("guidance") or {}).items()]
    return f" Guidance: {', '.join(named)}." if named else ""


def tables(content: dict[str, Any]) -> list[Table]:
    """Of the contrasts, a row each."""
    rows = content["contrasts"]
    columns = [cells([row["tuned"] for row in rows]), cells([row["scratch"] for row in rows]),
               cells([row["difference"] for row in rows])]  # fmt: skip
    body = [[Cell(_row_name(row)), *(column[i] for column in columns), *_test(row)] for i, row in enumerate(rows)]
    header = ["Contrast", "KID fine-tuned", "KID scratch", "Difference", "p", "p (Holm)", "g_z"]
    words = (
        "Fine-tuned against from scratch; negative differences favour fine-tuning. p of Student's paired test over "
        f"seeds, these real images given; corrected (Holm) for the {_explored(content)}. With equal networks, equal "
        "wall-clock repeats equal steps but for timing. g_z: Hedges' g of the paired differences, not to be read as "
        f"Cohen's d of independent groups.{failed(content)} {_caption(content)}"
    )
    return [Table(words, header, body, 0)]


def headline(content: dict[str, Any]) -> Table:
    """A row a family, source and fraction: both arms and their difference at equal steps, and, where it was measured,
    that difference with the pretraining counted, which may have another sign; floor and ceilings below.
    """
    rows = [row for row in content["contrasts"] if row["budget"] == "steps"]
    names = {_floor_name(content): content["floor"]} | {
        f"A Gaussian fitted to the pixels, {row['fraction']:.0%}": row["ceiling"] for row in content["ceilings"]
    }
    scratch = cells([*(row["scratch"] for row in rows), *names.values()])
    tuned, tests = cells([row["tuned"] for row in rows]), differences(rows)
    counted = _counted(rows, content["contrasts"])
    body = [[_arms(row), scratch[i], tuned[i], *tests[i], *counted[i]] for i, row in enumerate(rows)]
    header = ["Family, source, share of the data", "KID ↓ from scratch", "KID ↓ fine-tuned",
              "Fine-tuned − from scratch", "p", "p (Holm)"]  # fmt: skip
    header += ["Difference, pretraining counted", "p (Holm)"] if counted[0] else []
    below = [[Cell(name), scratch[len(rows) + i], *[Cell()] * (len(header) - 2)] for i, name in enumerate(names)]
    primary = "Bold: the primary contrast; the others' p is" if any(row["primary"] for row in rows) else "p is"
    explained = " Pretraining counted: from scratch goes on for as long."
    words = (
        f"{what(content)}: KID of {counts(content)} after {content['config']['points'][-1]:,} optimiser steps, "
        f"{_pairs(rows)}, 95 % intervals over seeds and images. {primary} corrected (Holm) for the "
        f"{_explored(content)} of the study.{explained if counted[0] else ''}"
        f"{_guidance(content)}{failed(content)} {content['device']}."
    )
    return Table(words, header, body + below, len(below))


def _counted(rows: list[dict[str, Any]], contrasts: list[dict[str, Any]]) -> list[list[Cell]]:
    """Of each row's arms the difference with the pretraining counted and its corrected p; [] where none has them."""
    same = lambda row: (row["family"], row["source"], row["fraction"])  # noqa: E731
    known = {same(row): row for row in contrasts if row["budget"] == "with pretraining"}
    there = [known[same(row)] for row in rows if same(row) in known]
    if not there:
        return [[] for _ in rows]
    found = dict(zip((same(row) for row in there), differences(there), strict=True))
    return [[found[same(row)][i] for i in (0, 2)] if same(row) in found else [Cell("–")] * 2 for row in rows]


def _floor_name(content: dict[str, Any]) -> str:
    """Training beside test images, or halves of these where they are few: analysis.evaluation.sets.floor_pair."""
    real = content["real"]
    halves = f"Two halves of the real {real['split']} images, {real['floor_n']} each"
    return halves if real["floor_n"] < min(real["n"], content["n"]) else "Real training images"


def _pairs(rows: list[dict[str, Any]]) -> str:
    """Of how many pairs of runs the numbers are means."""
    numbers = sorted({len(row["seeds"]) for row in rows})
    return f"means of {' to '.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))} seeds"


def _explored(content: dict[str, Any]) -> str:
    number = sum(not row["primary"] for row in content["contrasts"])
    return f"{number} exploratory contrast{'s' * (number != 1)}"


def _arms(row: dict[str, Any]) -> Cell:
    return Cell(f"{row['family'].upper()}, {row['source']}, {row['fraction']:.0%}", bold=row["primary"])


def _row_name(row: dict[str, Any]) -> str:
    primary = " (primary)" if row["primary"] else ""
    return f"{row['family'].upper()}, {row['source']}, {row['fraction']:.0%}, {BUDGETS[row['budget']]}{primary}"


def _test(row: dict[str, Any]) -> list[Cell]:
    values = ((row["p"], 4), (row.get("p_holm"), 4), (row["effect"], 2))
    return [Cell("–" if value is None else number(value, places)) for value, places in values]


@styled
def strips(content: dict[str, Any], folder: Path) -> list[Drawing]:
    """Of each fraction of the data the first samples of each family and beginning, from the pictures in `folder`."""
    rows = content["strips"]
    return [drawing for fraction in _kept(rows, "fraction") if (drawing := _samples(fraction, rows, folder))]


def _samples(fraction: float, rows: list[dict[str, Any]], folder: Path) -> Drawing | None:
    """Rows whose labels are not those of the first are left out: labels are drawn as the training split has them."""
    own = sorted((row for row in rows if row["fraction"] == fraction),
                 key=lambda row: (row["family"], row["start"] != "scratch", row["start"]))  # fmt: skip
    pictures, held = read_rows([row for row in own if row["captions"] == own[0]["captions"]], folder)
    if not pictures:
        return None
    names = [f"{row['family'].upper()}, {row['start']}" for row in held]
    caption = (
        f"The first {len(pictures[0])} synthetic samples of each family and beginning with {fraction:.0%} of the data, "
        f"seed {held[0]['seed']}, at equal steps; not chosen, with the same labels in every row. Not for diagnosis."
    )
    figure = rows_figure(pictures, names, label_lines(held[0]))
    return Drawing(f"samples_{100 * fraction:g}", figure, caption, synthetic=True)


__all__ = ["draw", "headline", "strips", "tables"]
