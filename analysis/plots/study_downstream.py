"""Figure and table of the downstream study: what synthetic images add, beside as many repeated real ones."""

from typing import Any

from analysis.comparison.cells import Cell
from analysis.comparison.result_files import to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, reach
from analysis.plots.study_parts import cells
from analysis.plots.style import BLACK, BLUE, GRAY, ORANGE, PAGE, VERMILION, new_figure, styled

METRICS = {"auroc": "AUROC (↑ better)", "accuracy": "Accuracy (↑ better)", "ece": "ECE (↓ better)"}
ARMS = {
    "mixed": (BLUE, "o", "-", "real and synthetic"),
    "duplicated": (ORANGE, "s", "--", "real, repeated (control)"),
}
FLAT = {"real": (BLACK, "-", "real alone"), "synthetic": (VERMILION, ":", "synthetic alone")}
TABLED = {"auroc": "AUROC ↑", "auprc": "AUPRC ↑", "accuracy": "Accuracy ↑", "ece": "ECE ↓", "nll": "NLL ↓"}
NETWORKS = {"cnn": "CNN", "efficientnet_lite0": "EfficientNet-Lite0"}


@styled
def draw(content: dict[str, Any]) -> Drawing:
    """A row of panels for each classifier: its metrics against the ratio, then mixed minus its control.

    Raises:
      NothingToDraw: no classifier has been tested.
    """
    rows = content["rows"]
    if not rows:
        raise NothingToDraw("no classifier has been tested")
    networks = list(dict.fromkeys(row["network"] for row in rows))
    figure = new_figure(PAGE, 0.5 + 1.9 * len(networks))
    axes = figure.subplots(len(networks), len(METRICS) + 1, squeeze=False)
    for line, network in zip(axes, networks, strict=True):
        of = [row for row in rows if row["network"] == network]
        for axis, (metric, name) in zip(line, METRICS.items(), strict=False):
            _against_ratio(axis, of, metric)
            axis.set_title(name)
        _gain(line[-1], [c for c in content["contrasts"] if c["network"] == network])
        line[0].set_ylabel(NETWORKS.get(network, network))
    figure.supxlabel("Synthetic (or repeated) images for each real one", fontsize=8)
    _legend(figure)
    return Drawing("downstream", figure, _caption(content))


def _against_ratio(axis, rows: list[dict[str, Any]], metric: str) -> None:
    """Lines of means over seeds, and a point a seed."""
    ratios = sorted({row["ratio"] for row in rows if row["arm"] in ARMS})
    for arm, (color, marker, style, _) in ARMS.items():
        values = {ratio: _values(rows, arm, metric, ratio) for ratio in ratios}
        known = [ratio for ratio in ratios if values[ratio]]
        axis.plot(known, [sum(values[r]) / len(values[r]) for r in known], style, color=color, marker=marker)
        for ratio in known:
            axis.plot([ratio] * len(values[ratio]), values[ratio], ".", color=color, markersize=2.5)
    for arm, (color, style, _) in FLAT.items():
        values = _values(rows, arm, metric)
        if values:
            axis.axhline(sum(values) / len(values), color=color, linestyle=style, linewidth=0.9)
    _ticks(axis, ratios)


def _values(rows: list[dict[str, Any]], arm: str, metric: str, ratio: float | None = None) -> list[float]:
    found = [r["metrics"][metric]["value"] for r in rows if r["arm"] == arm and ratio in (None, r["ratio"])]
    return [value for value in found if value is not None]


def _gain(axis, contrasts: list[dict[str, Any]]) -> None:
    """AUROC of mixed less that of its control, with the interval over test patients."""
    of = [c for c in contrasts if c["b"].startswith("duplicated")]
    for row in of:
        value = to_value(row["metrics"]["auroc"]["difference"])
        if value:
            axis.errorbar(row["ratio"], value.value, reach(value), color=BLUE, marker="o")
    axis.axhline(0.0, color=GRAY, linewidth=0.8)
    axis.set_title("AUROC, mixed − control")
    _ticks(axis, sorted({row["ratio"] for row in of}))


def _ticks(axis, ratios: list[float]) -> None:
    if len(ratios) > 1:
        axis.set_xscale("log")
    axis.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
    axis.set_xticks([], minor=True)


def _legend(figure) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=c, marker=m, linestyle=s, label=label) for c, m, s, label in ARMS.values()]
    handles += [Line2D([], [], color=color, linestyle=style, label=label) for color, style, label in FLAT.values()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _caption(content: dict[str, Any]) -> str:
    test, seeds = content["test"], len({row["seed"] for row in content["rows"]})
    images = next((row["images"] for row in content["rows"] if row["arm"] == "real"), None)
    learned = f" of {images} images" if images else ""
    return (
        f"{content['dataset']}, {content['image_shape'][0]}x{content['image_shape'][1]}: classifiers that learned from "
        f"{content['fraction']:.0%} of the real training split{learned} and from samples of a "
        f"{content['family'].upper()} of the same images, tested on {test['images']} real images of {test['groups']} "
        f"{test['groups_are']}. Lines: means of {seeds} seeds, which are the dots. Right: mean over seeds, with 95 % "
        f"intervals over {_levels(content)}. {content['device']}."
    )


def tables(content: dict[str, Any]) -> list[Table]:
    """Of the arms, a row each; and of what one gains over another."""
    return [_arms(content), _contrasts(content)]


def _arms(content: dict[str, Any]) -> Table:
    rows = content["arms"]
    columns = _columns([row["metrics"] for row in rows])
    body = [[Cell(_arm_name(row["network"], row["arm"], row["ratio"])), Cell(f"{row['images']:,}"), *column]
            for row, column in zip(rows, columns, strict=True)]  # fmt: skip
    words = f"Means over seeds, with 95 % intervals over {_levels(content)}. "
    return Table(words + _caption(content), ["Arm", "Images", *TABLED.values()], body, 0)


def _columns(rows: list[dict[str, Any]]) -> list[tuple[Cell, ...]]:
    """The cells of each row, of {metric: {"value", "low", "high"}}."""
    return list(zip(*(cells([row[name] for row in rows]) for name in TABLED), strict=True))


def _levels(content: dict[str, Any]) -> str:
    """What the intervals hold, and what they do not."""
    return f"test {content['test']['groups_are']} and seeds; all seeds share one generator and what it drew"


def _arm_name(network: str, arm: str, ratio: float) -> str:
    return f"{NETWORKS.get(network, network)}, {arm}" + (f" 1:{ratio:g}" if arm in ARMS else "")


def _contrasts(content: dict[str, Any]) -> Table:
    rows = content["contrasts"]
    columns = _columns([{name: row["metrics"][name]["difference"] for name in TABLED} for row in rows])
    body = [[Cell(f"{NETWORKS.get(row['network'], row['network'])}, {row['a']} − {row['b']}"), *column]
            for row, column in zip(rows, columns, strict=True)]  # fmt: skip
    words = (
        f"Differences of two arms in the same test {content['test']['groups_are']}, with 95 % intervals over "
        f"{_levels(content)}. Not corrected: of {len(rows)} rows without an effect one in twenty excludes 0 by chance."
    )
    return Table(words, ["Difference", *TABLED.values()], body, 0)
