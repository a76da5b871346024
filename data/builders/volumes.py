"""What builders of volumes share: axial slices as records, cut from one subject at a time.

A slice is shown as a radiologist reads it: anterior up, the patient's left on the right side of the image. Its
pixels are made square (Lanczos, at the finer of the two spacings) and black is added to make it a square, so that
nothing is cropped or stretched downstream. Intensities of MRI have no unit: data.percentiles of a volume's brain
become black and white, the same for all its slices, stored with 16 bits.

Which slices there are is decided from the headers (data.slices, data.slice_step), so what is counted before the
voxels are read is the most there can be: slices with less brain than data.brain_fraction are dropped as they come.
"""

import abc
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from data import images, nifti, splits
from data.builders import base
from data.errors import CorruptImage, UserError
from data.options import DataOptions


@dataclasses.dataclass(slots=True)
class Subject:
    """One examination of one patient: volumes on one grid. The files need not be there: see Volumes.add."""

    name: str
    patient: str
    paths: dict[str, Path]  # a volume for each channel, by its modality
    regions: Path | None = None  # volume of the regions' labels
    attributes: tuple[float, ...] = ()
    grid: nifti.Grid | None = None  # set by Volumes.add


class Volumes(base.Records, skip_registration=True):
    """Base of the builders of volumes. A subclass gives `brain` and `scan`, which calls `add` and `summary`."""

    def __init__(self, *args, **kwargs):
        self.subjects: dict[str, list[Subject]] = {name: [] for name in splits.NAMES}
        self._unusable = 0
        super().__init__(*args, **kwargs)

    @abc.abstractmethod
    def brain(self, voxels: list[np.ndarray]) -> np.ndarray:
        """Which voxels of a subject count as brain: bool [x, y, z], from its volumes float32 [x, y, z]."""

    def check_regions(self, path: Path, labels: np.ndarray) -> None:
        """CorruptImage when the regions' labels, float32 [x, y, z], cannot be meant."""

    def annotations(self, labels: np.ndarray, grid: nifti.Grid) -> dict:
        """Fields of a slice's record (mask, label) from its regions' labels float32 [y, x], as displayed."""
        return {}

    def add(self, subject: Subject) -> None:
        """Reads the subject's headers and files it under its split, or counts it as skipped.

        Raises:
            CorruptImage: a volume is missing, on another grid, or refused by nifti.grid.
        """
        try:
            subject.grid = _common_grid(subject)
        except CorruptImage:
            if self.options.on_error == "fail":
                raise
            self._unusable += 1
        else:
            self.subjects[splits.assign(subject.patient, self.options.split)].append(subject)

    def summary(self, **fields) -> base.Source:
        """The source: what the subjects say, and the fields that a subclass knows."""
        subjects = [one for of_split in self.subjects.values() for one in of_split]
        pixels = max((one.grid.side**2 for one in subjects), default=0)
        planes = 2 * max((len(one.paths) for one in subjects), default=0) + len(fields.get("mask_channels", ()))
        return base.Source(
            exclusive=False,
            has_patients=True,
            counts={split: sum(len(self._positions(one)) for one in some) for split, some in self.subjects.items()},
            image_bytes=pixels * planes,
            skipped=self._unusable,
            **fields,
        )

    def read(self, split: str) -> Iterator[dict]:
        kept = 0
        for subject in self.subjects[split]:
            try:
                for record in self._cut(subject):
                    kept += 1
                    yield record
            except CorruptImage:
                if self.options.on_error == "fail":
                    raise
                self.source.skipped += 1
                self.advance(len(self._positions(subject)))
        if not kept:
            raise UserError(
                f"No slice of the {split} split of {self.options.name} {self.options.dir} is left "
                f"({self.source.skipped} subjects skipped): lower data.brain_fraction={self.options.brain_fraction} "
                f"or widen data.slices={self.options.slices}."
            )

    def _positions(self, subject: Subject) -> range:
        """Indices of the slices wanted, from inferior to superior."""
        low, high = (round(fraction * subject.grid.shape[2]) for fraction in self.options.slices)
        return range(low, high, self.options.slice_step)

    def _cut(self, subject: Subject) -> Iterator[dict]:
        """The records of one subject, whose volumes are held only as long as this runs."""
        volumes = [nifti.read(path) for path in subject.paths.values()]
        brain = self.brain(volumes)
        ends = [self._black_and_white(v, brain, path) for v, path in zip(volumes, subject.paths.values(), strict=True)]
        labels = nifti.read(subject.regions) if subject.regions else None
        if subject.regions:
            self.check_regions(subject.regions, labels)
        for z in self._positions(subject):
            planes = [_unit(volume[:, :, z], *limits) for volume, limits in zip(volumes, ends, strict=True)]
            stored = _stored(planes, subject.grid)
            if brain[:, :, z].mean() < self.options.brain_fraction or stored.min() == stored.max():
                self.advance(1)
                continue
            record = _record(subject, z, stored)
            if subject.regions:
                record |= self.annotations(displayed(labels[:, :, z]), subject.grid)
            yield record

    def _black_and_white(self, volume: np.ndarray, brain: np.ndarray, path: Path) -> tuple[float, float]:
        """Intensities shown as black and white: percentiles of the brain's."""
        inside = volume[brain]
        low, high = np.percentile(inside, self.options.percentiles) if inside.size else (0, 0)
        if low == high:
            raise CorruptImage(
                f"{path} shows nothing, the brain's intensities are all alike: replace it, "
                'or set data.on_error="skip" to leave its subject out.'
            )
        return float(low), float(high)


