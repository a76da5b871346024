"""A tree of DICOM files as a hospital's archive exports them: any folders, any names, one image a file.

What is written of an image: its pixels, its label, PatientSex, PatientAge and ViewPosition as numbers; in place of
its SOPInstanceUID the first 128 bits of a SHA-256; in place of its patient a running number (a hash of so short an
id could be looked up by trying all). Paths, which may hold names, are in error messages alone. How values become
gray levels: data/builders/dicom_pixels.py. Labels: data/builders/labels.py.
"""

import collections
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data import attributes, images, splits
from data.builders import base, dicom_files, dicom_pixels, labels
from data.errors import CorruptImage, UserError

_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}  # PS3.5 6.2, value representation AS
_RECORDED = ("view", "lateral", "sex", "age")
_STAND = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesInstanceUID")  # for the patient, the widest first
_SIDES = {"PA": "frontal", "AP": "frontal", "LL": "lateral", "RL": "lateral", "LATERAL": "lateral"}


class Dicom(base.Records, skip_registration=True):
    """Split by PatientID; where that is empty by StudyInstanceUID, FrameOfReferenceUID or SeriesInstanceUID.

    Of several files of one SOPInstanceUID the first by path is kept; the others count as skipped.
    """

    name = "dicom"

    def scan(self) -> base.Source:
        folder = base.folder_of(self.options, "DICOM files, in any folders")
        told = labels.read(folder, self.options.labels, ("SOPInstanceUID", *labels.PATHS))
        self._repeated = self._bytes = 0
        self._stand = collections.Counter()  # images, by what tells their patients apart
        with dicom_files.quiet():
            skipped = self._add(folder, told)
        if not (self.examples or skipped):
            raise UserError(
                f'data.dir={self.options.dir} holds no DICOM image, a file with "DICM" at byte 128 and pixels: '
                "set it to the folder of yours."
            )
        self.examples.sort(key=lambda example: example.key)  # what is written does not follow paths
        self._number = {}
        self._say()
        return base.Source(
            classes=told.classes,
            exclusive=told.exclusive,
            attributes=self._recorded(),
            has_patients=True,
            counts=base.count(self.examples),
            image_bytes=self._bytes // max(1, len(self.examples)) + 200,
            skipped=skipped + self._repeated,
            licence="that of the images in data.dir",
            citation="that of the images in data.dir",
        )

    def _add(self, folder: Path, told: labels.Labels) -> int:
        """Fills self.examples; returns the number of images skipped because they cannot be used."""
        seen, skipped = set(), 0
        for path in dicom_files.walk(folder):
            try:
                header = dicom_files.header(path)
                if header is None:
                    continue
                if header.uid in seen:
                    self._repeated += 1
                    continue
                name = path.relative_to(folder).as_posix() if told.by in labels.PATHS else header.uid
                label = told.of(name, path)
            except CorruptImage:
                if self.options.on_error == "fail":
                    raise
                skipped += 1
                continue
            seen.add(header.uid)
            self.examples.append(self._example(path, header, label))
        return skipped

    def _example(self, path: Path, header: dicom_files.Header, label: np.ndarray) -> base.Example:
        key = hashlib.sha256(header.uid.encode()).hexdigest()[:32]
        stands, patient = next((name, text) for name, text in _patients(header) if text)
        self._stand[stands] += 1
        self._bytes += 2 * header.values
        split = splits.assign(patient, self.options.split)
        return base.Example(key, split, path, label, patient, _attributes(header))

    def _recorded(self) -> tuple[str, ...]:
        """The attributes that at least one image gives; the others are taken out of the examples."""
        table = np.array([example.attributes for example in self.examples]).reshape(-1, len(_RECORDED))
        given = (table != attributes.UNKNOWN).any(0)
        for example in self.examples:
            example.attributes = tuple(np.compress(given, example.attributes))
        return tuple(np.compress(given, _RECORDED).tolist())

    def _say(self) -> None:
        notes = [
            (self._repeated, "have the SOPInstanceUID of another file and are left out"),
        ]
        notes += [(self._stand[name], f"have no PatientID; the {name} stands for the patient") for name in _STAND]
        alone = "have no PatientID and no UID in common with others; each is taken for a patient of its own"
        for count, what in [*notes, (self._stand["SOPInstanceUID"], alone)]:
            if count:
                print(f"dicom: {count} images {what}.", file=sys.stderr)

    def read(self, split: str) -> Iterator[dict]:
        return (self._record(example) for example in self.examples if example.split == split)

    def _record(self, example: base.Example) -> dict:
        record = {"key": example.key, "image": self._image(example.path)}
        if example.label.size:
            record["label"] = example.label
        if example.attributes:
            record["attributes"] = np.float32(example.attributes)
        return record | {"patient": self._number.setdefault(example.patient, len(self._number))}

    def _image(self, path: Path) -> bytes:
        try:
            pixels = dicom_pixels.read(path, self.options.window)
            return images.encode_array(images.check(pixels, str(path)))
        except CorruptImage:
            if self.options.on_error == "fail":
                raise
            return b""  # no image: counted as skipped, like any that is damaged, when the records are decoded


def _patients(header: dicom_files.Header) -> Iterator[tuple[str, str]]:
    """What tells patients apart, best first: (name of the element, its value)."""
    yield "PatientID", header.patient
    yield from zip(_STAND, (header.study, header.frame, header.series), strict=True)
    yield "SOPInstanceUID", header.uid


def _attributes(header: dicom_files.Header) -> tuple[float, ...]:
    """In the order of _RECORDED."""
    texts = (header.view, _SIDES.get(header.view.upper(), ""), header.sex, _years(header.age))
    return tuple(attributes.encode(name, text) for name, text in zip(_RECORDED, texts, strict=True))


def _years(age: str) -> str:
    """An age string (006M) in years; "" where it is none."""
    number, unit = age[:-1], age[-1:].upper()
    return f"{int(number) * _YEARS[unit]:.4f}" if number.isdecimal() and unit in _YEARS else ""
