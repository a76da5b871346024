"""Figure and table of the downstream study: what synthetic images add, beside as many repeated real ones."""

from typing import Any

from analysis.comparison.cells import Cell
from analysis.comparison.result_files import to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, reach
from analysis.plots.study_parts import cells, failed
from analysis.plots.style import BLACK, BLUE, GRAY, ORANGE, PAGE, VERMILION, new_figure, styled

METRICS = {"auroc": "AUROC (↑ better)", "accuracy": "Accuracy (↑ better)", "ece": "ECE (↓ better)"}
ARMS = {
    "mixed": (BLUE, "o", "-", "real and synthetic"),
    "duplicated": (ORANGE, "s", "--", "real, repeated: as real alone, but for noise"),
}
FLAT = {"real": (BLACK, "-", "real alone"), "synthetic": (VERMILION, ":", "synthetic alone, 1:1")}
TABLED = {"auroc": "AUROC ↑", "auprc": "AUPRC ↑", "accuracy": "Accuracy ↑", "ece": "ECE ↓", "nll": "NLL ↓"}
EXPLAINED = {"inside": "Inside the mask", "area": "Area of the mask", "excess": "Difference ↑"}
METHODS = {"grad_cam": "Grad-CAM", "lime": "LIME"}
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
    seeds = len({row["seed"] for row in content["rows"]})
    return (
        f"{_learned(content)} Lines: means of {seeds} seeds, which are the dots (of real and synthetic alone: means). "
        f"Right: mean over seeds, with 95 % intervals over {_levels(content)}.{failed(content)} {content['device']}."
    )


def _learned(content: dict[str, Any]) -> str:
    """What the classifiers learned from, for how long, and what they were tested on."""
    test, config = content["test"], content["config"]
    images = next((f" ({row['images']} images)" for row in content["rows"] if row["arm"] == "real"), "")
    unnamed = "" if test["groups_are"] == "patients" else (
        ". No patient is named in this dataset: images of one may be in training and test, and count as independent"
    )  # fmt: skip
    return (
        f"{content['dataset']}, {content['image_shape'][0]}x{content['image_shape'][1]}: classifiers that learned from "
        f"{content['fraction']:.0%}{images} of the real training split and from samples of one "
        f"{content['family'].upper()} trained on the same images for {config['generator_steps']:,} steps"
        f"{_drawn(content)}, tested on {test['images']} real images of {test['groups']} {test['groups_are']}{unnamed}. "
        f"Each took equal steps in all arms ({_steps(content)}), so that with r synthetic "
        "images for each real one 1/(1 + r) of what it saw was real; the step that is tested was chosen on the whole "
        "real validation split."
    )


def _steps(content: dict[str, Any]) -> str:
    """Of the networks that were tested."""
    tested = dict.fromkeys(row["network"] for row in content["rows"])
    steps = content["config"]["classifier_steps"]
    starts = {"cnn": "from scratch", "efficientnet_lite0": "from ImageNet"}
    return ", ".join(f"{NETWORKS.get(name, name)} {steps[name]:,} {starts.get(name, '')}".rstrip() for name in tested)


def _drawn(content: dict[str, Any]) -> str:
    """How the synthetic images were drawn, and how good they are."""
    words, made = "", content["generator"]
    if guidance := content.get("sampling", {}).get("guidance"):
        words = f" (guidance {guidance:g})"
    if made:
        kid = made["kid"]["generated"]
        copies = "copies of training images suspected" if made["suspected"] else "no copies found"
        words += f", KID {kid['value']:.3f} of {kid['n'][0]} of them, {copies}"
    return words


def tables(content: dict[str, Any]) -> list[Table]:
    """Of the arms, a row each; of what one gains over another; and of where they look, if that was asked."""
    found = [_arms(content), _contrasts(content)]
    looked = [row for row in content["rows"] if row.get("inside_mask")]
    return [*found, _explained(looked, content)] if looked else found


