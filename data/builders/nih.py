"""NIH ChestX-ray14: 112,120 frontal chest X-rays with findings mined from the reports.

Official layout: Data_Entry_2017.csv or Data_Entry_2017_v2020.csv; images/*.png or
images_001/images/*.png to images_012/images/*.png; train_val_list.txt and test_list.txt where present.
"""

from pathlib import Path

import numpy as np

from data import attributes, files, splits
from data.builders import base, table
from data.errors import UserError

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_ATTRIBUTES = {"view": ("View Position",), "sex": ("Patient Gender", "Patient Sex"), "age": ("Patient Age",)}
_CITATION = (
    "Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM. ChestX-ray8: Hospital-scale chest X-ray database and "
    "benchmarks on weakly-supervised classification and localization of common thorax diseases. CVPR 2017."
)


class Nih(base.Records, skip_registration=True):
    """Findings as a multi-hot label ("No Finding" is all zeros); split by patient."""

    name = "nih"

    def scan(self) -> base.Source:
        folder = base.folder_of(self.options, f"{_TABLES[0]} and images/")
        path = next((folder / name for name in _TABLES if (folder / name).is_file()), None)
        if path is None:
            raise UserError(
                f"data.dir={folder} has no {_TABLES[0]}: set it to the folder that holds the table."
            )
        rows = table.read(path, ("Image Index", "Finding Labels", "Patient ID"))
        recorded = {k: c for k, names in _ATTRIBUTES.items() for c in names if c in rows[0]}
        self.examples, skipped = self._examples(folder, path, rows, recorded)
        return base.Source(
            classes=FINDINGS,
            exclusive=False,
            attributes=tuple(recorded),
            has_patients=True,
            counts=base.count(self.examples),
            image_bytes=base.mean_bytes(self.examples),
            skipped=skipped,
            licence="no restriction on use; acknowledge the NIH Clinical Center and cite",
            citation=_CITATION,
        )

    def _examples(self, folder: Path, path: Path, rows: list[dict], recorded: dict) -> tuple[list, int]:
        images, split_of = _images(folder), _Split(folder, self.options)
        examples, seen, skipped = [], set(), 0
        for line, row in enumerate(rows, start=2):
            name = row["Image Index"]
            if table.within(folder, name, path).parent != folder or name in seen:
                raise UserError(f"{path}, line {line}: {name!r} is listed twice or is no plain file name.")
            seen.add(name)
            label = _label(row["Finding Labels"], path, line)
            if name not in images:
                if self.options.on_error == "fail":
                    raise table.missing(path, name, folder)
                skipped += 1
                continue
            patient = row["Patient ID"].strip().lstrip("0") or "0"
            values = tuple(attributes.encode(k, row[column] or "") for k, column in recorded.items())
            split = split_of(name, patient)
            examples.append(base.Example(name, split, images[name], label, patient, values))
        return examples, skipped


def _label(text: str, path: Path, line: int) -> np.ndarray:
    names = [] if text.strip() == "No Finding" else [name.strip() for name in text.split("|")]
    for name in names:
        if name not in FINDINGS:
            raise UserError(
                f"{path}, line {line}: the label {name!r} is not one of No Finding, {', '.join(FINDINGS)}: "
                "correct the row."
            )
    return np.float32([finding in names for finding in FINDINGS])


def _images(folder: Path) -> dict[str, Path]:
    """Path of each image by its name, in either official layout."""
    folders = [folder / "images", *sorted(folder.glob("images_*"))]
    found = (Path(path) for f in folders if f.is_dir() for path, _ in files.walk(f))
    return {path.name: path for path in found if path.suffix == ".png"}


class _Split:
    """Split of an image: the published lists where both are present (val carved out), else by patient."""

    def __init__(self, folder: Path, options):
        lists = [folder / "train_val_list.txt", folder / "test_list.txt"]
        self._lists = None
        if options.official_split and all(path.is_file() for path in lists):
            self._lists = [table.sequence(path) for path in lists]
        self._fractions, self._folder = options.split, folder

    def __call__(self, name: str, patient: str) -> str:
        if self._lists is None:
            return splits.assign(patient, self._fractions)
        train_val, test = self._lists
        if (name in train_val) == (name in test):
            raise UserError(
                f"{name} must be in one of train_val_list.txt and test_list.txt in {self._folder}: "
                "complete the lists, or set data.official_split=False to split by patient instead."
            )
        return "test" if name in test else splits.carve(patient, self._fractions)
