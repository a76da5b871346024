"""CSV tables of labels, and the paths they name."""

import csv
from pathlib import Path, PurePosixPath

from data.errors import CorruptImage, UserError


def read(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """All rows of a CSV as dicts.

    Args:
        path: UTF-8, with or without a byte order mark.
        needed: columns that must be there.

    Raises:
        UserError: not a readable table, a needed column is missing, a row is short, or there is no row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            found = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = found
            missing = [column for column in needed if column not in found]
            if missing:
                raise UserError(
                    f"{path} has no column {missing[0]!r}; it has {', '.join(map(repr, found)) or 'none'}: "
                    "use the table in its official layout."
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV table ({error}): download it again.") from error
    for number, row in enumerate(rows, start=2):
        if any(row[column] is None for column in needed):
            raise UserError(f"{path}, line {number}: the row is cut short; download the table again.")
    if not rows:
        raise UserError(f"{path} holds no rows: download the table again.")
    return rows


def within(folder: Path, name: str, table: Path) -> Path:
    """folder / name; UserError for a name that leaves the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError(f"{table} names {name!r}, which is not inside {folder}: use the official table.")
    return folder / path


def missing(table: Path, name: str, folder: Path) -> CorruptImage:
    """The error for a row whose image is not there."""
    return CorruptImage(
        f"{table} names {name}, which is not in {folder}: "
        'add the image, or set data.on_error="skip" to leave such rows out.'
    )


def sequence(path: Path) -> set[str]:
    """The names in a published list, one a line."""
    try:
        return set(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a list ({error}): download it again.") from error
