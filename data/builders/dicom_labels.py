"""Labels of DICOM images: a table of one's own, for the files carry none.

One column says which image a row is of: SOPInstanceUID, or path, file or filename (relative to data.dir). Either a
column `class` holds the name of one class an image, and other columns are not read; or every other column is a class
and holds 1, 0, -1 (uncertain: see data.uncertain) or nothing (0).
"""

import dataclasses
from pathlib import Path, PurePosixPath

import numpy as np

from data.builders import table
from data.errors import CorruptImage, UserError

_PATHS = ("path", "file", "filename")
_IDENTIFIERS = ("SOPInstanceUID", *_PATHS)
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

    def of(self, uid: str, path: Path, folder: Path) -> np.ndarray:
        """float32 [classes]; CorruptImage for an image without a row."""
        if self.source is None:
            return np.zeros(0, np.float32)
        label = self.rows.get(path.relative_to(folder).as_posix() if self.by in _PATHS else uid)
        if label is None:
            raise CorruptImage(
                f'{self.source} has no row for {path}: add one, or set data.on_error="skip" to leave such images out.'
            )
        return label


def read(folder: Path, labels: str) -> Labels:
    """The table data.labels, relative to `folder` or absolute; none for "".

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
    by = next((name for name in _IDENTIFIERS if name in rows[0]), None)
    if by is None:
        raise UserError(f"{path} has no column that names the image: add one of {', '.join(_IDENTIFIERS)}.")
    exclusive = _CLASS in rows[0]
    classes, values = (_one_hot if exclusive else _multi_hot)(path, rows)
    return Labels(classes, exclusive, path, by, dict(zip(_names(path, rows, by), values, strict=True)))


def _names(path: Path, rows: list[dict], by: str) -> list[str]:
    """What identifies each row's image; UserError for one that is not given, or given twice."""
    names, seen = [], set()
    for line, row in enumerate(rows, start=2):
        name = (row[by] or "").strip()
        name = PurePosixPath(name.replace("\\", "/")).as_posix() if name and by in _PATHS else name
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


def _multi_hot(path: Path, rows: list[dict]) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes in the order of their columns, labels [rows, classes]."""
    classes = tuple(name for name in rows[0] if name and name not in _IDENTIFIERS)
    if not classes:
        raise UserError(f"{path} has no labels: add a column `class`, or a column of 0 and 1 for each class.")
    lines = enumerate(rows, start=2)
    return classes, np.float32([[_value(row[name], name, path, line) for name in classes] for line, row in lines])


def _value(text: str | None, name: str, path: Path, line: int) -> float:
    value = _VALUES.get((text if text is not None else "cut short").strip().removesuffix(".0"))
    if value is None:
        raise UserError(
            f"{path}, line {line}: {name} is not 1, 0, -1 or empty: "
            "correct the row, or delete the column if it is no label."
        )
    return value
