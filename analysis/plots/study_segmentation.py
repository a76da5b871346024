"""Figure and tables of the study of segmentation: Dice against steps, masks and sampler, and against the data."""

from typing import Any

from analysis.comparison.cells import Cell, duration
from analysis.comparison.result_files import to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, draw_band, draw_line
from analysis.plots.study_parts import SEEDS, cells, differences, seeds
from analysis.plots.style import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, SKY, VERMILION, new_figure, styled

COLORS = {
    "flow": (BLUE, "o"), "flow_concatenated": (VERMILION, "s"), "unet": (BLACK, "^"),
    "flow_pretrained": (SKY, "D"), "unet_pretrained": (GREEN, "v"),
}  # fmt: skip
OTHERS = ((ORANGE, "P"), (PURPLE, "X"))
SAMPLERS = {"euler": ("-", "full", "the ODE that was trained"), "flowsdf": ("--", "none", "the published sampler")}


@styled
def draw(content: dict[str, Any]) -> Drawing:
    """Above a panel for each number of masks, Dice against steps; below Dice and HD95 against the share of the data.

    Raises:
      NothingToDraw: no run has been scored.
    """
    if not content["by_data"]:
        raise NothingToDraw("no run has been scored")
    figure = new_figure(PAGE, 4.8)
    parts = figure.subfigures(2, 1)
    swept = [row for row in content["grid"] if row["sampler"]]
    ensembles = sorted({row["ensemble"] for row in swept})
    if ensembles:
        axes = parts[0].subplots(1, len(ensembles), sharey=True, squeeze=False)[0]
        for axis, ensemble in zip(axes, ensembles, strict=True):
            _steps(axis, [row for row in swept if row["ensemble"] == ensemble], content)
            axis.set(title="1 mask an image" if ensemble == 1 else f"mean of {ensemble} masks", xlabel="Steps")
        axes[0].set_ylabel("Dice (↑ better)")
    for axis, (name, words) in zip(parts[1].subplots(1, 2), (("dice", "Dice (↑ better)"),
                                   ("hd95", "HD95, pixels (↓ better)")), strict=True):  # fmt: skip
        _data(axis, content["by_data"], name)
        axis.set_ylabel(words)
    _legend(figure, content, bool(swept))
    return Drawing("segmentation", figure, _caption(content))


def _look(content: dict[str, Any], arm: str) -> tuple[str, str]:
    others = [row["arm"] for row in content["by_data"] if row["arm"] not in COLORS]
    return COLORS.get(arm) or OTHERS[list(dict.fromkeys(others)).index(arm) % len(OTHERS)]


