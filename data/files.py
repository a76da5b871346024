"""Walking a source's folder, and where tfds keeps its own."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from data.errors import UserError

_TFDS_NAME = re.compile(r"[a-z][a-z0-9_]*(/\w[\w+.-]*)?(:[\d*]+(\.[\d*]+){2})?")  # NAME/CONFIG:VERSION


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


def tfds_root(folder: str) -> Path:
    """The folder of tfds' datasets; "": tfds' own."""
    return Path(folder or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def tfds_folder(name: str, root: Path) -> Path:
    """Where tfds keeps all versions of NAME, NAME/CONFIG or either with :VERSION; UserError for other names."""
    if not _TFDS_NAME.fullmatch(name):
        raise UserError(
            f"data.name='tfds:{name}' is not a name that tfds knows: write tfds:NAME, tfds:NAME/CONFIG or "
            "tfds:NAME/CONFIG:VERSION, as tfds:cifar10 or tfds:imagenet_resized/64x64."
        )
    return root / name.partition(":")[0]
