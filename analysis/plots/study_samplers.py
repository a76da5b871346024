"""Figure and tables of the study of samplers: KID against network evaluations, KID and findings against guidance."""

from typing import Any

from analysis.comparison.cells import Cell
from analysis.comparison.comparable import FAMILY_NAMES
from analysis.comparison.result_files import Value, to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, draw_band, draw_line, lows
from analysis.plots.steps import SAMPLERS
from analysis.plots.study_parts import SEEDS, SHARED, cells, counts, differences, failed, seeds, what
from analysis.plots.style import GRAY, LINES, PAGE, family_look, new_figure, set_scale, styled


@styled
def draw(content: dict[str, Any]) -> Drawing:
    """Above a panel a family, KID against evaluations, a line a sampler; below KID and AUROC against guidance.

    Raises:
      NothingToDraw: nothing has been scored.
    """
    steps, guided = content["steps"], content["guidance"]
    if not steps and not guided:
        raise NothingToDraw("no run has been scored")
    families = list(dict.fromkeys(row["family"] for row in (*steps, *guided)))
    figure = new_figure(PAGE, 4.6)
    above, below = figure.subfigures(2, 1)
    axes = above.subplots(1, len(families), sharey=True, squeeze=False)[0]
    _range(axes[0], steps)
    for axis, family in zip(axes, families, strict=True):
        _samplers(axis, [row for row in steps if row["family"] == family], content)
        axis.set(title=f"{FAMILY_NAMES[family]}, no guidance", xlabel="Network evaluations an image")
    axes[0].set_ylabel("KID (↓ better)")
    _guidance(below.subplots(1, 2), guided, families, content)
    return Drawing("samplers", figure, _caption(content))


def _range(axis, rows: list[dict[str, Any]]) -> None:
    values = [to_value(row["kid"]) for row in rows]
    set_scale(axis.yaxis, [value.value for value in values], lows(values))


def _samplers(axis, rows: list[dict[str, Any]], content: dict[str, Any]) -> None:
    for sampler in [name for name in SAMPLERS if any(row["sampler"] == name for row in rows)]:
        line = sorted((row for row in rows if row["sampler"] == sampler), key=lambda row: row["evaluations"])
        color, marker, style = SAMPLERS[sampler]
        look = {"color": color, "marker": marker, "label": sampler}
        draw_line(axis, [row["evaluations"] for row in line], [to_value(row["kid"]) for row in line], style, **look)
    axis.set_xscale("log")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if _within(tick, rows)]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.set_xticks([], minor=True)
    draw_band(axis, to_value(content.get("floor")))
    if rows:
        axis.legend(handlelength=2.4, labelspacing=0.2)


def _within(tick: float, rows: list[dict[str, Any]]) -> bool:
    numbers = [row["evaluations"] for row in rows] or [1]
    return 0.7 * min(numbers) <= tick <= 1.4 * max(numbers)


def _guidance(axes, rows: list[dict[str, Any]], families: list[str], content: dict[str, Any]) -> None:
    _range(axes[0], rows)
    for i, family in enumerate(families):
        line = [row for row in rows if row["family"] == family]
        color, marker = family_look(family)
        look = {"color": color, "marker": marker, "label": FAMILY_NAMES[family]}
        for axis, name in zip(axes, ("kid", "auroc"), strict=True):
            known = [row for row in line if row[name]]
            places, values = [row["guidance"] for row in known], [to_value(row[name]) for row in known]
            draw_line(axis, places, values, LINES[i % len(LINES)], **look)
    real = _real(content)
    draw_band(axes[0], to_value(content.get("floor")))
    draw_band(axes[1], real)
    ticks = sorted({row["guidance"] for row in rows})
    for axis, words in zip(axes, ("KID (↓ better)", "Mean AUROC of findings"), strict=True):
        axis.set(ylabel=words, xlabel="Guidance (1 is off)")
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    if rows:
        axes[0].legend()
    if real:
        axes[1].annotate("real images", (0.02, real.value), xycoords=("axes fraction", "data"), color=GRAY, fontsize=7,
                         va="bottom")  # fmt: skip


def _real(content: dict[str, Any]) -> Value | None:
    """AUROC of real images, mean of the findings; with an interval where there is one finding."""
    rows = list(content.get("real_findings", {}).values())
    if len(rows) == 1:
        return Value(rows[0]["auroc"], *rows[0]["interval"])
    return Value(sum(row["auroc"] for row in rows) / len(rows)) if rows else None


