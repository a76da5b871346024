"""Figure and tables of the study of segmentation: Dice against steps, masks and sampler, and against the data."""

from typing import Any

from analysis.comparison.cells import Cell, duration
from analysis.comparison.result_files import to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, draw_line
from analysis.plots.study_parts import SEEDS, cells, differences, failed, seeds
from analysis.plots.style import BLACK, BLUE, GRAY, GREEN, ORANGE, PAGE, PURPLE, SKY, VERMILION, new_figure, styled

COLORS = {
    "flow": (BLUE, "o"), "flow_concatenated": (VERMILION, "s"), "unet": (BLACK, "^"),
    "flow_pretrained": (SKY, "D"), "unet_pretrained": (GREEN, "v"),
}  # fmt: skip
OTHERS = ((ORANGE, "P"), (PURPLE, "X"))
PASSES = "Mask-network passes"
INTERVALS = "Intervals of 95 %: hierarchical bootstrap over seeds and images."
COST = (
    "Passes are of the network that moves the mask; where the image has a network of its own, it runs once more. Times "
    "are without compiling, and images/s is of one core."
)
SHARED_DATA = "All seeds share one subset of the data and one set of test images."
SAMPLERS = {"euler": ("-", "full", "the ODE that was trained"), "flowsdf": ("--", "none", "the published sampler")}


@styled
def draw(content: dict[str, Any]) -> Drawing:
    """Above a panel for each number of masks, Dice less the baseline's against steps; below Dice and HD95 against the
    share of the data.

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
            title = "1 mask an image" if ensemble == 1 else f"mask of the mean SDF of {ensemble}"
            axis.set(title=title, xlabel="Steps")
        axes[0].set_ylabel(f"Dice − {words(content['baseline'])} (↑ better)")
    for axis, (name, label) in zip(parts[1].subplots(1, 2), (("dice", "Dice (↑ better)"),
                                   ("hd95", "HD95, pixels (↓ better)")), strict=True):  # fmt: skip
        _data(axis, content["by_data"], name)
        axis.set_ylabel(label)
    _legend(figure, content, bool(swept))
    return Drawing("segmentation", figure, _caption(content))


def _look(content: dict[str, Any], arm: str) -> tuple[str, str]:
    others = [row["arm"] for row in content["by_data"] if row["arm"] not in COLORS]
    return COLORS.get(arm) or OTHERS[list(dict.fromkeys(others)).index(arm) % len(OTHERS)]


def _steps(axis, rows: list[dict[str, Any]], content: dict[str, Any]) -> None:
    for arm in dict.fromkeys(row["arm"] for row in rows):
        color, marker = _look(content, arm)
        for (sampler, (line, fill, _)), beside in zip(SAMPLERS.items(), aside(len(SAMPLERS)), strict=True):
            points = [row for row in rows if (row["arm"], row["sampler"]) == (arm, sampler) and row["difference"]]
            points.sort(key=lambda row: row["steps"])
            look = {"color": color, "marker": marker, "fillstyle": fill}
            values = [to_value(row["difference"]) for row in points]
            draw_line(axis, [row["steps"] * beside for row in points], values, line, **look)
    axis.axhline(0.0, color=GRAY, linewidth=0.8, zorder=0.6)
    axis.axhline(-content["config"]["margin"], color=GRAY, linewidth=0.8, linestyle=":", zorder=0.6)
    ticks = sorted({row["steps"] for row in rows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.set_xticks([], minor=True)


def _data(axis, rows: list[dict[str, Any]], name: str) -> None:
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for arm, beside in zip(arms, aside(len(arms)), strict=True):
        color, marker = _look({"by_data": rows}, arm)
        line = sorted((row for row in rows if row["arm"] == arm), key=lambda row: row["fraction"])
        draw_line(axis, [row["fraction"] * beside for row in line], [to_value(row[name]) for row in line],
                  color=color, marker=marker)  # fmt: skip
    ticks = sorted({row["fraction"] for row in rows})
    axis.set_xscale("log")
    axis.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("Training images")


def aside(lines: int) -> list[float]:
    """What the places of each line on a logarithmic axis are multiplied by, so that intervals stand side by side."""
    return [1.06 ** (index - (lines - 1) / 2) for index in range(lines)]


def words(arm: str) -> str:
    """An arm's name as it is read."""
    return arm.replace("unet", "U-Net").replace("_", ", ").replace("concatenated", "image concatenated, no guess")


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
    use, base = content["config"]["use"], words(content["baseline"])
    return (
        f"{_measured(content)} Above: with all training images, Dice less that of the {base} in the same images, "
        "against the solver's steps; broken: the sampler that FlowSDF published, which feeds the network another point "
        f"than the state; dotted: {content['config']['margin']:g} below, down to which a segmenter is called as good. "
        f"Below: flows with {use['ensemble']} masks in {use['steps']} steps. Lines stand a little "
        f"aside of each other. {_pretrained(content)}{SEEDS} "
        f"{SHARED_DATA}{failed(content)} {content['device']}."
    )


