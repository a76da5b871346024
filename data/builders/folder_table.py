"""What a table (data.labels) says of the images of a folder, beside or in place of its class folders.

    path,class,patient,split,sex,age,view          every column but the first is optional
    scans/a1.png,benign,P01,train,F,58,PA          sex F or M, age in years, view PA or AP
    scans/a2.png,malignant,P02,test,M,,AP

`path` (or `file`, `filename`) is relative to data.dir, or to its `images` folder. Instead of `class`
there may be a column of 1, 0, -1 or nothing for each class (data/builders/labels.py); without either the class folders
are the labels.
"""

import dataclasses
from pathlib import Path

import numpy as np

from data import attributes
from data.builders import labels, table
from data.errors import UserError
from data.options import DataOptions

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_PATIENT, _SPLIT = "patient", "split"
_MEANT = {"sex": "F or M", "age": f"a number of years up to {attributes.OLDEST}", "view": "PA or AP"}
_ATTRIBUTES = tuple(_MEANT)


@dataclasses.dataclass
class Row:
    """What is told of one image."""

    label: np.ndarray  # float32 [classes]; [0] where the folders are the classes
    patient: str = ""
    attributes: tuple[float, ...] = ()


@dataclasses.dataclass
class Told:
    """What the table says; nothing, where there is none."""

    table: labels.Labels
    names: dict[str, str]  # of an image, from its path below the images' folder to that in the table
    root: Path
    missing: int = 0  # rows whose image is not there
    splits: dict[str, str] = dataclasses.field(default_factory=dict)  # of each image, where the table says any

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the table; () where the folders are the classes."""
        return self.table.classes

    @property
    def exclusive(self) -> bool:
        """One class an image."""
        return self.table.exclusive

    @property
    def has_patients(self) -> bool:
        return _PATIENT in self.table.beside

    @property
    def attributes(self) -> tuple[str, ...]:
        """Those that the table has, as data/attributes.py names them."""
        return tuple(name for name in _ATTRIBUTES if name in self.table.beside)

    def of(self, name: str) -> Row:
        """Of an image by its path below the images' folder.

        Raises:
            CorruptImage: the table has no row for it.
        """
        key, beside = self.names.get(name, name), self.table.beside
        label = self.table.of(key, self.root / name)
        values = tuple(attributes.encode(column, beside[column][key]) for column in self.attributes)
        return Row(label, beside[_PATIENT][key] if self.has_patients else "", values)


def read(top: Path, root: Path, names: list[str], options: DataOptions) -> Told:
    """The table data.labels of the images `names` below `root`, which is `top` or a folder in it.

    Raises:
        UserError: a table that cannot be meant; an empty patient; a split, sex, age or view that is none.
        CorruptImage: a row without an image, and data.on_error is "fail".
    """
    found = labels.read(top, options.labels, labels.PATHS, (_PATIENT, _SPLIT, *_ATTRIBUTES))
    if found.source is None:
        return Told(found, {}, root)
    long = {name: (root / name).relative_to(top).as_posix() for name in names}
    known = {name: path if path in found.rows else name for name, path in long.items()}
    absent = sorted(found.rows.keys() - known.values())
    if absent and options.on_error == "fail":
        raise table.missing(found.source, absent[0], top)
    _check_patients(found)
    _check_attributes(found)
    splits = _splits(found) if options.official_split else {}
    there = {name: splits[key] for name, key in known.items() if key in splits}
    return Told(found, known, root, len(absent), there)


def _check_patients(found: labels.Labels) -> None:
    """Every image needs one: an image of nobody might be of anybody."""
    for name, patient in found.beside.get(_PATIENT, {}).items():
        if not patient:
            raise UserError(f"{found.source} names no patient for {name}: fill the cell in, or delete the column.")


def _check_attributes(found: labels.Labels) -> None:
    """What is unknown is left empty: a word that is not understood would silently be so for every image."""
    for column in _ATTRIBUTES:
        for name, cell in found.beside.get(column, {}).items():
            if cell and attributes.encode(column, cell) == attributes.UNKNOWN:
                raise UserError(
                    f"{found.source}: the {column} of {name} is not {_MEANT[column]}: "
                    "correct it, or leave the cell empty where it is unknown."
                )


def _splits(found: labels.Labels) -> dict[str, str]:
    """Of each row."""
    chosen = {}
    for name, cell in found.beside.get(_SPLIT, {}).items():
        chosen[name] = SPLITS.get(cell.lower(), "")
        if not chosen[name]:
            raise UserError(f"{found.source}: the split of {name} is not train, val or test: correct it.")
    if chosen and "train" not in chosen.values():
        raise UserError(f"{found.source} puts no image into train: name some, or delete the column split.")
    return chosen
