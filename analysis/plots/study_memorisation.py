"""Figure and tables of the study of memorisation: copies, AuthPct and membership against steps, a line a data size."""

from typing import Any

from analysis.comparison.cells import Cell, duration
from analysis.comparison.comparable import FAMILY_NAMES
from analysis.comparison.result_files import to_value
from analysis.comparison.tables import Table
from analysis.plots.drawing import Drawing, NothingToDraw, draw_band, draw_line
from analysis.plots.study_parts import WIDE, cells, counts, failed, seeds, what
from analysis.plots.style import BLACK, BLUE, GRAY, GREEN, LINES, ORANGE, PAGE, VERMILION, new_figure, styled

SIZES = (VERMILION, ORANGE, GREEN, BLUE, BLACK)  # from few images to many
MARKERS = ("o", "s", "^", "D", "v")
PANELS = {"copies": "Share of copies", "authentic": "AuthPct", "membership": "Membership AUC"}


@styled
def draw(content: dict[str, Any]) -> Drawing:
    """A row a family; a colour a data size, a line style and marker an augmentation.

    Raises:
      NothingToDraw: no run has been audited.
    """
    curves = content["curves"]
    if not curves:
        raise NothingToDraw("no run has been audited")
    families = list(dict.fromkeys(row["family"] for row in curves))
    figure = new_figure(PAGE, 0.7 + 1.8 * len(families))
    axes = figure.subplots(len(families), 3, squeeze=False)
    for row, family in zip(axes, families, strict=True):
        here = [curve for curve in curves if curve["family"] == family]
        for axis, (name, words) in zip(row, PANELS.items(), strict=True):
            _lines(axis, here, name, content)
            _beside(axis, here, name)
            axis.set(title=f"{FAMILY_NAMES[family]}: {words}", ylim=(-0.03, 1.03))
            axis.set_xticks(sorted({curve["step"] for curve in here}))
    for axis in axes[-1]:
        axis.set_xlabel("Optimiser steps")
    _legend(figure, content)
    return Drawing("memorisation", figure, _caption(content))


def _kept(content: dict[str, Any], name: str) -> list:
    """Values of all curves: augmentations with "none" first, fractions from few to many."""
    return sorted({row[name] for row in content["curves"]}, key=lambda value: (value != "none", value))


def _lines(axis, curves: list[dict[str, Any]], name: str, content: dict[str, Any]) -> None:
    for i, fraction in enumerate(_kept(content, "fraction")):
        for j, augmentation in enumerate(_kept(content, "augmentation")):
            line = [row for row in curves if (row["fraction"], row["augmentation"]) == (fraction, augmentation)]
            line.sort(key=lambda row: row["step"])
            look = {"color": SIZES[i % 5], "marker": MARKERS[j % 5], "fillstyle": "none" if j else "full"}
            draw_line(axis, [row["step"] for row in line], [to_value(row[name]) for row in line], LINES[j % 4], **look)


def _beside(axis, curves: list[dict[str, Any]], name: str) -> None:
    """Gray: what a generator that copies nothing would score; chance for the membership.

    AuthPct of unseen images depends on the data's size, so that there they have a line each.
    """
    if name == "copies":
        draw_band(axis, to_value(curves[0]["expected"]))
        return
    last = {row["fraction"]: row["authentic_unseen"]["value"] for row in curves if row["augmentation"] == "none"}
    for value in {0.5} if name == "membership" else set(last.values()):
        axis.axhline(value, color=GRAY, linewidth=0.6, zorder=0.5)


def _legend(figure, content: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D

    images = {row["fraction"]: row["images"] for row in content["curves"]}
    handles = [Line2D([], [], color=SIZES[i % 5], label=f"{images[fraction]:,} images")
               for i, fraction in enumerate(_kept(content, "fraction"))]  # fmt: skip
    for j, name in enumerate(_kept(content, "augmentation")):
        words = "no augmentation" if name == "none" else name
        look = {"linestyle": LINES[j % 4], "marker": MARKERS[j % 5], "fillstyle": "none" if j else "full"}
        handles.append(Line2D([], [], color=BLACK, label=words, **look))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6), handlelength=3)


def _caption(content: dict[str, Any]) -> str:
    row = content["curves"][0]
    low, high = row["expected"]["low"], row["expected"]["high"]
    return (
        f"{what(content)}. Audit of {content['n']} samples against all training images in {content['space']}, "
        f"{seeds(content)}. Share of copies: of samples whose distance to the nearest training image, over those to "
        "the next, is below a threshold that unseen images set; gray: generators that copy nothing, at least 95 % "
        f"of which lie between {low:.1%} and {high:.1%}, all runs of one data size alike, and shares below "
        f"{row['smallest']:.1%} are never suspected. AuthPct: of samples farther from their training image than that "
        "is from its neighbour; gray: unseen images, for each data size. Membership: training from unseen images, told "
        "by the model's score; gray: chance; after one step it tells what was fitted to the training images before. "
        "Of runs with flips mirrored training images are searched too, but for AuthPct. A poor model passes all of "
        f"this: read KID in the table. {WIDE} All seeds share one subset of the data, one set of unseen images and the "
        f"noise that images are drawn from.{failed(content)} {content['device']}."
    )


def tables(content: dict[str, Any]) -> list[Table]:
    """At every point, and what augmentation changes at the runs' ends."""
    return [_points(content), _contrasts(content)]


def _points(content: dict[str, Any]) -> Table:
    rows = content["curves"]
    names = {
        "copies": "Copies ↓", "copies_unseen": "of unseen", "authentic": "AuthPct ↑", "membership": "Membership AUC ↓",
        "kid": "KID ↓",
    }  # fmt: skip
    columns = [cells([row[name] for row in rows]) for name in names]
    body = [
        [Cell(FAMILY_NAMES[row["family"]]), Cell(row["augmentation"]), Cell(f"{row['images']:,}"),
         Cell(f"{row['step']:,}"), Cell(f"{row['rounds']:,.0f}"), Cell(duration(row["seconds"])),
         *(column[i] for column in columns), Cell(f"{row['suspected']} of {row['copies']['seeds']}")]
        for i, row in enumerate(rows)
    ]  # fmt: skip
    header = ["Family", "Augmentation", "Images", "Steps", "Rounds", "Training", *names.values(), "Copies suspected"]
    words = (
        "Memorisation. Rounds: how often each image was shown; fewer images are shown more often in as many steps. "
        "Copies suspected: in how many seeds, in any of features, pixels and hashes, each audit at 1 %, not corrected "
        f"over audits. KID: intervals over seeds and images, {counts(content)}. "
    )
    return Table(words + _caption(content), header, body, 0)


def _contrasts(content: dict[str, Any]) -> Table:
    rows = content["contrasts"]
    names = {**PANELS, "kid": "KID"}
    columns = [cells([row[name] for row in rows]) for name in names]
    body = [[Cell(FAMILY_NAMES[row["family"]]), Cell(row["augmentation"]), Cell(f"{row['fraction']:.0%}"),
             *(column[i] for column in columns)] for i, row in enumerate(rows)]  # fmt: skip
    words = (
        "Augmentation minus none at the runs' ends, by seed. 95 % intervals: of shares the wider of Student's over "
        "seeds and of what both arms' own intervals give, of KID over seeds and images. Exploratory, not corrected: of "
        f"{len(rows) * len(names)} without an effect one in twenty excludes 0 by chance."
    )
    return Table(words, ["Family", "Augmentation", "Data", *names.values()], body, 0)


__all__ = ["draw", "tables"]