def _measured(content: dict[str, Any]) -> str:
    """What was segmented, after how much training, and what the scores are."""
    shape = content["image_shape"]
    return (
        f"{content['dataset']}, {shape[0]}x{shape[1]}, {content['n']} images of the {content['split']} split, after "
        f"{content['config']['train_steps']:,} steps, {seeds(content)}. Dice, and the 95th percentile of the distance "
        "between borders, in which an empty mask counts as the image's diagonal: means over images."
    )


def _pretrained(content: dict[str, Any]) -> str:
    """What pretraining is, and how much of it was taken over."""
    if not content["transfer"]:
        return ""
    each = [f"{words(arm)} {row['loaded']:.1%} as it was, {row['adapted']:.1%} adapted, {row['fresh']:.1%} fresh"
            for arm, row in content["transfer"].items()]  # fmt: skip
    source, steps = content["config"]["source"]["preset"], content["pretraining"]["steps"]
    return (
        f"Pretrained: from a flow segmenter after {steps} steps on {source}, a generator of masks given an image; "
        f"one for all seeds and beside the equal steps of the training; numbers taken over: {'; '.join(each)}. "
    )


def tables(content: dict[str, Any]) -> list[Table]:
    """Arms by data and what they cost, their differences, and the grid of steps, masks and samplers."""
    return [_arms(content), _contrasts(content), _grid(content)]


def _arms(content: dict[str, Any]) -> Table:
    rows, before = content["by_data"], content["pretraining"]["seconds"]
    columns = [cells([row[name] for row in rows]) for name in ("dice", "difference", "hd95", "images_per_second")]
    pretrained = {name for name, arm in content["config"]["arms"].items() if arm["source"]}
    body = [
        [Cell(words(row["arm"])), Cell(f"{row['images']:,}"), *(column[i] for column in columns),
         Cell(f"{row['parameters']:,}"), Cell(str(row["steps"] * row["ensemble"])), Cell(duration(row["seconds"])),
         Cell(duration(before) if row["arm"] in pretrained else "")] for i, row in enumerate(rows)
    ]  # fmt: skip
    header = ["Segmenter", "Training images", "Dice ↑", f"Dice − {words(content['baseline'])}", "HD95 ↓", "Images/s ↑",
              "Parameters", PASSES, "Training", "Pretraining"]  # fmt: skip
    caption = (
        f"Segmenters by amount of data, and their cost. {_measured(content)} {_pretrained(content)}{INTERVALS} {COST} "
        f"{SHARED_DATA}{failed(content)} {content['device']}."
    )
    return Table(caption, header, body, 0)


def _contrasts(content: dict[str, Any]) -> Table:
    rows = content["contrasts"]
    body = [
        [Cell(f"{words(row['arm'])} − {words(row['against'])}"), Cell(f"{row['fraction']:.0%}"), *tested]
        for row, tested in zip(rows, differences(rows), strict=True)
    ]
    caption = (
        f"Differences of Dice, paired by seed; positive ones favour the first. {_measured(content)} {INTERVALS} p of "
        f"Student's paired test over seeds, these images given; corrected (Holm) for these {len(rows)} exploratory "
        "contrasts: with three seeds it is rarely small, which does not make two segmenters alike."
    )
    return Table(caption, ["Segmenters", "Data", "Difference", "p", "p (Holm)"], body, 0)


def _grid(content: dict[str, Any]) -> Table:
    rows = content["grid"]
    names = ("dice", "difference", "to_euler", "hd95", "images_per_second")
    columns = [cells([row[name] for row in rows]) for name in names]
    body = [
        [Cell(words(row["arm"])), Cell(row["sampler"] or "–"), Cell(str(row["steps"])), Cell(str(row["ensemble"])),
         Cell(str(row["evaluations"])), *(column[i] for column in columns)] for i, row in enumerate(rows)
    ]  # fmt: skip
    header = ["Segmenter", "Sampler", "Steps", "Masks", PASSES, "Dice ↑", f"Dice − {words(content['baseline'])}",
              "Dice − euler", "HD95 ↓", "Images/s ↑"]  # fmt: skip
    caption = f"Steps, masks and sampler, with all training images. {_measured(content)} {INTERVALS} {COST}"
    return Table(caption, header, body, 0)


__all__ = ["draw", "tables"]