def _caption(content: dict[str, Any]) -> str:
    used = {f"{FAMILY_NAMES[row['family']]} by {row['sampler']} in {row['steps']} steps" for row in content["guidance"]}
    return (
        f"{what(content)}. KID of {counts(content)}, {seeds(content)}; gray: the floor. Above: without guidance, "
        "against the evaluations of the network that an image takes; ddpm: ancestral steps on the grid of the config's "
        "own schedule, with the variance of the posterior. Below: against guidance s in u + s (c - u) "
        f"({', '.join(sorted(used))}), which doubles the evaluations where it is on, beside the AUROC with which one "
        f"classifier of real images reads the requested findings ({_findings(content)}) in the samples; there gray is "
        "real images, bars are of seeds alone, and more than in real images is a caricature. "
        f"{SEEDS} {SHARED}{failed(content)} {content['device']}."
    )


def _findings(content: dict[str, Any]) -> str:
    """Those that are read, and in how many real images."""
    return "; ".join(f"{name}, {row['n']} real images" for name, row in content.get("real_findings", {}).items())


def tables(content: dict[str, Any]) -> list[Table]:
    """Of the samplers, what they differ by, and of guidance; a row a point."""
    return [_steps(content), _contrasts(content), _by_guidance(content)]


def _steps(content: dict[str, Any]) -> Table:
    rows = content["steps"]
    columns = [cells([row["kid"] for row in rows]), cells([row["images_per_second"] for row in rows])]
    body = [
        [Cell(FAMILY_NAMES[row["family"]]), Cell(row["sampler"]), Cell(str(row["steps"])),
         Cell(str(row["evaluations"])), *(column[i] for column in columns)] for i, row in enumerate(rows)
    ]  # fmt: skip
    header = ["Family", "Sampler", "Steps", "Evaluations an image", "KID ↓", "Images/s ↑"]
    return Table("Samplers without guidance. " + _caption(content), header, body, 0)


def _contrasts(content: dict[str, Any]) -> Table:
    rows = content["contrasts"]
    body = [
        [Cell(f"{FAMILY_NAMES[row['family']]}, {row['sampler']} {row['steps']} − {' '.join(map(str, row['against']))}"),
         *tested] for row, tested in zip(rows, differences(rows), strict=True)
    ]  # fmt: skip
    words = (
        "Differences of KID in the same draws, paired by seed; negative ones favour the first. 95 % intervals over "
        f"seeds and images.{_margin(content)} p of Student's paired test over seeds, these real images given; "
        f"corrected (Holm) for these {len(rows)} exploratory contrasts. Where the model is far from real images, "
        "samplers differ little."
    )
    return Table(words, ["Samplers", "Difference", "p", "p (Holm)"], body, 0)


def _auroc_of_real(content: dict[str, Any]) -> str:
    each = [f"{name} {row['auroc']:.3f} [{row['interval'][0]:.3f}, {row['interval'][1]:.3f}]"
            for name, row in content.get("real_findings", {}).items()]  # fmt: skip
    return f" Of real images: {'; '.join(each)}." if each else ""


def _margin(content: dict[str, Any]) -> str:
    """Up to where a sampler is called as good."""
    floor, ceiling, share = content.get("floor"), content.get("ceiling"), content["config"]["margin"]
    if not floor or not ceiling:
        return ""
    limit = share * (ceiling["value"] - floor["value"])
    return f" As good: an upper end below {limit:.3f}, {share:.0%} of the way from the floor to a Gaussian."


def _by_guidance(content: dict[str, Any]) -> Table:
    rows = content["guidance"]
    findings = list(dict.fromkeys(name for row in rows for name in row["findings"]))
    columns = [cells([row["kid"] for row in rows]), cells([row["auroc"] for row in rows]),
               *(cells([row["findings"].get(name) for row in rows]) for name in findings)]  # fmt: skip
    body = [[Cell(FAMILY_NAMES[row["family"]]), Cell(f"{row['guidance']:g}"), *(column[i] for column in columns)]
            for i, row in enumerate(rows)]  # fmt: skip
    words = f"Guidance at the family's default sampler; AUROC of samples, mean and by finding.{_auroc_of_real(content)}"
    return Table(words, ["Family", "Guidance", "KID ↓", "AUROC", *findings], body, 0)


__all__ = ["draw", "tables"]