def headline(content: dict[str, Any]) -> Table:
    """A row an arm: AUROC and accuracy, and what AUROC differs by from real images alone."""
    rows = content["arms"]
    gains = {(row["network"], row["a"]): row["metrics"]["auroc"]["difference"]
             for row in content["contrasts"] if row["b"] == "real"}  # fmt: skip
    columns = [cells([row["metrics"][name] for row in rows]) for name in ("auroc", "accuracy")]
    gained = cells([gains.get((row["network"], _key(row))) for row in rows])
    body = [[Cell(_arm_name(row["network"], row["arm"], row["ratio"])), *(column[i] for column in columns), gained[i]]
            for i, row in enumerate(rows)]  # fmt: skip
    seeds = len({row["seed"] for row in content["rows"]})
    words = (
        f"{_learned(content)} Means of {seeds} seeds, 95 % intervals over {_levels(content)}. Not corrected."
        f"{failed(content)} {content['device']}."
    )
    return Table(words, ["Learned from", "AUROC ↑", "Accuracy ↑", "AUROC − real alone"], body, 0)


def _key(row: dict[str, Any]) -> str:
    """The arm's name in contrasts."""
    return f"{row['arm']}_{row['ratio']:g}" if row["ratio"] else row["arm"]


def _arms(content: dict[str, Any]) -> Table:
    rows = content["arms"]
    columns = _columns([row["metrics"] for row in rows])
    body = [[Cell(_arm_name(row["network"], row["arm"], row["ratio"])),
             *(Cell(f"{row[kind]:,}") for kind in ("real", "duplicates", "synthetic")), *column]
            for row, column in zip(rows, columns, strict=True)]  # fmt: skip
    seeds = len({row["seed"] for row in content["rows"]})
    words = f"{_learned(content)} Means of {seeds} seeds, 95 % intervals over {_levels(content)}.{failed(content)}"
    return Table(words, ["Arm", "Real", "Repeated", "Synthetic", *TABLED.values()], body, 0)


def _columns(rows: list[dict[str, Any]]) -> list[tuple[Cell, ...]]:
    """The cells of each row, of {metric: {"value", "low", "high"}}."""
    return list(zip(*(cells([row[name] for row in rows]) for name in TABLED), strict=True))


def _levels(content: dict[str, Any]) -> str:
    """What the intervals hold, and what they do not."""
    shared = "all seeds share one choice of training images, one generator and what it drew"
    return f"test {content['test']['groups_are']} and seeds; {shared}"


def _arm_name(network: str, arm: str, ratio: float) -> str:
    return f"{NETWORKS.get(network, network)}, {arm}" + (f" 1:{ratio:g}" if arm != "real" else "")


def _explained(looked: list[dict[str, Any]], content: dict[str, Any]) -> Table:
    """A row an arm and method: how much of its maps lies within the findings' masks."""
    rows = [(row, method, parts["all"]) for row in looked for method, parts in row["inside_mask"].items()]
    columns = [cells([shares[name] for _, _, shares in rows]) for name in EXPLAINED]
    body = [[Cell(_arm_name(row["network"], row["arm"], row["ratio"])), Cell(METHODS.get(method, method)),
             *(column[i] for column in columns), Cell(f"{(shares['inside'] or {'n': [0]})['n'][0]}")]
            for i, (row, method, shares) in enumerate(rows)]  # fmt: skip
    words = (
        f"Where the classifiers of seed {looked[0]['seed']} look on real test images that show a finding with a mask: "
        "means over images of the map's share inside the mask, of the mask's area as a share of the image and of their "
        "difference, with Student's intervals over images, which know of no patients. A map that is spread evenly has "
        f"a difference of 0; empty maps are left out.{failed(content)}"
    )
    return Table(words, ["Arm", "Map", *EXPLAINED.values(), "Images"], body, 0)


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