def _steps(axis, rows: list[dict[str, Any]], content: dict[str, Any]) -> None:
    for arm in dict.fromkeys(row["arm"] for row in rows):
        color, marker = _look(content, arm)
        for sampler, (line, fill, _) in SAMPLERS.items():
            points = sorted((r for r in rows if (r["arm"], r["sampler"]) == (arm, sampler)), key=lambda r: r["steps"])
            look = {"color": color, "marker": marker, "fillstyle": fill}
            draw_line(axis, [row["steps"] for row in points], [to_value(row["dice"]) for row in points], line, **look)
    baseline = next((row for row in content["grid"] if row["arm"] == content["baseline"]), None)
    draw_band(axis, to_value(baseline["dice"]) if baseline else None)
    ticks = sorted({row["steps"] for row in rows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.set_xticks([], minor=True)


def _data(axis, rows: list[dict[str, Any]], name: str) -> None:
    for arm in dict.fromkeys(row["arm"] for row in rows):
        color, marker = _look({"by_data": rows}, arm)
        line = sorted((row for row in rows if row["arm"] == arm), key=lambda row: row["fraction"])
        draw_line(axis, [row["fraction"] for row in line], [to_value(row[name]) for row in line], color=color,
                  marker=marker)  # fmt: skip
    ticks = sorted({row["fraction"] for row in rows})
    axis.set_xscale("log")
    axis.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("Training images")


def words(arm: str) -> str:
    """An arm's name as it is read."""
    return arm.replace("unet", "U-Net").replace("_", ", ").replace("concatenated", "image concatenated")


def _legend(figure, content: dict[str, Any], swept: bool) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for arm in dict.fromkeys(row["arm"] for row in content["by_data"]):
        color, marker = _look(content, arm)
        handles.append(Line2D([], [], color=color, marker=marker, label=words(arm)))
    for line, fill, name in SAMPLERS.values() if swept else ():
        handles.append(Line2D([], [], color=BLACK, marker="o", linestyle=line, fillstyle=fill, label=name))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, handlelength=2.6)


def _caption(content: dict[str, Any]) -> str:
    use = content["config"]["use"]
    return (
        f"{content['dataset']}, {content['n']} images of the {content['split']} split, {seeds(content)}. Above: "
        "with all training images, Dice against the solver's steps; broken: the sampler that FlowSDF published, which "
        f"feeds the network another point than the state; gray: {words(content['baseline'])}. Below: Dice and the 95th "
        f"percentile of the border's distance; flows with {use['ensemble']} masks in {use['steps']} steps. "
        f"{_pretrained(content)}{SEEDS} {content['device']}."
    )


def _pretrained(content: dict[str, Any]) -> str:
    """What pretraining is, and how much of it was taken over."""
    if not content["transfer"]:
        return ""
    each = [f"{words(arm)} {row['loaded']:.0%} as it was, {row['adapted']:.0%} adapted, {row['fresh']:.0%} fresh"
            for arm, row in content["transfer"].items()]  # fmt: skip
    source, steps = content["config"]["source"]["preset"], content["pretraining"]["steps"]
    return (
        f"Pretrained: from a flow segmenter after {steps} steps on {source}, a generator of masks given an image; "
        f"numbers taken over: {'; '.join(each)}. "
    )


def tables(content: dict[str, Any]) -> list[Table]:
    """Arms by data and what they cost, their differences, and the grid of steps, masks and samplers."""
    return [_arms(content), _contrasts(content), _grid(content)]


def _arms(content: dict[str, Any]) -> Table:
    rows, before = content["by_data"], content["pretraining"]["seconds"]
    columns = [cells([row[name] for row in rows]) for name in ("dice", "hd95", "images_per_second")]
    pretrained = {name for name, arm in content["config"]["arms"].items() if arm["source"]}
    body = [
        [Cell(words(row["arm"])), Cell(f"{row['fraction']:.0%}"), *(column[i] for column in columns),
         Cell(f"{row['parameters']:,}"), Cell(str(row["steps"] * row["ensemble"])), Cell(duration(row["seconds"])),
         Cell(duration(before) if row["arm"] in pretrained else "")] for i, row in enumerate(rows)
    ]  # fmt: skip
    header = ["Segmenter", "Data", "Dice ↑", "HD95 ↓", "Images/s ↑", "Parameters", "Evaluations an image", "Training",
              "Pretraining"]  # fmt: skip
    return Table("Segmenters by amount of data, and their cost. " + _caption(content), header, body, 0)


def _contrasts(content: dict[str, Any]) -> Table:
    rows = content["contrasts"]
    body = [
        [Cell(f"{words(row['arm'])} − {words(row['against'])}"), Cell(f"{row['fraction']:.0%}"), *tested]
        for row, tested in zip(rows, differences(rows), strict=True)
    ]
    caption = "Differences of Dice, paired by seed; positive ones favour the first."
    return Table(caption, ["Segmenters", "Data", "Difference", "p", "p (Holm)"], body, 0)


def _grid(content: dict[str, Any]) -> Table:
    rows = content["grid"]
    columns = [cells([row[name] for row in rows]) for name in ("dice", "hd95", "images_per_second")]
    body = [
        [Cell(words(row["arm"])), Cell(row["sampler"] or "–"), Cell(str(row["steps"])), Cell(str(row["ensemble"])),
         Cell(str(row["evaluations"])), *(column[i] for column in columns)] for i, row in enumerate(rows)
    ]  # fmt: skip
    header = ["Segmenter", "Sampler", "Steps", "Masks", "Evaluations an image", "Dice ↑", "HD95 ↓", "Images/s ↑"]
    return Table("Steps, masks and sampler, with all training images.", header, body, 0)


__all__ = ["draw", "tables"]
