"""IXI: nearly 600 healthy adults, T1-, T2- and PD-weighted MRI with the skull, from three hospitals in London.

Official layout: IXI002-Guys-0828-T1.nii.gz and so on, in one folder or in IXI-T1/, IXI-T2/, IXI-PD/ beside each
other; IXI.csv, where it lies in data.dir, is the published IXI.xls exported as CSV (columns IXI_ID, SEX_ID, AGE).
One modality at a time: T1 and T2 of a subject are not on one grid. A subject without it is no error: the published
sets differ. Source: https://brain-development.org/ixi-dataset/
"""

import re
from pathlib import Path

import numpy as np

from data import attributes, files
from data.builders import base, table, volumes
from data.errors import UserError

MODALITIES = ("T1", "T2", "PD")
_FILE = re.compile(r"IXI(?P<number>\d+)-(?P<site>\w+)-\d+-(?P<modality>T1|T2|PD)\.nii(\.gz)?")
_TABLE = "IXI.csv"
_SEX = {"1": "m", "2": "f"}
_WHOLE = re.compile(r"0*(\d+)(\.0*)?")  # a spreadsheet may export 2 as 2.0
_CITATION = "IXI - Information eXtraction from Images (EPSRC GR/S21533/02), https://brain-development.org/ixi-dataset/"


class Ixi(volumes.Volumes, skip_registration=True):
    """No labels; the site as an attribute, and sex and age where the table is there. Split by IXI number."""

    name = "ixi"

    def scan(self) -> base.Source:
        folder = base.folder_of(self.options, "IXI volumes, as IXI002-Guys-0828-T1.nii.gz")
        modalities = volumes.chosen(self.options, MODALITIES)
        if len(modalities) > 1:
            raise UserError(
                f"data.modalities={self.options.modalities}: the volumes of an IXI subject are not on one grid; "
                "name one modality."
            )
        people = _people(folder / _TABLE)
        for number, path in _found(folder, modalities[0]).items():
            person = people.get(number, (attributes.UNKNOWN, attributes.UNKNOWN)) if people else ()
            site = attributes.encode("site", _FILE.fullmatch(path.name)["site"])
            name = f"IXI{number:03}"
            self.add(volumes.Subject(name, name, {modalities[0]: path}, attributes=(site, *person)))
        return self.summary(
            classes=(),
            attributes=("site", "sex", "age") if people else ("site",),
            licence="CC BY-SA 3.0",
            citation=_CITATION,
        )

    def brain(self, voxels: list[np.ndarray]) -> np.ndarray:
        """The head, skull and scalp included: what is brighter than Otsu's threshold of the volume.

        Otsu N. A threshold selection method from gray-level histograms. IEEE Trans Syst Man Cybern 1979;9:62-66.
        """
        from skimage.filters import threshold_otsu

        return voxels[0] > threshold_otsu(voxels[0][::2, ::2, ::2])  # an eighth of the voxels has the same histogram


def _found(folder: Path, modality: str) -> dict[int, Path]:
    """The volume of each subject that has one, by IXI number, ascending."""
    found = {}
    for path in sorted(Path(path) for path, _ in files.walk(folder)):
        named = _FILE.fullmatch(path.name)
        if named and named["modality"] == modality:
            number = int(named["number"])
            if number in found:
                raise UserError(f"{path} and {found[number]} are volumes of one subject: leave one of them.")
            found[number] = path
    if not found:
        raise UserError(
            f"{folder} holds no files named as IXI002-Guys-0828-{modality}.nii.gz: set data.dir to the folder of them."
        )
    return dict(sorted(found.items()))


def _people(path: Path) -> dict[int, tuple[float, float]]:
    """(sex, age) as data/attributes.py has them, by IXI number; none without the table.

    The table lists some people more than once; where the rows disagree the value is unknown.
    """
    if not path.is_file():
        return {}
    rows = table.read(path, ("IXI_ID", "AGE"))
    sex = next((column for column in rows[0] if str(column).startswith("SEX_ID")), None)  # "SEX_ID (1=m, 2=f)"
    if sex is None:
        raise UserError(f"{path} has no column 'SEX_ID': export IXI.xls with all its columns.")
    said = {}
    for line, row in enumerate(rows, start=2):
        values = attributes.encode("sex", _SEX.get(_whole(row[sex]), "")), attributes.encode("age", row["AGE"])
        number = _whole(row["IXI_ID"])
        if not number:
            raise UserError(f"{path}, line {line}: IXI_ID {row['IXI_ID']!r} is not a number: correct the row.")
        said.setdefault(int(number), []).append(values)
    return {number: tuple(map(_agreed, zip(*rows, strict=True))) for number, rows in said.items()}


def _whole(text: str | None) -> str:
    """The digits of a whole number; "" for anything else."""
    found = _WHOLE.fullmatch((text or "").strip())
    return found[1] if found else ""


def _agreed(values: tuple[float, ...]) -> float:
    known = set(values) - {attributes.UNKNOWN}
    return known.pop() if len(known) == 1 else attributes.UNKNOWN
