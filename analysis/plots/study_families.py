"""Figures and tables of the study of families: quality against time, speed and likelihood, samples and failures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.comparison.cells import Cell, duration, short
from analysis.comparison.comparable import FAMILY_NAMES
from analysis.comparison.metric_names import BITS
from analysis.comparison.result_files import FAMILIES, to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, draw_band, draw_ceiling, draw_line, lows
from analysis.plots.sample_rows import label_lines, read_rows, rows_figure
from analysis.plots.study_parts import SHARED, cells, counts, differences, failed, seeds, what
from analysis.plots.style import GRAY, PAGE, family_look, new_figure, set_scale, styled
from analysis.plots.trilemma import Point, draw_likelihood, draw_speed

INTERVALS = (
    "Intervals of 95 %: of KID over seeds and images, else the wider of that over seeds and of the seeds' own. "
    "Precision and recall are of as many generated as real images as the row of real images says. "
)
SPECTRUM = "Spectrum: how far power spectra are apart, which blur and grain raise though features overlook them. "
MEASURES = {
    "kid": "KID ↓", "fd_infinity": "FD∞ ↓", "precision": "Precision ↑", "recall": "Recall ↑",
    "spectrum": "Spectrum, dB ↓",
}  # fmt: skip


@styled
def draw(content: dict[str, Any]) -> Drawing:
    """A row a modality: KID against training time, and at the runs' ends against images/s and bits/dim.

    Raises:
      NothingToDraw: no run has been scored.
    """
    modalities = list(content["modalities"])
    if not modalities:
        raise NothingToDraw("no run has been scored to its end")
    figure = new_figure(PAGE, 0.5 + 1.9 * len(modalities))
    axes = figure.subplots(len(modalities), 3, squeeze=False, sharey="row", width_ratios=(1.3, 1, 1))
    for row, modality in zip(axes, modalities, strict=True):
        _time(row[0], modality, content)
        row[0].set_ylabel(f"{modality.replace('_', ' ')}\nKID (↓ better)")
        points = list(_points(modality, content))
        fast = [point for point in points if point.speed]
        if fast:
            draw_speed(row[1], fast)
        else:
            row[1].set_xticks([])
            row[1].set_xlabel("Images/s: too few images to say")
        draw_likelihood(row[2], points)
        for axis in row:
            draw_band(axis, to_value(content["modalities"][modality]["floor"]))
            draw_ceiling(axis, to_value(content["modalities"][modality]["ceiling"]))
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    _legend(figure, _families(content))
    return Drawing("families", figure, _caption(content))


def _time(axis, modality: str, content: dict[str, Any]) -> None:
    rows = [row for row in content["curves"] if row["modality"] == modality]
    values = [to_value(row["kid"]) for row in rows]
    set_scale(axis.yaxis, [value.value for value in values], lows(values))
    for family in _families(content):
        line = sorted((row for row in rows if row["family"] == family), key=lambda row: row["step"])
        color, marker = family_look(family)
        places = [row["seconds"] / 60 for row in line]
        draw_line(axis, places, [to_value(row["kid"]) for row in line], color=color, marker=marker)
    equal = [row["seconds"] / 60 for row in content["equal_time"] if row["modality"] == modality]
    if equal:
        axis.axvline(equal[0], color=GRAY, linewidth=0.6, linestyle=":")
    axis.set_xlabel("Training time, minutes")


def _points(modality: str, content: dict[str, Any]) -> Iterator[Point]:
    for row in content["ends"]:
        if row["modality"] == modality:
            color, marker = family_look(row["family"])
            look = {"color": color, "marker": marker}
            yield Point(to_value(row["kid"]), row["images_per_second"], to_value(row["bits_per_dim"]), look)


def _families(content: dict[str, Any]) -> list[str]:
    return [family for family in FAMILIES if any(row["family"] == family for row in content["curves"])]


def _legend(figure, families: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for family in families:
        color, marker = family_look(family)
        handles.append(Line2D([], [], color=color, marker=marker, label=FAMILY_NAMES[family]))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def size_words(content: dict[str, Any]) -> str:
    """What may be said of the numbers of parameters: equal only where they are so to within the study's tolerance."""
    tolerance, words = content["config"]["tolerance"], []
    for modality, row in content["parameters"].items():
        numbers = ", ".join(f"{FAMILY_NAMES[family]} {short(count)}" for family, count in row["counts"].items())
        refusal = f"NOT equal, {row['apart']:.0%} apart, where {tolerance:.0%} were allowed"
        verdict = f"equal to within {row['apart']:.0%}" if row["equal"] else refusal
        words.append(f"{modality}: {verdict} ({numbers})")
    return f"Parameters of all networks of a family: {'; '.join(words)}."


def _described(content: dict[str, Any]) -> str:
    return "; ".join(f"{what(row)}, {counts(row)}" for row in content["modalities"].values())