def chosen(options: DataOptions, known: tuple[str, ...]) -> tuple[str, ...]:
    """The modalities that become channels, in the order of data.modalities; the first of `known` if that is empty.

    Raises:
        UserError: a modality that is not among the known, however it is spelt.
    """
    spelt = {name.casefold(): name for name in known}
    for name in options.modalities:
        if name.casefold() not in spelt:
            raise UserError(
                f"data.modalities names {name!r}, which {options.name} does not have; it has {', '.join(known)}."
            )
    return tuple(spelt[name.casefold()] for name in options.modalities) or known[:1]


def displayed(plane: np.ndarray) -> np.ndarray:
    """A plane [x, y] (growing to the right and to anterior) as rows [y, x]: anterior up, the left on the right."""
    return plane.T[::-1, ::-1]


def _unit(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """float32 with `low` and below at 0, `high` and above at 1."""
    return ((plane - np.float32(low)) / np.float32(high - low)).clip(0, 1)


def _stored(planes: list[np.ndarray], grid: nifti.Grid) -> np.ndarray:
    """Planes [x, y] in [0, 1], one a channel, as the record holds them: uint16 [side, side, channels]."""
    pixels = np.stack([to_square(displayed(plane), grid) for plane in planes], axis=-1)
    return np.rint(pixels.clip(0, 1) * 65535).astype(np.uint16)


def to_square(plane: np.ndarray, grid: nifti.Grid, method=Image.Resampling.LANCZOS) -> np.ndarray:
    """A displayed plane float32 [y, x] with square pixels and zeros around: float32 [grid.side, grid.side]."""
    across, along, _ = grid.spacing
    finest = min(across, along)
    height, width = round(plane.shape[0] * along / finest), round(plane.shape[1] * across / finest)
    if (height, width) != plane.shape:
        plane = np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), method))
    square = np.zeros((grid.side, grid.side), np.float32)
    top, left = (grid.side - height) // 2, (grid.side - width) // 2
    square[top : top + height, left : left + width] = plane
    return square


def _common_grid(subject: Subject) -> nifti.Grid:
    """The grid that all volumes of a subject are on; CorruptImage when there is none."""
    wanted = subject.paths | ({"seg": subject.regions} if subject.regions else {})
    common = None
    for modality, path in wanted.items():
        if not path.is_file():
            raise CorruptImage(
                f"{subject.name} has no {modality} volume, {path} is missing: add it, "
                'or set data.on_error="skip" to leave such subjects out.'
            )
        found = nifti.grid(path)
        common = common or found
        if not common.matches(found):
            raise CorruptImage(
                f"{path} is of shape {found.shape} and not on the grid {common.shape} of the first volume of "
                f'{subject.name}: correct it, or set data.on_error="skip" to leave such subjects out.'
            )
    return common


def _record(subject: Subject, z: int, stored: np.ndarray) -> dict:
    record = {
        "key": f"{subject.name}/{z:03}",
        "patient": splits.patient_number(subject.patient),
        "image": images.encode_array(stored),
    }
    return record | ({"attributes": np.float32(subject.attributes)} if subject.attributes else {})
