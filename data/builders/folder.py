"""Anyone's images: PNG, JPEG or TIFF, 8 or 16 bit, gray or RGB, any size.

    DIR/CLASS/*.png                                one class a folder
    DIR/*.png                                      no classes
    DIR/images/..., DIR/masks/...                  either of these, with a mask of the same name each
    DIR/images/..., DIR/masks/RATER/...            the same, of several people: a mask of each for every image
    DIR/train/CLASS/*.png, DIR/test/CLASS/*.png    a split made by whoever published it (Training, Testing too)

A table (data.labels, see data/builders/folder_table.py) may say the labels, patient, split, sex, age and view of each.
Images are split by patient where it names them. Elsewhere by a hash of their path, near-duplicates (see
data/duplicates.py) together, by that of the first of them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data import duplicates, files, images, progress, splits
from data.builders import base, folder_table
from data.errors import CorruptImage, UserError


class Folder(base.Records, skip_registration=True):
    """Class folders give a one-hot label; a flat folder has none, unless a table says it."""

    name = "folder"
    inner = "images"  # where the images are, if there is such a folder in data.dir
    licence = citation = "that of the images in data.dir"

    def scan(self) -> base.Source:
        top = base.folder_of(self.options, "your images, a folder per class")
        root = top / self.inner if (top / self.inner).is_dir() else top
        masks = _mask_folder(top, self.options.masks)
        names = [name for name in _images(root) if not masks or not (root / name).is_relative_to(masks)]
        if not names:
            raise UserError(f"{root} holds no {', '.join(images.EXTENSIONS)} images: set data.dir to theirs.")
        layer = int(_is_split(names))  # where in its path an image's class stands
        told = folder_table.read(top, root, names, self.options)
        classes = told.classes or _classes(root, [name.split("/")[layer:] for name in names])
        drawn = _Masks(masks, root, names)
        skipped = told.missing + self._add(root, names, classes, layer, drawn, told)
        return base.Source(
            classes=classes,
            exclusive=told.exclusive or not told.classes,
            attributes=told.attributes,
            has_patients=told.has_patients,
            mask_channels=("mask",) if masks else (),
            raters=len(drawn.raters),
            counts=base.count(self.examples),
            image_bytes=base.mean_bytes(self.examples),
            skipped=skipped,
            licence=self.licence,
            citation=self.citation,
        )

    def _add(
        self, root: Path, names: list[str], classes: tuple, layer: int, drawn: "_Masks", told: folder_table.Told
    ) -> int:
        """Fills self.examples; returns the number of images skipped for want of a mask or of a row in the table."""
        published = self._published(names, layer, told)
        fractions = splits.lacking(set(published.values()), self.options.split) if published else self.options.split
        ours = [name for name in names if published.get(name, "train") == "train"]
        leaders = self._near_duplicates(root, ours) if fractions[0] < 1 and not told.has_patients else {}
        for name in names:
            try:
                masks, row = drawn.of(name), told.of(name)
            except CorruptImage:
                if self.options.on_error == "fail":
                    raise
                continue
            split, group = published.get(name, "train"), row.patient or leaders.get(name, "")
            split = splits.assign(group or name, fractions) if split == "train" else split
            label = row.label if told.classes else np.float32([name.split("/")[layer] == one for one in classes])
            self.examples.append(base.Example(name, split, root / name, label, group, row.attributes, masks))
        if told.has_patients:
            self._check_patients(published, told)
            self._number_patients()
        return len(names) - len(self.examples)

    def _check_patients(self, published: dict[str, str], told: folder_table.Told) -> None:
        """Nobody may be in two splits, whether the table or the folders make them."""
        first: dict[str, str] = {}
        for example in self.examples if published else ():
            part = published[example.key]
            if first.setdefault(example.patient, part) != part:
                raise UserError(
                    f"{told.table.source} names a patient of {example.key} whose images are in two splits: move them "
                    "into one, or set data.official_split=False to have patients split by hash."
                )

    def _number_patients(self) -> None:
        """Running numbers in an order that tells nothing: what is stored must not lead back to a hospital's ids."""
        order = sorted({example.patient for example in self.examples}, key=splits.unit)
        number = {patient: str(i) for i, patient in enumerate(order)}
        for example in self.examples:
            example.patient = number[example.patient]

    def _published(self, names: list[str], layer: int, told: folder_table.Told) -> dict[str, str]:
        """The split of each image that the table, or else its top folder, says; none where neither does."""
        if not self.options.official_split:
            return {}
        if told.splits:
            return told.splits
        return {name: folder_table.SPLITS[name.split("/")[0].lower()] for name in names} if layer else {}

    def _near_duplicates(self, root: Path, names: list[str]) -> dict[str, str]:
        """For each image that has near-duplicates, the first of them."""
        if self.options.near_duplicates < 0:
            return {}
        with progress.bar("folder: comparing", len(names), self.show) as advance:
            return duplicates.leaders(names, self._pixels(root, names, advance), self.options.near_duplicates)

    def _pixels(self, root: Path, names: list[str], advance) -> Iterator[np.ndarray]:
        """Each image; what is corrupt, and will be skipped, looks like no other."""
        rng = np.random.default_rng(0)
        for name in names:
            try:
                pixels = images.decode(base.read_bytes(root / name), name)
            except CorruptImage:
                if self.options.on_error == "fail":
                    raise
                pixels = rng.random((64, 64))
            yield pixels
            advance(1)


