"""Whether requested findings are seen in the samples, finding by finding, beside real images."""

from collections.abc import Sequence

from analysis.comparison.comparable import describe
from analysis.comparison.result_files import Result
from analysis.plots.drawing import BARS, Drawing, NothingToDraw, add_legend, reach
from analysis.plots.style import BLACK, COLUMN, GRAY, PALE, looks, new_figure, styled

GAP = 0.8  # of the height between two findings, taken by the runs


@styled
def draw(results: Sequence[Result]) -> Drawing:
    """AUROC of a classifier on real images and on the samples of each run.

    Raises:
      NothingToDraw: no result has label fidelity.
    """
    from matplotlib.lines import Line2D

    results = [result for result in results if any(result.auroc(name, "samples") for name in result.findings)]
    findings = list(dict.fromkeys(name for r in results for name in r.findings if r.auroc(name, "samples")))
    if not findings:
        raise NothingToDraw("no result has label_fidelity")
    figure = new_figure(COLUMN, 0.75 + len(findings) * (0.16 + 0.11 * len(results)))
    axis = figure.subplots()
    for row, finding in enumerate(findings):
        _real(axis, row, next((r.auroc(finding, "real") for r in results if r.auroc(finding, "real")), None))
        _samples(axis, row, results, finding)
    axis.axvline(0.5, color=GRAY, linewidth=0.6, linestyle=":", zorder=0.4)
    axis.set_yticks(range(len(findings)), [name.replace("_", " ") for name in findings])
    axis.tick_params(axis="y", length=0)
    axis.set(xlabel="AUROC of a classifier of real images (better →)", ylim=(len(findings) - 0.5, -0.5))
    add_legend(figure, results, first=[Line2D([], [], color=BLACK, linewidth=1.0, label="real")])
    return Drawing("label_fidelity", figure, _caption(results, findings))


def _real(axis, row: int, value) -> None:
    if value is None:
        return
    top, bottom = row - GAP / 2, row + GAP / 2
    axis.plot([value.value] * 2, [top, bottom], "-", color=BLACK, linewidth=1.0, zorder=1.2)
    if value.has_interval:
        axis.fill_betweenx([top, bottom], value.low, value.high, color=PALE, linewidth=0, zorder=0.5)


def _samples(axis, row: int, results: Sequence[Result], finding: str) -> None:
    for i, (result, look) in enumerate(zip(results, looks(results), strict=True)):
        value = result.auroc(finding, "samples")
        if value:
            y = row + GAP * ((i + 0.5) / len(results) - 0.5)
            axis.errorbar(value.value, y, xerr=reach(value), linestyle="none", **look)


def _caption(results: Sequence[Result], findings: Sequence[str]) -> str:
    counts = sorted({value.n[0] for r in results for f in findings if (value := r.auroc(f, "real")) and value.n})
    real = f", n = {' to '.join(f'{n:,}' for n in dict.fromkeys((counts[0], counts[-1])))}" if counts else ""
    return (
        "Label fidelity: AUROC of a classifier, trained on real images, for the findings that were requested of the "
        f"samples. {describe(results)}. {BARS} Black line and gray band: the same on real images{real}, and its "
        "interval. Dotted line: chance."
    )
