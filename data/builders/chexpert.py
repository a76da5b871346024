"""CheXpert: 224,316 chest X-rays of 65,240 patients, 14 observations with uncertainty.

Official layout, of CheXpert-v1.0-small or of the full CheXpert-v1.0: train.csv and valid.csv, whose
column Path begins with the name of the dataset's folder. data.dir is that folder or the one it lies in.
The full dataset is also read as its four archives unpack, one beside the other in data.dir:

    CheXpert-v1.0 batch 1 (validate & csv)/{train.csv,valid.csv,valid/patient64541/...}
    CheXpert-v1.0 batch 2 (train 1)/patient00001/study1/view1_frontal.jpg
"""

import re
from pathlib import Path, PurePosixPath

import numpy as np

from data import attributes, splits
from data.builders import base, table
from data.errors import UserError

OBSERVATIONS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other",
    "Fracture", "Support Devices",
)  # fmt: skip
UNCERTAIN = -1.0  # in the table and in the records; "" (not mentioned) is read as 0
_VALUES = {"": 0.0, "0": 0.0, "1": 1.0, "-1": UNCERTAIN}
_ATTRIBUTES = {"view": "AP/PA", "lateral": "Frontal/Lateral", "sex": "Sex", "age": "Age"}
_CITATION = (
    "Irvin J, Rajpurkar P, Ko M, et al. CheXpert: A large chest radiograph dataset with uncertainty labels "
    "and expert comparison. AAAI 2019."
)


class Chexpert(base.Records, skip_registration=True):
    """Observations as a multi-hot label; the official validation set is the test split, val is carved out."""

    name = "chexpert"

    def scan(self) -> base.Source:
        folder = base.folder_of(self.options, "train.csv and valid.csv")
        tables = _tables(folder)
        recorded, skipped = tuple(_ATTRIBUTES), 0
        for official, path in tables.items():
            rows = table.read(path, ("Path", *OBSERVATIONS))
            recorded = tuple(k for k in recorded if _ATTRIBUTES[k] in rows[0])
            skipped += self._add(path, rows, official, with_test="test" in tables)
        for example in self.examples:  # only what both tables record
            example.attributes = tuple(example.attributes[list(_ATTRIBUTES).index(k)] for k in recorded)
        return base.Source(
            classes=OBSERVATIONS,
            exclusive=False,
            attributes=recorded,
            has_patients=True,
            counts=base.count(self.examples),
            image_bytes=base.mean_bytes(self.examples),
            skipped=skipped,
            licence="Stanford University Dataset Research Use Agreement (CheXpert): research only",
            citation=_CITATION,
        )

    def _add(self, path: Path, rows: list[dict], official: str, with_test: bool) -> int:
        """Appends the examples of one table; returns the number of rows skipped."""
        skipped, find = 0, _Finder(path, Path(self.options.dir).expanduser())
        for line, row in enumerate(rows, start=2):
            image, key = find(row["Path"])
            label = np.float32([_value(row[name], name, path, line) for name in OBSERVATIONS])
            if not image.is_file():
                if self.options.on_error == "fail":
                    raise table.missing(path, row["Path"], path.parent)
                skipped += 1
                continue
            patient = _patient(key, path, line)
            split = self._split(patient, official, with_test)
            values = tuple(attributes.encode(k, row.get(c) or "") for k, c in _ATTRIBUTES.items())
            self.examples.append(base.Example(key, split, image, label, patient, values))
        return skipped

    def _split(self, patient: str, official: str, with_test: bool) -> str:
        if not (self.options.official_split and with_test):
            return splits.assign(patient, self.options.split)
        return "test" if official == "test" else splits.carve(patient, self.options.split)


def _tables(folder: Path) -> dict[str, Path]:
    """train.csv, and valid.csv where there is one, in the folder or in the dataset's folder below it."""
    for home in (folder, *sorted(folder.glob("CheXpert-v1.0*"))):
        if (home / "train.csv").is_file():
            found = {"train": home / "train.csv", "test": home / "valid.csv"}
            return {split: path for split, path in found.items() if path.is_file()}
    raise UserError(f"data.dir={folder} has no train.csv: set it to the folder that holds CheXpert's tables.")


class _Finder:
    """Where a row's image lies: Path is relative to the table's folder or to data.dir above it; or in a batch."""

    def __init__(self, path: Path, folder: Path):
        self._table, self._folder = path, folder
        batches = () if path.parent == folder else folder.glob("CheXpert-v1.0 batch *")
        self._batches = {patient.name: batch for batch in batches for patient in batch.glob("patient*")}

    def __call__(self, name: str) -> tuple[Path, str]:
        """The image's path, and its key: Path without the name of the dataset's folder."""
        home = self._table.parent
        table.within(home, name, self._table)
        parts = PurePosixPath(name).parts
        key = "/".join(parts[1:] if parts[0].startswith("CheXpert") else parts)
        candidates = [home / name, home / key]
        if home != self._folder:  # never above data.dir
            candidates.append(self._folder / name)
        _, _, rest = key.partition("train/")
        if batch := self._batches.get(rest.partition("/")[0]):
            candidates.append(batch / rest)
        return next((path for path in candidates if path.is_file()), candidates[0]), key


def _value(text: str, name: str, path: Path, line: int) -> float:
    value = _VALUES.get(text.strip().removesuffix(".0"))
    if value is None:
        raise UserError(
            f"{path}, line {line}: {name} is {text!r}, not 1.0, 0.0, -1.0 or empty: correct the row."
        )
    return value


def _patient(key: str, path: Path, line: int) -> str:
    found = re.search(r"patient\d+", key)
    if not found:
        raise UserError(
            f"{path}, line {line}: {key!r} names no patient (patientNNNNN/...): use the official table."
        )
    return found[0]
