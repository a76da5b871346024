"""From records to the arrays a run reads: classes and view chosen, decoded and resized once, streamed."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from data import attributes, images, ranges, splits
from data.errors import CorruptImage, UserError
from data.info import Info
from data.moments import Moments
from data.npy import NpyWriter
from data.options import DataOptions

_CHUNK = 256  # records read at once, at most
_CHUNK_BYTES = 64 << 20  # and about how much of them
_THREADS = 4  # decoding leaves Python's lock most of the time
_UNCERTAIN = {"zeros": 0.0, "ones": 1.0, "half": 0.5, "ignore": attributes.UNKNOWN}


def write_arrays(records: Path, options: DataOptions, folder: Path, advance: Callable) -> Info:
    """Decodes every record into folder/SPLIT/*.npy and writes folder/info.json.

    Args:
        records: a builder's folder (records and source.json).
        options: what the run wants.
        folder: an existing, empty folder.
        advance: called with the number of records done.

    Raises:
        UserError: a corrupt image (unless they are skipped), an unknown class or attribute, an empty split.
    """
    import tensorflow_datasets as tfds

    from data.builders.base import Source

    source = Source.load(records)
    view, builder = View(source, options), tfds.builder_from_directory(records)
    decoder = _Decoder(source, options, view, advance)
    moments, numbers, skipped = Moments(options.channels), {}, source.skipped
    sizes, patients = dict.fromkeys(splits.NAMES, 0), dict.fromkeys(splits.NAMES, 0)
    for split in (name for name in splits.NAMES if source.counts.get(name)):
        (folder / split).mkdir()
        with _Writer(folder / split, source, options, view, numbers) as writer:
            for chunk in decoder.decoded(builder.as_data_source(split), split == "train"):
                kept = [one for one in chunk if one is not None]
                skipped += len(chunk) - len(kept)
                writer.append(kept, moments if split == "train" else None)
        sizes[split], patients[split] = writer.rows, writer.patients
    check_sizes(sizes, skipped, options)
    moments.warn_if_narrow(options)
    return _info(source, options, view, moments, sizes, patients, skipped).write(folder)


def _info(source, options: DataOptions, view, moments, sizes, patients, skipped: int) -> Info:
    return Info(
        name=options.name,
        image_shape=(options.image_size, options.image_size, options.channels),
        bits=options.bits,
        classes=view.classes,
        exclusive=source.exclusive,
        attributes=tuple(options.attributes),
        mask_channels=source.mask_channels,
        raters=source.raters if source.mask_channels else 0,
        factors=source.factors,
        sizes=sizes,
        patients=patients if source.has_patients else None,
        mean=moments.mean,
        std=moments.std,
        licence=source.licence,
        citation=source.citation,
        skipped=skipped,
        recorded=source.attributes,
    )


class View:
    """Which records, and which columns of their labels, a run wants.

    Raises:
        UserError: classes, attributes or a view that the source does not have.
    """

    def __init__(self, source, options: DataOptions):
        self._source, self._options = source, options
        known = {name.casefold(): i for i, name in enumerate(source.classes)}
        unknown = [name for name in options.classes if name.casefold() not in known]
        if unknown:
            raise UserError(
                f"data.classes names {unknown[0]!r}, which {options.name} does not have; "
                f"it has {', '.join(source.classes) or 'no classes'}."
            )
        chosen = options.classes or source.classes
        self._columns = [known[name.casefold()] for name in chosen]
        self._appended = attributes.columns(options.attributes, source.attributes, options.name)
        self._in_view(np.zeros((0, len(source.attributes))))
        self.classes = tuple(source.classes[i] for i in self._columns)

    def keeps(self, records: list[dict]) -> np.ndarray:
        """Records of the wanted view and, where classes exclude each other, of a wanted class: bool [n]."""
        kept = self._in_view(np.stack([r.get("attributes", _NONE) for r in records]))
        if self._source.exclusive and self._options.classes:
            kept = kept & (np.stack([r["label"] for r in records])[:, self._columns] > 0).any(1)
        return kept

    def _in_view(self, recorded: np.ndarray) -> np.ndarray:
        return attributes.in_view(self._options.view, recorded, self._source.attributes, self._options.name)

    def label(self, record: dict) -> np.ndarray:
        """float32 [classes + attributes]."""
        findings = record.get("label", _NONE)[self._columns]
        findings = np.where(findings < 0, np.float32(_UNCERTAIN[self._options.uncertain]), findings)
        return np.concatenate([findings, record.get("attributes", _NONE)[self._appended]]).astype(np.float32)


_NONE = np.zeros(0, np.float32)


class _Decoder:
    """Decodes split after split; counts the images of the view, for their ids."""

    def __init__(self, source, options: DataOptions, view: View, advance: Callable):
        self._source, self._options, self._view, self._advance = source, options, view, advance
        self._next = 0

    def decoded(self, records, training: bool) -> Iterator[list]:
        """Chunks of (id, record, image, masks), or None for an image that is skipped.

        Training images that data.fraction leaves out are not decoded, but have an id: the others' do not depend on it.
        """
        wanted = self._share(records) if training and self._options.fraction < 1 else None
        with ThreadPoolExecutor(_THREADS) as pool:
            for chunk, kept in self._chunks(records):
                numbered = list(enumerate(kept, start=self._next))
                self._next += len(kept)
                chosen = [one for one in numbered if wanted is None or group(one[1]) in wanted]
                yield list(pool.map(self._decode, chosen))
                self._advance(len(chunk))

    def _decode(self, numbered: tuple[int, dict]):
        try:
            return *numbered, *_decode(numbered[1], self._source, self._options)
        except CorruptImage:
            if self._options.on_error == "fail":
                raise
            return None

    def _chunks(self, records) -> Iterator[tuple[list, list]]:
        """A few records at a time: all, and those of the view."""
        size = max(_THREADS, min(_CHUNK, _CHUNK_BYTES // max(1, self._source.image_bytes)))
        for at in range(0, len(records), size):
            chunk = records.__getitems__(list(range(at, min(at + size, len(records)))))
            yield chunk, [r for r, keep in zip(chunk, self._view.keeps(chunk), strict=True) if keep]

    def _share(self, records) -> set:
        """The first groups, in the order of a hash, that are data.fraction of all: a larger fraction holds them too."""
        groups = {group(record) for _, kept in self._chunks(records) for record in kept}
        ordered = sorted(groups, key=lambda one: splits.unit(f"fraction/{one}"))
        return set(ordered[: math.ceil(self._options.fraction * len(ordered))])


def group(record: dict) -> str:
    """What is never split: the patient, near-duplicates, or the image alone."""
    return str(record["patient"]) if record["patient"] >= 0 else record["key"].decode()


def _decode(record: dict, source, options: DataOptions) -> tuple[np.ndarray, np.ndarray | None]:
    """Image [s, s, c] as stored, masks uint8 [r, s, s, m] of r raters, or None."""
    name, masks = record["key"].decode(), []
    if source.array_shape:
        pixels = images.check(record["image"], name)
        if source.mask_channels:
            masks = [record["mask"]]
    else:
        pixels = images.decode(record["image"], name, options.bits)
        if source.mask_channels:
            drawn = [record["mask"]] if source.raters == 1 else record["mask"]
            masks = [images.decode_mask(mask, f"{_which(i, source)} of {name}") for i, mask in enumerate(drawn)]
    for i, mask in enumerate(masks):
        if mask.shape[:2] != pixels.shape[:2]:
            raise CorruptImage(
                f"{name} is {pixels.shape[1]}x{pixels.shape[0]} pixels but {_which(i, source)} is "
                f"{mask.shape[1]}x{mask.shape[0]}: "
                'correct the mask, or set data.on_error="skip" to leave such images out.'
            )
    image = images.to_size(pixels, options, name)
    return image, np.stack([images.mask_to_size(mask, options) for mask in masks]) if masks else None


def _which(rater: int, source) -> str:
    return "its mask" if source.raters == 1 else f"rater {rater + 1}'s mask"


class _Writer:
    """The arrays of one split: pixels, masks and labels streamed, the rest (a few numbers an image) at the end."""

    def __init__(self, folder: Path, source, options: DataOptions, view: View, numbers: dict[int, int]):
        """numbers: patient's hash -> running number, shared by the splits; each new patient is added."""
        size, stored = options.image_size, ranges.DTYPES[options.bits]
        self._folder, self._view, self._numbers = folder, view, numbers
        self._image = NpyWriter(folder / "image.npy", (size, size, options.channels), stored)
        self._label = NpyWriter(folder / "label.npy", (len(view.classes) + len(options.attributes),), np.float32)
        self._mask = self._masks = None
        if source.mask_channels:
            shape = (size, size, len(source.mask_channels))
            self._mask = NpyWriter(folder / "mask.npy", shape, np.uint8)
            if source.raters > 1:
                self._masks = NpyWriter(folder / "masks.npy", (source.raters, *shape), np.uint8)
        self._small = {"key": [], "patient": []}
        self._small |= {name: [] for name in ("attributes", "factors") if getattr(source, name)}
        self.rows, self.patients, self._ids = 0, 0, []

    def append(self, decoded: list, moments: Moments | None) -> None:
        if not decoded:
            return
        stacked = np.stack([image for _, _, image, _ in decoded])
        self._image.append(stacked)
        if moments:
            moments.add(stacked)
        if self._mask:
            masks = np.stack([masks for *_, masks in decoded])
            self._mask.append(consensus(masks))
            if self._masks:
                self._masks.append(masks)
        self._label.append(np.stack([self._view.label(record) for _, record, _, _ in decoded]))
        self._ids += [number for number, *_ in decoded]
        for _, record, _, _ in decoded:
            for name, rows in self._small.items():
                rows.append(record[name])
        self.rows += len(decoded)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind, *_) -> None:
        for writer in (self._image, self._label, self._mask, self._masks):
            if writer:
                writer.close()
        if kind or not self.rows:
            return
        # A running number in place of the patient's hash: enough to group by, nothing to look up.
        hashes = [int(patient) for patient in self._small.pop("patient")]
        rows = [-1 if one < 0 else self._numbers.setdefault(one, len(self._numbers)) for one in hashes]
        self.patients = len(set(rows) - {-1})
        np.save(self._folder / "id.npy", np.int32(self._ids))
        np.save(self._folder / "patient.npy", np.int32(rows))
        np.save(self._folder / "key.npy", np.array(self._small.pop("key"), np.bytes_))
        for name, rows in self._small.items():
            np.save(self._folder / f"{name}.npy", np.stack(rows))


def consensus(masks: np.ndarray) -> np.ndarray:
    """[n, r, ...] in {0, 1} of r raters -> [n, ...]: what at least half of them drew."""
    return (2 * masks.sum(1, dtype=np.uint16) >= masks.shape[1]).astype(np.uint8)


def check_sizes(sizes: dict[str, int], skipped: int, options: DataOptions) -> None:
    """UserError for a split that should hold images and holds none."""
    for name, fraction in zip(splits.NAMES, options.split, strict=True):
        if fraction and not sizes[name]:
            raise UserError(
                f"The {name} split of {options.name} {options.dir} is empty: {sum(sizes.values())} images "
                f"are left after the choice of classes and view, {skipped} skipped. Add images, or change "
                "data.split (a fraction of 0 allows an empty split), data.classes or data.view."
            )
