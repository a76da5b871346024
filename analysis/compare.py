"""python -m analysis.compare RESULTS... --out DIR

Brings result files of analysis.evaluate together, files or folders of them: prints and writes a table (Markdown, CSV,
LaTeX) of what is comparable, and draws figures (PDF, PNG) with their captions. Needs the result files alone, and the
strips of samples beside them.
"""

import argparse
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from analysis.comparison.comparable import Group, group
from analysis.comparison.result_files import one_a_run, read_results
from train.cli import guarded

SWEEPS = ("steps", "guidance")  # figures of all samplings of a model; the others show one of them


def main(argv: list[str] | None = None) -> int:
    """Compares; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m analysis.compare", description=__doc__.split("\n\n")[1])
    parser.add_argument("results", nargs="+", help="result files, or folders that are searched for them")
    parser.add_argument("--out", required=True, help="folder of tables and figures")
    parser.add_argument("--every", action="store_true", help="in the tables, all samplings of a run, and not one")
    args = parser.parse_args(argv)
    compare(args.results, Path(args.out), args.every)
    return 0


def compare(results: list[str | Path], out: Path, every: bool = False) -> None:
    """Prints and writes the tables, and draws the figures, of result files and folders of them.

    Figures of an earlier call that are not drawn any more are removed, so that none outlives the numbers it shows.

    Args:
      every: in the tables, all samplings of a run, and not one.
    """
    from analysis.comparison.table_files import show

    found, others = read_results(results)
    groups = group(found)
    out.mkdir(parents=True, exist_ok=True)
    if others:
        print(f"passed over, no results of analysis.evaluate: {', '.join(map(str, others))}")
    show(write_tables(groups, out, every))
    captions = {name: text for of in groups for name, text in write_figures(of, out).items()}
    remove_others(out, captions)
    write_text(out / "captions.md", "".join(f"**{name}.** {text}\n\n" for name, text in captions.items()))
    print(out)


def write_tables(groups: list[Group], out: Path, every: bool) -> list:
    """Writes table.md, table.csv and table.tex; returns the tables."""
    from analysis.comparison import table_files
    from analysis.comparison.records import records
    from analysis.comparison.tables import make_tables

    tables = [table for of in groups for table in make_tables(of, every)]
    write_text(out / "table.md", table_files.markdown(tables))
    write_text(out / "table.tex", table_files.latex(tables))
    write_text(out / "table.csv", table_files.comma_separated([row for of in groups for row in records(of)]))
    return tables


def write_figures(of: Group, out: Path) -> dict[str, str]:
    """Draws what a group of results has data for into OUT/GROUP/; returns {"GROUP/FIGURE": caption}.

    One line says which figures were not drawn, and why.
    """
    from analysis.plots.drawing import NothingToDraw, save

    folder, captions, missing = out / of.name, {}, []
    folder.mkdir(exist_ok=True)
    for name, draw in _figures(of):
        try:
            drawing = draw()
        except NothingToDraw as reason:
            missing.append(f"{name} ({reason})")
            continue
        save(drawing, folder)
        of_one = name.partition("_")[0] not in SWEEPS
        captions[f"{of.name}/{drawing.name}"] = drawing.caption + (_taken(of) if of_one else "")
    if missing:
        print(f"{of.name}, not drawn: {'; '.join(missing)}")
    return captions


def _taken(of: Group) -> str:
    """For captions of figures with room for one sampling of a model: which, where no file is named after the run."""
    trained = Counter(result.training for result in of.results)
    files = [r.path.name for r in one_a_run(of.results) if trained[r.training] > 1 and r.path.stem != r.run]
    return f" Of models that were sampled in several ways, the first file by name: {', '.join(files)}." if files else ""


def remove_others(out: Path, drawn: Collection[str]) -> None:
    """Removes the figures that OUT/captions.md of an earlier call names, "GROUP/FIGURE", but for those in `drawn`.

    Other files in OUT are somebody else's, and stay.
    """
    captions = out / "captions.md"
    text = captions.read_text() if captions.exists() else ""
    told = re.findall(r"^\*\*(\w[\w.-]*/\w[\w.-]*)\.\*\* ", text, re.MULTILINE)
    for name in set(told) - set(drawn):
        for kind in ("pdf", "png"):
            (out / f"{name}.{kind}").unlink(missing_ok=True)
        folder = (out / name).parent
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _figures(of: Group) -> Iterator[tuple[str, Callable]]:
    """Yields (name, function that draws it)."""
    from analysis.plots import family_metrics, guidance, label_fidelity, sample_rows, steps, trilemma

    chosen = one_a_run(of.results)
    for space in of.spaces:
        yield f"metrics_{space}", lambda s=space: family_metrics.draw(chosen, s)
        yield f"trilemma_{space}", lambda s=space: trilemma.draw(chosen, s)
        yield f"steps_{space}", lambda s=space: steps.draw(of.results, s)
        yield f"guidance_{space}", lambda s=space: guidance.draw(of.results, s)
    yield "samples", lambda: sample_rows.draw(chosen)
    yield "label_fidelity", lambda: label_fidelity.draw(chosen)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


if __name__ == "__main__":
    guarded(main)
