"""What a prepared dataset holds, in numbers: sizes, classes, intensities, and images that are nearly the same."""

import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np

from data import duplicates, ranges, splits
from data.dataset import Dataset

COPIES = 8  # bits of 256: copies of one image; two patients' images differ in more
LISTED = 1000  # pairs of near-duplicates that are named, of each two splits
_VALUES = 1 << 22  # values looked at together (an image at least): to count them, numpy makes each one of 8 bytes
_QUANTILES = (0.01, 0.5, 0.99)


@dataclasses.dataclass(frozen=True)
class Near:
    """Two images that are nearly the same: their splits, names in the source, and the bits that differ."""

    splits: tuple[str, str]
    keys: tuple[str, str]
    distance: int


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """Pairs of images that are nearly the same.

    Attributes:
        counts: how many, by the two splits they lie in.
        nearest: the nearest first, at most LISTED of each two splits: a folder of copies has more than memory holds.
    """

    counts: dict[tuple[str, str], int]
    nearest: list[Near]

    def __len__(self) -> int:
        return sum(self.counts.values())


def summarise(dataset: Dataset) -> dict:
    """Facts about each split that holds images, as plain JSON types.

    Returns:
        {split: {images, patients, groups (of near-duplicates kept together, where no patient is named), classes
        {name: images}, without_finding (all labels known to be 0), unknown (labels), where there are undecided (images
        with an unknown label and no finding), attributes {name: (mean of the known, share known)}, masks {name: mean
        share of the image}, factors, intensity}}, intensities on the scale of [-1, 1].
    """
    return {split: _summarise(dataset, split) for split in splits.NAMES if dataset.info.sizes.get(split)}


def _summarise(dataset: Dataset, split: str) -> dict:
    info, arrays = dataset.info, dataset.arrays(split)
    label = arrays["label"][:, : len(info.classes)]
    patient = arrays["patient"][arrays["patient"] >= 0]
    facts = {
        "images": len(arrays["id"]),
        "patients": len(np.unique(patient)) if info.patients else None,
        "groups": 0 if info.patients else len(np.unique(patient)),
        "classes": {name: int((column > 0.5).sum()) for name, column in zip(info.classes, label.T, strict=True)},
        "without_finding": int((label == 0).all(1).sum()) if info.classes else None,
        "unknown": int((label < 0).sum()),
        "intensity": _intensity(arrays["image"]),
    }
    if facts["unknown"]:  # no finding is known, and that there is none is not either
        facts["undecided"] = int(((label <= 0).all(1) & (label < 0).any(1)).sum())
    if "attributes" in arrays:
        columns = zip(info.recorded, arrays["attributes"].T, strict=True)
        facts["attributes"] = {name: _known(column) for name, column in columns}
    if "mask" in arrays:
        shares = np.concatenate([part.mean((1, 2)) for part in _parts(arrays["mask"])])
        facts["masks"] = dict(zip(info.mask_channels, shares.mean(0).tolist(), strict=True))
    return facts


def _known(column: np.ndarray) -> tuple[float | None, float]:
    known = column >= 0
    return (float(column[known].mean()) if known.any() else None), float(known.mean())


def _intensity(stored: np.ndarray) -> dict[str, float]:
    """Of all pixels together, from an exact histogram."""
    counts = np.zeros(np.iinfo(stored.dtype).max + 1, np.int64)
    for part in _parts(stored):
        counts += np.bincount(part.ravel(), minlength=len(counts))
    levels = ranges.to_float(np.arange(len(counts)).astype(stored.dtype)).astype(np.float64)
    share = counts / counts.sum()
    mean = float(share @ levels)
    low, middle, high = (float(levels[np.searchsorted(share.cumsum(), q)]) for q in _QUANTILES)
    seen = np.flatnonzero(counts)
    return {
        "min": float(levels[seen[0]]), "1 %": low, "median": middle, "99 %": high, "max": float(levels[seen[-1]]),
        "mean": mean, "std": float(np.sqrt(share @ (levels - mean) ** 2)), "levels": len(seen),
        "black": float(share[0]), "white": float(share[-1]),
    }  # fmt: skip


def _parts(array: np.ndarray):
    rows = max(1, _VALUES // int(np.prod(array.shape[1:])))
    return (np.asarray(array[at : at + rows]) for at in range(0, len(array), rows))


def near_duplicates(dataset: Dataset, distance: int) -> Duplicates:
    """Pairs of images, in one split or in two, whose hashes differ in at most `distance` bits."""
    names = [split for split in splits.NAMES if dataset.info.sizes.get(split)]
    arrays = {split: dataset.arrays(split) for split in names}
    bits = {split: np.stack([duplicates.perceptual_hash(image) for image in arrays[split]["image"]]) for split in names}
    counts, nearest = {}, []
    for one, other in itertools.combinations_with_replacement(names, 2):
        blocks = (
            duplicates.pairs_within(bits[one], distance)
            if one == other
            else duplicates.pairs(bits[one], bits[other], distance)
        )
        counts[one, other], kept = _nearest(blocks)
        for a, b, bits_apart in kept.T.tolist():
            keys = arrays[one]["key"][a].decode(), arrays[other]["key"][b].decode()
            nearest.append(Near((one, other), keys, bits_apart))
    counts = {pair: count for pair, count in counts.items() if count}
    return Duplicates(counts, sorted(nearest, key=lambda near: (near.distance, near.splits, near.keys)))


def _nearest(blocks: Iterable[tuple[np.ndarray, ...]]) -> tuple[int, np.ndarray]:
    """(the number of pairs, the nearest LISTED of them as rows, columns and bits, int [3, p])."""
    count, kept = 0, np.zeros((3, 0), int)
    for block in blocks:
        count += len(block[0])
        kept = np.hstack([kept, block])
        kept = kept[:, np.argsort(kept[2], kind="stable")[:LISTED]]
    return count, kept


def leakage(found: Duplicates) -> Duplicates:
    """Those that lie in two splits."""
    counts = {pair: count for pair, count in found.counts.items() if pair[0] != pair[1]}
    return Duplicates(counts, [near for near in found.nearest if near.splits in counts])
