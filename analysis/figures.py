"""python -m analysis.figures --results results --out figures

Redraws every figure (PDF, PNG) with its caption, and every table (Markdown, LaTeX), from results files alone: those of
analysis.study and of analysis.evaluate, in folders of OUT named as they are in RESULTS. With --readme README.md it only
writes the table at the head of that file, between its two marks.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from analysis.compare import compare, write_text
from analysis.comparison.result_files import is_result
from analysis.headline import insert
from data import UserError
from train.cli import guarded


def main(argv: list[str] | None = None) -> int:
    """Draws all that there is; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m analysis.figures", description=__doc__.split("\n\n")[1])
    parser.add_argument("--results", default="results", help="folder of results files")
    parser.add_argument("--out", default="figures", help="folder of figures and tables")
    parser.add_argument("--readme", help="write the headline tables into this file, and draw nothing")
    args = parser.parse_args(argv)
    source, out = Path(args.results), Path(args.out)
    if not source.is_dir():
        raise UserError(f"--results {source} is no folder")
    if args.readme:
        insert(Path(args.readme), source)
        print(args.readme)
        return 0
    folders: list[Path] = []
    for path in sorted(source.rglob("*.json")):
        content = _read(path)
        if "study" in content:
            draw_study(path, out / path.relative_to(source).parent)
        elif is_result(content) and path.parent not in folders:
            folders.append(path.parent)
    for folder in folders:
        compare([folder], out / folder.relative_to(source))
    print(out)
    return 0


def draw_study(path: Path, folder: Path | None = None) -> list[Path]:
    """Draws a study's results file: SIZE.pdf, SIZE.png, and SIZE.md and SIZE.tex with its tables and its caption.

    A study whose results have pictures, in the folder SIZE beside the file, has figures of these as well: SIZE_NAME.

    Args:
      folder: where to; beside the file by default.
    """
    from analysis.comparison import table_files
    from analysis.plots import studies
    from analysis.plots.drawing import NothingToDraw, save

    content, folder = _read(path), folder or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    module = studies.DRAWN[content["study"]]
    try:
        drawing = module.draw(content)
    except NothingToDraw as reason:
        print(f"{path}: nothing is drawn: {reason}")
        return []
    tables = module.tables(content)
    files = save(studies.named(drawing, path.stem), folder)
    for strip in module.strips(content, path.with_suffix("")) if hasattr(module, "strips") else ():
        files += save(studies.named(strip, f"{path.stem}_{strip.name}"), folder)
    for ending, text in (("md", table_files.markdown(tables)), ("tex", table_files.latex(tables))):
        write_text(folder / f"{path.stem}.{ending}", text)
    return files


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error})") from error
    return content if isinstance(content, dict) else {}


if __name__ == "__main__":
    guarded(main)
