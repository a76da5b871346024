"""Walking a source's folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below a folder, in no order: its path and its status.

    Hidden files and folders do not count. Links are followed, each folder once (a link to a parent
    would never end); a dangling link is no file.
    """
    pending, seen = [str(folder)], {os.path.realpath(folder)}
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    with contextlib.suppress(FileNotFoundError):
                        yield entry.path, entry.stat()
                elif (real := os.path.realpath(entry.path)) not in seen:
                    seen.add(real)
                    pending.append(entry.path)