def _caption(content: dict[str, Any]) -> str:
    kinds = {f"{FAMILY_NAMES[row['family']]} by {row['bits_kind']}": 0 for row in content["ends"] if row["bits_kind"]}
    return (
        f"{_described(content)}. KID, {seeds(content)}; gray: the floor; broken: a Gaussian fitted to the pixels of "
        "the training images, from which DDPM and flow begin. Left: against training time without compiling; dotted: "
        "when the first family ended, where they are compared at equal time. Middle and right: at the runs' ends, "
        f"against speed of sampling and bits/dim ({', '.join(kinds)}; the others have none). {_sampling(content)}"
        f"{size_words(content)} Bars: 95 % intervals, of KID over seeds and images (hierarchical bootstrap), of "
        "bits/dim the wider of that over seeds and of the seeds' own. "
        f"{SHARED}{failed(content)} {content['device']}."
    )


def _sampling(content: dict[str, Any]) -> str:
    """How images were drawn by each family that has a choice."""
    drawn = {FAMILY_NAMES[row["family"]]: row["sampling"] for row in content["ends"] if row["sampling"]}
    words = [f"{name} {options['sampler']}, {options['steps']} steps, guidance {options['guidance']:g}"
             for name, options in drawn.items()]  # fmt: skip
    return f"Drawn by: {'; '.join(words)}. " if words else ""


def tables(content: dict[str, Any]) -> list[Table]:
    """At equal training time, at the runs' ends, and the differences between families."""
    return [_equal(content), _ends(content), _contrasts(content)]


def headline(content: dict[str, Any]) -> Table:
    """A row a modality and family: KID at equal training time and its difference from the baseline, then what it has
    at its own end; below what KID lies between.
    """
    rows, below = content["equal_time"], list(_bounds(content))
    tests = {(row["modality"], row["a"]): row for row in content["contrasts"]}
    ends = {(row["modality"], row["family"]): row for row in content["ends"]}
    keys = [(row["modality"], row["family"]) for row in rows]
    found = [tests.get(key, {"difference": None}) for key in keys]
    kid = cells([*(row["kid"] for row in rows), *(row["kid"] for _, _, row in below)])
    at_end = [cells([ends[key].get(name) for key in keys] + [row.get(name) for _, _, row in below])
              for name in ("kid", "recall", "spectrum")]  # fmt: skip
    at_end += [cells([ends[key][name] for key in keys]) for name in ("bits_per_dim", "images_per_second")]
    body = [
        [Cell(f"{modality}, {FAMILY_NAMES[family]}"), kid[i], differences(found)[i][0], differences(found)[i][2],
         Cell(duration(ends[modality, family]["seconds"])), *(column[i] for column in at_end)]
        for i, (modality, family) in enumerate(keys)
    ]  # fmt: skip
    body += [[Cell(f"{modality}: {name}"), kid[len(rows) + i], *[Cell()] * 3, Cell(),
              *(column[len(rows) + i] for column in at_end[1:3]), *[Cell()] * 2]
             for i, (modality, name, _) in enumerate(below)]  # fmt: skip
    base = FAMILY_NAMES[content["config"]["baseline"]]
    header = ["Modality, family", "KID ↓ at equal training time", f"− {base}", "p (Holm)", "Training to its end",
              "KID ↓ at its end", "Recall ↑", "Spectrum, dB ↓", f"{BITS} ↓", "Images/s ↑"]  # fmt: skip
    times = {modality: duration(row["seconds"]) for (modality, _), row in zip(keys, rows, strict=True)}
    equal = ", ".join(f"{modality} {words}" for modality, words in times.items())
    words = (
        f"{_described(content)}. KID, {seeds(content)}, at equal training time ({equal}, means over seeds) and at each "
        f"family's end, with 95 % intervals over seeds and images; p corrected (Holm) for {len(tests)} exploratory "
        f"contrasts. Recall: of as many generated as real images as the rows of real images say. {SPECTRUM}"
        f"{_sampling(content)}{size_words(content)} {SHARED}{failed(content)} {content['device']}."
    )
    return Table(words, header, body, len(below))


def _equal(content: dict[str, Any]) -> Table:
    rows = content["equal_time"]
    body = [[Cell(row["modality"]), Cell(FAMILY_NAMES[row["family"]]), Cell(duration(row["seconds"])), *measured]
            for row, measured in zip(rows, _measured(rows), strict=True)]  # fmt: skip
    words = (
        "Families at equal training time: when the first of a modality and seed had ended, the others on the line "
        "between their saved points, which is a little too high where KID still falls fast. " + INTERVALS
    )
    return Table(words + size_words(content), ["Modality", "Family", "Training", *_names_of(rows)], body, 0)


def _names_of(rows: list[dict[str, Any]]) -> list[str]:
    """Of the measures that some row has."""
    return [name for measure, name in MEASURES.items() if any(row.get(measure) for row in rows)]


