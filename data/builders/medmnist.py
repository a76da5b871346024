"""MedMNIST's npz layout: {train,val,test}_{images,labels}, gray or RGB, any size; one or several labels.

Arrays are streamed out of the archive, never held whole (PathMNIST at 224 pixels is 16 GB).
Sources: MedMNIST v2 (Yang et al., Scientific Data 2023), medmnist/info.py for the names of the classes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data import splits
from data.builders import base, npz
from data.builders.medmnist_names import class_names
from data.errors import UserError
from data.images import MAX_PIXELS

_KEYS = tuple(f"{split}_{part}" for split in splits.NAMES for part in ("images", "labels"))
_ROWS = 256  # images read at once
MAX_CLASSES = 10_000  # columns of labels, or names of classes; more cannot be meant
MAX_LABELS = 1 << 26  # of one split (512 MiB as int64): labels are read whole, and zeros take hardly any disk


class Medmnist(base.Records, skip_registration=True):
    """One label column: one-hot. Several: multi-hot. The file's own three splits, unless told otherwise."""

    name = "medmnist"

    def scan(self) -> base.Source:
        self._path = _file(self.options.dir)
        headers = npz.headers(self._path, _KEYS)
        shape, dtype = _check(self._path, headers)
        self._labels = {
            s: npz.load(self._path, f"{s}_labels").reshape(headers[f"{s}_labels"][0]) for s in splits.NAMES
        }
        classes, self._exclusive = _classes(self._path, self._labels)
        self._split_of = self._assign()
        return base.Source(
            classes=classes,
            exclusive=self._exclusive,
            array_shape=shape,
            bits=8 * dtype.itemsize,
            counts={n: sum(int((of == n).sum()) for of in self._split_of.values()) for n in splits.NAMES},
            image_bytes=int(np.prod(shape)) * dtype.itemsize,
            licence="MedMNIST: CC BY 4.0 (DermaMNIST: CC BY-NC 4.0); other files: their own",
            citation="Yang J, Shi R, Wei D, et al. MedMNIST v2. Sci Data 2023;10:41; and the file's source.",
        )

    def _assign(self) -> dict[str, np.ndarray]:
        """For each array of the file, the split of each of its rows."""
        sizes = {part: len(rows) for part, rows in self._labels.items()}
        if self.options.official_split:
            return {part: np.full(n, part) for part, n in sizes.items()}
        fractions = self.options.split
        return {
            p: np.array([splits.assign(f"{p}/{i}", fractions) for i in range(n)]) for p, n in sizes.items()
        }

    def read(self, split: str) -> Iterator[dict]:
        for part, split_of in self._split_of.items():
            chosen = split_of == split
            if not chosen.any():
                continue
            at = 0
            for images in npz.stream(self._path, f"{part}_images", _ROWS):
                for i, image in enumerate(images, start=at):
                    if chosen[i]:
                        yield self._record(part, i, image)
                at += len(images)

    def _record(self, part: str, i: int, image: np.ndarray) -> dict:
        row = self._labels[part][i]
        label = np.eye(len(self.source.classes))[int(row[0])] if self._exclusive else row
        return {
            "key": f"{part}/{i}",
            "patient": -1,
            "image": image.reshape(self.source.array_shape),
            "label": np.float32(label),
        }


def _file(given: str) -> Path:
    path = Path(given).expanduser()
    if not given or not path.is_file():
        raise UserError(f"data.dir={given!r} is not a file: medmnist needs data.dir=NAME.npz.")
    return path


def _check(path: Path, headers: dict) -> tuple[tuple[int, ...], np.dtype]:
    """Shape [h, w, c] and dtype of the images; UserError when the arrays do not fit together."""
    shape, dtype = headers["train_images"]
    for split in splits.NAMES:
        images, kind = headers[f"{split}_images"]
        labels, label_kind = headers[f"{split}_labels"]
        if (
            len(images) not in (3, 4)
            or images[1:] != shape[1:]
            or (len(images) == 4 and images[3] not in (1, 3))
        ):
            raise UserError(
                f"{path}: {split}_images has shape {images}; [n, h, w] or [n, h, w, 3] is needed."
            )
        if images[1] * images[2] > MAX_PIXELS:
            raise UserError(
                f"{path}: {split}_images holds images of {images[2]}x{images[1]}, more than {MAX_PIXELS:,} pixels: "
                "make them smaller."
            )
        if kind not in (np.uint8, np.uint16) or kind != dtype:
            raise UserError(
                f"{path}: {split}_images is {kind}; uint8 or uint16 is needed, the same in each split."
            )
        if label_kind.kind not in "iub" or len(labels) not in (1, 2) or labels[:1] != images[:1]:
            raise UserError(
                f"{path}: {split}_labels is {label_kind} {labels}; integers, one row for each of "
                f"the {images[0]} images, are needed."
            )
        columns = labels[1] if len(labels) == 2 else 1
        if not 1 <= columns <= MAX_CLASSES or labels[0] * columns > MAX_LABELS:
            raise UserError(
                f"{path}: {split}_labels has shape {labels}; from 1 to {MAX_CLASSES:,} columns, and {MAX_LABELS:,} "
                "labels at most, are read: split the file, or leave columns out."
            )
    return (shape[1], shape[2], shape[3] if len(shape) == 4 else 1), dtype


def _classes(path: Path, labels: dict[str, np.ndarray]) -> tuple[tuple[str, ...], bool]:
    """Class names, and whether exactly one holds. Makes every label array [n, columns]."""
    for split, rows in labels.items():
        labels[split] = (rows if rows.ndim == 2 else rows[:, None]).astype(np.int64)
    columns = labels["train"].shape[1]
    names = class_names(path.stem)
    exclusive = columns == 1
    top = max(int(rows.max(initial=0)) for rows in labels.values())
    low = min(int(rows.min(initial=0)) for rows in labels.values())
    known = len(names) or (max(2, int(labels["train"].max(initial=0)) + 1) if exclusive else columns)
    if known > MAX_CLASSES:
        raise UserError(f"{path} holds labels up to {top}; {MAX_CLASSES:,} classes are the most: correct the labels.")
    if low < 0 or top >= (known if exclusive else 2) or any(r.shape[1] != columns for r in labels.values()):
        raise UserError(
            f"{path} holds labels from {low} to {top}, outside the {known} classes of its training split "
            f"({columns} columns): correct the labels."
        )
    if not exclusive and known != columns:
        names, known = (), columns
    return names or tuple(map(str, range(known))), exclusive
