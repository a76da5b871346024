"""Anyone's images: PNG, JPEG or TIFF, 8 or 16 bit, gray or RGB, any size.

    DIR/CLASS/*.png                                one class a folder
    DIR/*.png                                      no classes
    DIR/images/..., DIR/masks/...                  either of these, with a mask of the same name each
    DIR/train/CLASS/*.png, DIR/test/CLASS/*.png    a split made by whoever published it

No patient is named here, so images are split one by one, by a hash of their path.
"""

import os
from pathlib import Path

import numpy as np

from data import files, images, splits
from data.builders import base
from data.errors import CorruptImage, UserError

_SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Folder(base.Records, skip_registration=True):
    """Class folders give a one-hot label; a flat folder has none."""

    name = "folder"

    def scan(self) -> base.Source:
        top = base.folder_of(self.options, "your images, a folder per class")
        root = top / "images" if (top / "images").is_dir() else top
        masks = _mask_folder(top, self.options.masks)
        names = [name for name in _images(root) if not masks or not (root / name).is_relative_to(masks)]
        if not names:
            raise UserError(f"{root} holds no {', '.join(images.EXTENSIONS)} images: set data.dir to theirs.")
        published = self.options.official_split and _is_split(names)
        classes = _classes(root, [name.split("/")[int(published) :] for name in names])
        skipped = self._add(root, names, classes, published, masks)
        return base.Source(
            classes=classes,
            exclusive=True,
            mask_channels=("mask",) if masks else (),
            counts=base.count(self.examples),
            image_bytes=base.mean_bytes(self.examples),
            skipped=skipped,
            licence="that of the images in data.dir",
            citation="that of the images in data.dir",
        )

    def _add(self, root: Path, names: list[str], classes: tuple, published: bool, masks: Path | None) -> int:
        """Fills self.examples; returns the number of images skipped for want of a mask."""
        mask_of = {os.path.splitext(name)[0]: masks / name for name in _images(masks)} if masks else {}
        fractions, skipped = _fractions(names, self.options.split) if published else self.options.split, 0
        for name in names:
            parts, mask = name.split("/"), mask_of.get(os.path.splitext(name)[0])
            if masks and not mask:
                if self.options.on_error == "fail":
                    raise CorruptImage(
                        f"{root / name} has no mask in {masks}: add one of the same name, "
                        'or set data.on_error="skip" to leave such images out.'
                    )
                skipped += 1
                continue
            split = _SPLIT_FOLDERS[parts[0]] if published else "train"
            split = splits.assign(name, fractions) if split == "train" else split
            label = np.float32([parts[int(published)] == one for one in classes])
            self.examples.append(base.Example(name, split, root / name, label, mask=mask))
        return skipped


def _images(root: Path) -> list[str]:
    """All images below a folder by their relative path, sorted."""
    found = (path for path, _ in files.walk(root) if path.lower().endswith(images.EXTENSIONS))
    return sorted(Path(path).relative_to(root).as_posix() for path in found)


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
    return "train" in tops and tops <= set(_SPLIT_FOLDERS)


def _fractions(names: list[str], fractions: tuple[float, ...]) -> tuple[float, ...]:
    """How to share out a published train folder: into what has no folder of its own (val, test)."""
    there = {_SPLIT_FOLDERS[name.split("/")[0]] for name in names} - {"train"}
    wanted = [0.0 if s in there else f for s, f in zip(splits.NAMES, fractions, strict=True)]
    return tuple(fraction / sum(wanted) for fraction in wanted)


def _classes(root: Path, parts: list[list[str]]) -> tuple[str, ...]:
    classes = sorted({part[0] for part in parts if len(part) > 1})
    flat = sum(len(part) == 1 for part in parts)
    if classes and flat:
        raise UserError(
            f"{root} holds {flat} images beside the class folders {', '.join(classes)}: "
            "move them into a class folder, or the folders away."
        )
    return tuple(classes)