def _measured(rows: list[dict[str, Any]], below: list[dict[str, Any]] | None = None) -> list[tuple[Cell, ...]]:
    """The measures that some of `rows` has, of these and of what stands below them."""
    known = [measure for measure, name in MEASURES.items() if name in _names_of(rows)]
    return list(zip(*(cells([row.get(name) for row in [*rows, *(below or [])]]) for name in known), strict=True))


def _ends(content: dict[str, Any]) -> Table:
    rows, below = content["ends"], list(_bounds(content))
    bits, speeds = (cells([row[name] for row in rows]) for name in ("bits_per_dim", "images_per_second"))
    measured = _measured(rows, [row for _, _, row in below])
    body = [
        [Cell(row["modality"]), Cell(FAMILY_NAMES[row["family"]]), Cell(f"{row['parameters']:,}"),
         Cell(f"{row['fitted']:,}"), Cell(duration(row["seconds"])), *measured[i], bits[i], speeds[i]]
        for i, row in enumerate(rows)
    ]  # fmt: skip
    body += [[Cell(modality), Cell(name), *[Cell()] * 3, *measured[len(rows) + i], Cell(), Cell()]
             for i, (modality, name, _) in enumerate(below)]  # fmt: skip
    header = ["Modality", "Family", "Parameters", "Fitted", "Training", *_names_of(rows), f"{BITS} ↓", "Images/s ↑"]
    words = "Families at their own ends. Fitted: numbers of the mean image and the covariance. Images/s: one core. "
    return Table(words + INTERVALS + SPECTRUM + _caption(content), header, body, len(below))


def _bounds(content: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(modality, name, measures) of what the families lie between."""
    for modality, row in content["modalities"].items():
        n = row["real"]["floor_n"]
        yield modality, f"Real images, {n} beside {n}", row["floors"]
        # Precision and recall of the Gaussian are of other numbers of images.
        known = {name: value for name, value in row["ceilings"].items() if name not in ("precision", "recall")}
        yield modality, "A Gaussian fitted to the pixels", known


def _contrasts(content: dict[str, Any]) -> Table:
    rows = content["contrasts"]
    body = [
        [Cell(row["modality"]), Cell(f"{FAMILY_NAMES[row['a']]} − {FAMILY_NAMES[row['b']]}"), *tested]
        for row, tested in zip(rows, differences(rows), strict=True)
    ]
    words = (
        "Differences of KID at equal training time, paired by seed, with intervals over seeds and images; negative "
        "ones favour the first family. p of Student's paired test over seeds, these real images given; corrected "
        f"(Holm) for these {len(rows)} exploratory contrasts.{failed(content)}"
    )
    return Table(words, ["Modality", "Families", "Difference", "p", "p (Holm)"], body, 0)


@styled
def strips(content: dict[str, Any], folder: Path) -> list[Drawing]:
    """Of each modality the first samples of each family, and its failures, from the pictures in `folder`."""
    found = []
    for modality in content["modalities"]:
        rows = [row for row in content["strips"] if row["modality"] == modality]
        rows.sort(key=lambda row: FAMILIES.index(row["family"]))
        found += [_samples(modality, rows, folder), _failures(modality, rows, folder)]
    return [drawing for drawing in found if drawing]


def _samples(modality: str, rows: list[dict[str, Any]], folder: Path) -> Drawing | None:
    pictures, held = read_rows(rows, folder)
    if not pictures:
        return None
    caption = (
        f"{modality}: the first {len(pictures[0])} synthetic samples of each family at the end of its training, not "
        "chosen, with the same labels in every row. Not for diagnosis."
    )
    figure = rows_figure(pictures, _names(held), label_lines(held[0]))
    return Drawing(f"samples_{modality}", figure, caption, synthetic=True)


def _failures(modality: str, rows: list[dict[str, Any]], folder: Path) -> Drawing | None:
    pictures, held = read_rows(rows, folder, "worst_file")
    if not pictures:
        return None
    worst = [row["worst"] for row in held]
    far = [f"{FAMILY_NAMES[row['family']]} {row['worst']['distance'][0]:.3g}" for row in held]
    caption = (
        f"{modality}: failures. Of each family the {len(pictures[0])} generated images whose nearest real image is "
        f"farthest in {worst[0]['space']} features, the farthest first ({', '.join(far)}; real images to the nearest "
        f"other: median {worst[0]['real']['median']:.3g}, highest {worst[0]['real']['highest']:.3g}). Blurred images "
        "are near to many and may be missed. Not for diagnosis."
    )
    words = [[str(i + 1)] for i in range(len(pictures[0]))]
    return Drawing(f"failures_{modality}", rows_figure(pictures, _names(held), words), caption, synthetic=True)


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return [FAMILY_NAMES[row["family"]] for row in rows]


__all__ = ["draw", "headline", "strips", "tables"]