class _Masks:
    """The masks of each image: of one person, or of several in a folder each."""

    def __init__(self, folder: Path | None, root: Path, names: list[str]):
        self._folder, self._images = folder, root
        self._path_of = {os.path.splitext(name)[0]: folder / name for name in _images(folder)} if folder else {}
        self.raters = self._find_raters({os.path.splitext(name)[0] for name in names})

    def of(self, name: str) -> tuple[Path, ...]:
        """One mask of each rater, none at all where there are no masks; CorruptImage where one is missing."""
        if not self._folder:
            return ()
        stem = os.path.splitext(name)[0]
        found = [self._path_of.get(f"{rater}{stem}") for rater in self.raters]
        missing = [rater for rater, path in zip(self.raters, found, strict=True) if path is None]
        if missing:
            raise CorruptImage(
                f"{self._images / name} has no mask in {self._folder / missing[0]}: add one of the same name, "
                'or set data.on_error="skip" to leave such images out.'
            )
        return tuple(found)

    def _find_raters(self, stems: set[str]) -> list[str]:
        """What stands before an image's name: "" for one person, "RATER/" for several."""
        if not stems.isdisjoint(self._path_of):
            return [""]
        tops = {path.partition("/")[0] for path in self._path_of if path.partition("/")[2] in stems}
        return [f"{top}/" for top in sorted(tops)] or [""]


def _images(root: Path) -> list[str]:
    """All images below a folder by their relative path, sorted."""
    found = (path for path, _ in files.walk(root) if path.lower().endswith(images.EXTENSIONS))
    names = sorted(Path(path).relative_to(root).as_posix() for path in found)
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:  # bytes of another encoding, which no record can hold
            raise UserError(f"data.dir={root}: the name of the file {name!a} is not UTF-8 text: rename it.") from error
    return names


def _mask_folder(top: Path, masks: str) -> Path | None:
    folder = top / Path(masks or "masks").expanduser()
    if folder.is_dir():
        return folder
    if masks:
        raise UserError(f"data.masks={masks} is not a folder: give it relative to data.dir, or absolute.")
    return None


def _is_split(names: list[str]) -> bool:
    """Whether the top folders are splits and not classes."""
    tops = {name.split("/")[0] for name in names}
    kinds = {folder_table.SPLITS.get(top.lower()) for top in tops}
    return None not in kinds and "train" in kinds


def _classes(root: Path, parts: list[list[str]]) -> tuple[str, ...]:
    classes = sorted({part[0] for part in parts if len(part) > 1})
    flat = sum(len(part) == 1 for part in parts)
    if classes and flat:
        raise UserError(
            f"{root} holds {flat} images beside the class folders {', '.join(classes)}: "
            "move them into a class folder, or the folders away."
        )
    return tuple(classes)
