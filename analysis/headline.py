"""The tables in README.md, written from results files alone so that no number in them is typed by hand."""

import json
import os
import re
from pathlib import Path

from analysis.comparison import table_files
from analysis.plots import studies
from data import UserError

BEGIN = "<!-- headline {}: written by python -m analysis.figures --results results --readme README.md -->"
END = "<!-- end of headline -->"
BLOCK = re.compile(f"{BEGIN.format('([a-z0-9_/]+)')}\n(.*?){END}", re.DOTALL)
SIZES = ("gpu", "cpu")  # the largest that has been run is told; a smoke says nothing


def headline(name: str, results: Path, beside: Path) -> str:
    """Markdown: the headline(content) table of a study, with a link to its figure.

    Args:
      name: of the study, whose largest size is told, or STUDY/SIZE.
      beside: folder of the file that this is written into.

    Raises:
      UserError: no such study, it has no headline, or no results of a size that says something.
    """
    study, _, size = name.partition("/")
    sizes = (size,) if size else SIZES
    module = studies.DRAWN.get(study)
    if not hasattr(module, "headline"):
        known = ", ".join(name for name, module in studies.DRAWN.items() if hasattr(module, "headline"))
        raise UserError(f"headline {name}: no study of that name has one; choose from {known}")
    path = next((path for size in sizes if (path := results / study / f"{size}.json").is_file()), None)
    if not path:
        missing = " or ".join(f"{size}.json" for size in sizes)
        raise UserError(f"headline {name}: {results / study} has no {missing}; run the study, or take the block out")
    table = table_files.markdown([module.headline(json.loads(path.read_text()))])
    figure = Path(os.path.relpath(path.with_suffix(".png"), beside)).as_posix()
    return f"{table}\n![The figure of this study]({figure})\n"


def insert(readme: Path, results: Path) -> None:
    """Writes each study's headline between the lines BEGIN, with its name, and END of a file.

    Raises:
      UserError: as of `headline`, or the file is missing or has no such lines; it is left as it is.
    """
    content = readme.read_text() if readme.is_file() else ""
    if not BLOCK.search(content):
        raise UserError(f"--readme {readme}: needs a line {BEGIN.format('STUDY')} and, below it, a line {END}, between "
                        "which to write")  # fmt: skip
    write = lambda block: f"{BEGIN.format(block[1])}\n{headline(block[1], results, readme.parent)}{END}"  # noqa: E731
    readme.write_text(BLOCK.sub(write, content))
