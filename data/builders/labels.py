"""Labels of one's own images, in a table of one's own.

One column says which image a row is of. Either a column `class` holds the name of one class an image, and other columns
are not read as classes; or every other column is a class and holds 1, 0, -1 (uncertain: see data.uncertain) or nothing
(0). What else a builder reads out of the table, such as the patient, is no class.
"""

import dataclasses
from pathlib import Path, PurePosixPath

import numpy as np

from data.builders import table
from data.errors import CorruptImage, UserError

PATHS = ("path", "file", "filename")  # columns with the place of an image, relative to data.dir
_CLASS = "class"
_VALUES = {"": 0.0, "0": 0.0, "1": 1.0, "-1": -1.0}


@dataclasses.dataclass
class Labels:
    """The label of each image by what identifies it. No table: no classes, and an empty label for every image."""

    classes: tuple[str, ...] = ()
    exclusive: bool = False
    source: Path | None = None
    by: str = ""  # the column that identifies an image
    rows: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    beside: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)  # column to cell of each image

    def of(self, name: str, path: Path) -> np.ndarray:
        """float32 [classes] of what is identified by `name`; CorruptImage, of the file `path`, where no row is."""
        if self.source is not None and name not in self.rows:
            raise CorruptImage(
                f'{self.source} has no row for {path}: add one, or set data.on_error="skip" to leave such images out.'
            )
        return self.rows.get(name, np.zeros(0, np.float32))


def read(folder: Path, labels: str, identifiers: tuple[str, ...], beside: tuple[str, ...] = ()) -> Labels:
    """The table data.labels, relative to `folder` or absolute; none for "".

    Args:
        identifiers: columns that may say which image a row is of; the first that is there does.
        beside: columns that are no classes, kept as they are where they are there. A table may have these alone.

    Raises:
        UserError: no such table, no column that identifies images, none of classes, or a value that is none. Cells are
            not quoted: a table may hold more about patients than it should.
    """
    if not labels:
        return Labels()
    path = folder / Path(labels).expanduser()
    if not path.is_file():
        raise UserError(f"data.labels={labels} is not a file: give it relative to data.dir, or absolute.")
    rows = table.read(path, ())
    by = next((name for name in identifiers if name in rows[0]), None)
    if by is None:
        raise UserError(f"{path} has no column that names the image: add one of {', '.join(identifiers)}.")
    kept = [name for name in beside if name in rows[0]]
    exclusive = _CLASS in rows[0]
    classes, values = _one_hot(path, rows) if exclusive else _multi_hot(path, rows, {*identifiers, *kept})
    if not (classes or kept):
        raise UserError(f"{path} has no labels: add a column `class`, or a column of 0 and 1 for each class.")
    names = _names(path, rows, by)
    texts = {column: [(row[column] or "").strip() for row in rows] for column in kept}
    return Labels(
        classes,
        exclusive,
        path,
        by,
        dict(zip(names, values, strict=True)),
        {column: dict(zip(names, cells, strict=True)) for column, cells in texts.items()},
    )


def _names(path: Path, rows: list[dict], by: str) -> list[str]:
    """What identifies each row's image; UserError for one that is not given, or given twice."""
    names, seen = [], set()
    for line, row in enumerate(rows, start=2):
        name = (row[by] or "").strip()
        name = PurePosixPath(name.replace("\\", "/")).as_posix() if name and by in PATHS else name
        if not name or name in seen:
            raise UserError(f"{path}, line {line}: {by} is empty or is listed before: keep one row an image.")
        seen.add(name)
        names.append(name)
    return names


def _one_hot(path: Path, rows: list[dict]) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes in alphabetical order, labels [rows, classes]."""
    names = [(row[_CLASS] or "").strip() for row in rows]
    if "" in names:
        raise UserError(f"{path}, line {names.index('') + 2}: class is empty: name one, or delete the row.")
    classes = tuple(sorted(set(names)))
    return classes, np.eye(len(classes), dtype=np.float32)[[classes.index(name) for name in names]]


def _multi_hot(path: Path, rows: list[dict], others: set[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes in the order of their columns, labels [rows, classes]."""
    classes = tuple(name for name in rows[0] if name and name not in others)
    lines = enumerate(rows, start=2)
    values = [[_value(row[name], name, path, line) for name in classes] for line, row in lines]
    return classes, np.array(values, np.float32).reshape(len(rows), len(classes))


def _value(text: str | None, name: str, path: Path, line: int) -> float:
    value = _VALUES.get((text if text is not None else "cut short").strip().removesuffix(".0"))
    if value is None:
        raise UserError(
            f"{path}, line {line}: {name} is not 1, 0, -1 or empty: "
            "correct the row, or delete the column if it is no label."
        )
    return value
