"""PatchCamelyon: 327,680 patches of 96x96 pixels out of lymph node sections stained with H&E, in colour.

Official files: camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5, unpacked from their .h5.gz, and where present
camelyonpatch_level_2_split_{train,valid,test}_meta.csv, which names the slide of each patch.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data import splits
from data.builders import base, hdf5, table
from data.errors import UserError

_PARTS = {"train": "train", "valid": "val", "test": "test"}
_SHAPE = (96, 96, 3)
_ROWS = 256  # patches read at once: 7 MB
_CITATION = (
    "Veeling BS, Linmans J, Winkens J, Cohen T, Welling M. Rotation equivariant CNNs for digital pathology. MICCAI "
    "2018; Ehteshami Bejnordi B, Veta M, van Diest PJ, et al. Diagnostic assessment of deep learning algorithms for "
    "detection of lymph node metastases in women with breast cancer. JAMA 2017;318(22):2199-2210."
)


class Pcam(base.Records, skip_registration=True):
    """A patch is "tumour" where its central 32x32 pixels hold any; its border says nothing about the label.

    The published split keeps slides apart. With the meta files a slide stands for a patient, whom nothing names, and a
    split of one's own is by slide; without them it is by patch, so that a slide then lies in several splits.
    """

    name = "pcam"

    def scan(self) -> base.Source:
        self._folder = base.folder_of(self.options, f"{_file('train', 'x.h5')} and the five files beside it")
        self._labels = {part: self._part(part) for part in _PARTS}
        self._slides = self._meta()
        self._split_of = {part: self._assign(part) for part in _PARTS}
        return base.Source(
            classes=("normal", "tumour"),
            exclusive=True,
            has_patients=bool(self._slides),
            array_shape=_SHAPE,
            counts={n: sum(int((of == n).sum()) for of in self._split_of.values()) for n in splits.NAMES},
            image_bytes=int(np.prod(_SHAPE)),
            licence="CC0 1.0, as CAMELYON16",
            citation=_CITATION,
        )

    def read(self, split: str) -> Iterator[dict]:
        for part, split_of in self._split_of.items():
            chosen = split_of == split
            if not chosen.any():
                continue
            for n, patches in enumerate(hdf5.stream(self._path(part, "x"), "x", _ROWS)):
                for i in np.flatnonzero(chosen[n * _ROWS : (n + 1) * _ROWS]):
                    yield self._record(part, n * _ROWS + int(i), patches[i])

    def _record(self, part: str, i: int, patch: np.ndarray) -> dict:
        return {
            "key": f"{part}/{i}",
            "patient": splits.patient_number(self._slides[part][i]) if self._slides else -1,
            "image": patch,
            "label": np.eye(2, dtype=np.float32)[self._labels[part][i]],
        }

    def _part(self, part: str) -> np.ndarray:
        """Labels {0, 1} of a part, uint8 [n]; UserError where its files are not as published."""
        paths = {kind: self._path(part, kind) for kind in "xy"}
        (shape, dtype), (label_shape, label_dtype) = (hdf5.header(path, kind) for kind, path in paths.items())
        if dtype != np.uint8 or shape[1:] != _SHAPE:
            raise UserError(f"{paths['x']}: x is {dtype} {shape}; uint8 [n, 96, 96, 3] is needed: download it again.")
        if label_dtype != np.uint8 or label_shape != (shape[0], 1, 1, 1):
            raise UserError(
                f"{paths['y']}: y is {label_dtype} {label_shape}; uint8 [{shape[0]}, 1, 1, 1], one for each patch, "
                "is needed: download it again."
            )
        labels = hdf5.load(paths["y"], "y").reshape(-1)
        if labels.max(initial=0) > 1:
            raise UserError(f"{paths['y']} holds labels up to {labels.max()}; 0 and 1 are known: download it again.")
        return labels

    def _path(self, part: str, kind: str) -> Path:
        path = self._folder / _file(part, f"{kind}.h5")
        packed = path.with_name(path.name + ".gz")
        if not path.is_file() and packed.is_file():
            raise UserError(f"{packed} is packed, and cannot be read piece by piece: unpack it with `gunzip {packed}`.")
        if not path.is_file():
            raise UserError(
                f"data.dir={self._folder} has no {path.name}: set it to the folder with PCam's six .h5 files."
            )
        return path

    def _meta(self) -> dict[str, list[str]]:
        """The slide of each patch, by part; {} where no part names them."""
        paths = {part: self._folder / _file(part, "meta.csv") for part in _PARTS}
        there = [path.is_file() for path in paths.values()]
        if not any(there):
            return {}
        slides = {}
        for part, path in paths.items():
            if not path.is_file():
                raise UserError(f"{path} is missing, and other parts have theirs: add it, or move those away.")
            slides[part] = [row["wsi"] for row in table.read(path, ("wsi",))]
            if len(slides[part]) != len(self._labels[part]) or not all(slides[part]):
                raise UserError(
                    f"{path} names {len([one for one in slides[part] if one])} slides; one for each of the "
                    f"{len(self._labels[part])} patches is needed: download it again, or move it away."
                )
        return slides

    def _assign(self, part: str) -> np.ndarray:
        """The split of each patch of a part."""
        n, fractions = len(self._labels[part]), self.options.split
        if self.options.official_split:
            return np.full(n, _PARTS[part])
        groups = self._slides[part] if self._slides else [f"{part}/{i}" for i in range(n)]
        return np.array([splits.assign(group, fractions) for group in groups], "<U5")


def _file(part: str, end: str) -> str:
    return f"camelyonpatch_level_2_split_{part}_{end}"
