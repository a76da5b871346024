"""The table at the head of README.md, written from results files alone so that no number in it is typed by hand."""

import json
import os
from pathlib import Path

from analysis.comparison import table_files
from analysis.plots import studies
from data import UserError

BEGIN = "<!-- headline: written by python -m analysis.figures --results results --readme README.md -->"
END = "<!-- end of headline -->"
SIZES = ("gpu", "cpu")  # the largest that has been run is told; a smoke says nothing


def headline(results: Path, beside: Path) -> str:
    """Markdown: of each study that has a headline(content) the table of its largest size, with a link to its figure.

    Args:
      beside: folder of the file that this is written into.
    """
    parts = []
    for name, module in studies.DRAWN.items():
        path = next((path for size in SIZES if (path := results / name / f"{size}.json").is_file()), None)
        if path and hasattr(module, "headline"):
            table = table_files.markdown([module.headline(json.loads(path.read_text()))])
            figure = Path(os.path.relpath(path.with_suffix(".png"), beside)).as_posix()
            parts.append(f"{table}\n![The figure of this study]({figure})\n")
    return "\n".join(parts)


def insert(readme: Path, text: str) -> None:
    """Writes the text between the lines BEGIN and END of a file.

    Raises:
      UserError: the file is missing or lacks these lines, and is left as it is.
    """
    content = readme.read_text() if readme.is_file() else ""
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"--readme {readme}: needs a line {BEGIN} and, below it, a line {END}, between which to write")
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
