"""A prepared dataset: memory-mapped arrays, and batches cut out of them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data import draws, ranges, stain
from data.covariance import PixelCovariance, pixel_covariance
from data.errors import UserError
from data.info import Info
from data.label_means import LabelMeans, label_means

_SMALL = ("id", "label", "attributes", "factors", "member")  # read whole: a few numbers an image
_RECORDED = ("attributes", "factors")  # of them those in a batch as they are
_WHOLE = 1 << 28  # bytes of a file up to which that is so: labels of 1,000 classes are 5 GB for ImageNet


class Dataset:
    """Batches of a prepared dataset.

    A batch is a dict of numpy arrays: image float32 [b, h, w, c] in [-1, 1]; label float32 [b, k]
    (columns: info.labels; -1 is the null); id int32 [b]; weight float32 [b]; where the source has them,
    mask float32 [b, h, w, m] (of several raters, what at least half of them drew, and beside it masks
    [b, r, h, w, m], one of each), attributes float32 [b, a] (info.recorded) and factors float32 [b, f].
    `id` counts the images of train, then val, then test, those that data.fraction leaves out too; it is an example's
    index for good.
    """

    def __init__(self, folder: Path, flip: bool = False, balance: bool = False, stain: float = 0.0):
        """folder: what data.prepare.prepared returned; the others are of training batches, see data/options.py."""
        self.info = Info.from_dict(json.loads((folder / "info.json").read_text()))
        self._folder, self._flip, self._balance, self._stain, self._open = folder, flip, balance, stain, {}

    def arrays(self, split: str) -> dict[str, np.ndarray]:
        """The stored arrays, memory-mapped, in the order of `epoch`.

        image uint8 or uint16 [n, h, w, c]; label [n, k]; id int32 [n]; key bytes [n] (the image's name in its source);
        patient int32 [n] (a running number; where no patient is named, one of the near-duplicates that were kept
        together, else -1); and mask uint8 {0, 1}, masks, attributes, factors where there are.

        Raises:
            UserError: an unknown or empty split, or a damaged cache.
        """
        if self.info.sizes.get(split, 0) == 0:
            filled = ", ".join(f"{name} ({n})" for name, n in self.info.sizes.items() if n)
            raise UserError(f"{self.info.name} has no images in a split {split!r}; it has {filled}.")
        if split not in self._open:
            self._open[split] = self._load(split)
        return dict(self._open[split])

    def label_means(self) -> LabelMeans:
        """What the training images are expected to look like, given their label; computed once."""
        if "label_means" not in self._open:
            train = self.arrays("train")
            self._open["label_means"] = label_means(train["image"], train["label"], self._flip)
        return self._open["label_means"]

    def covariance(self, rank: int) -> PixelCovariance:
        """How training images vary about the image that their label leads one to expect."""
        train = self.arrays("train")
        return pixel_covariance(train["image"], train["label"], self.label_means(), rank, self._flip)

    def _load(self, split: str) -> dict[str, np.ndarray]:
        n, found = self.info.sizes[split], {}
        try:
            for path in sorted((self._folder / split).glob("*.npy")):
                whole = path.stem in _SMALL and path.stat().st_size <= _WHOLE
                found[path.stem] = np.load(path, mmap_mode=None if whole else "r")
                if len(found[path.stem]) != n:
                    raise ValueError(f"{path.name} holds {len(found[path.stem])} rows, not {n}")
        except (OSError, ValueError) as error:
            raise UserError(
                f"The prepared data in {self._folder} is damaged ({error}): delete it."
            ) from error
        return found

    def batches(
        self, split: str, batch_size: int, seed: int, shuffle: bool = True, shard=(0, 1), raw: bool = False
    ):
        """An endless stream of batches that is indexed: element i is batch i, a function of (seed, i) alone.

        Args:
            split: "train", "val" or "test".
            batch_size: of all hosts together.
            seed: of the order (and of flips and stains); every epoch has an order of its own.
            shuffle: False: the stored order, over and over.
            shard: (index, count) of this host; it gets its consecutive part of each batch.
            raw: leave `image` as stored, for data.ranges.to_float on the device.

        Returns:
            grain.MapDataset; `[i]` is a batch of batch_size / count examples, all of weight 1.

        Raises:
            UserError: an empty split, or a batch size that the hosts do not divide.
        """
        import grain

        arrays, part = self.arrays(split), _part(batch_size, shard)
        training = split == "train"
        orders = self._orders(arrays, seed, training) if shuffle else None
        changes = (self._flip, self._stain) if training else (False, 0.0)
        return grain.MapDataset.source(_Stream(arrays, batch_size, part, seed, orders, *changes, raw))

    def _orders(self, arrays: dict, seed: int, training: bool):
        if training and "member" in arrays:
            members = [np.flatnonzero(arrays["member"] == i) for i in range(len(self.info.shares))]
            return draws.Turns(members, seed, draws.turns(np.array(self.info.shares)))
        if not (training and self._balance):
            return draws.Orders(len(arrays["id"]), seed)
        rows = class_rows(arrays["label"][:, : len(self.info.classes)])
        if not rows:
            raise UserError(
                f"data.balance=True needs training images whose labels are known, and {self.info.name} has none: leave "
                'it out, or set data.uncertain to another than "ignore".'
            )
        return draws.Turns(rows, seed)

    def epoch(
        self, split: str, batch_size: int, shard=(0, 1), raw: bool = False, limit: int = 0
    ) -> Iterator[dict]:
        """Every image once, in the stored order, never flipped or stained anew; or `limit` of them, evenly spaced.

        The last batch is filled up with copies of its last example, whose weight is 0 and id -1.
        Arguments and errors as in `batches`.
        """
        arrays, size, part = self.arrays(split), self.info.sizes[split], _part(batch_size, shard)
        n = min(limit, size) if limit else size
        rows = np.linspace(0, size - 1, n).astype(int)  # a stored order may be one class after another

        def run() -> Iterator[dict]:
            for at in range(0, n, batch_size):
                index = np.arange(at, at + batch_size)[part]
                batch = _batch(arrays, rows[np.minimum(index, n - 1)], raw)
                batch["id"][index >= n], batch["weight"][index >= n] = -1, 0
                yield batch

        return run()


def class_rows(label: np.ndarray) -> list[np.ndarray]:
    """Rows of each class, of those that have any, and last of the images without a finding; label [n, k].

    An image without a known finding that has an unknown label (-1) is in none: it may have one.
    """
    columns = [np.flatnonzero(column > 0) for column in label.T]
    return [rows for rows in (*columns, np.flatnonzero((label == 0).all(1))) if len(rows)]


class _Stream:
    """Random access to an endless stream of batches: the images of epoch 0, then of epoch 1, cut every b.

    The order is drawn here and not by grain's `shuffle`, which takes 45 microseconds an image and gives
    epoch e of seed s the order of epoch e - 1 of seed s + 1.
    """

    def __init__(
        self, arrays: dict, batch_size: int, part: slice, seed: int, orders, flip: bool, stain: float, raw: bool
    ):
        self._arrays, self._batch_size, self._part, self._raw = arrays, batch_size, part, raw
        self._seed, self._orders, self._flip, self._stain = seed, orders, flip, stain

    def __len__(self) -> int:
        return sys.maxsize // self._batch_size

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        positions = np.arange(i * self._batch_size, (i + 1) * self._batch_size)[self._part]
        if self._orders:
            index = self._orders.at(positions)
        else:
            index = positions % len(self._arrays["id"])
        ids = self._arrays["id"][index]
        flipped = draws.coins(self._seed, i, ids) if self._flip else None
        stains = stain.coefficients(self._seed, i, ids, self._stain) if self._stain else None
        return _batch(self._arrays, index, self._raw, flipped, stains)


def _part(batch_size: int, shard: tuple[int, int]) -> slice:
    index, count = shard
    if batch_size < 1 or batch_size % count:
        raise UserError(
            f"A batch of {batch_size} cannot be shared by {count} hosts: use a multiple of {count}."
        )
    size = batch_size // count
    return slice(index * size, (index + 1) * size)


def _batch(
    arrays: dict[str, np.ndarray], index: np.ndarray, raw: bool, flipped=None, stains=None
) -> dict[str, np.ndarray]:
    """The rows of a batch, gathered in one go per array; `flipped` bool [b], `stains` two [b, 2], or None."""
    image = _flip(_rows(arrays["image"], index), flipped)
    image = image if stains is None else stain.change(image, *stains)
    batch = {
        "image": image if raw else ranges.to_float(image),
        "label": np.asarray(arrays["label"][index]),
        "id": np.asarray(arrays["id"][index]),
        "weight": np.ones(len(index), np.float32),
    }
    for name in ("mask", "masks"):
        if name in arrays:
            batch[name] = _flip(_rows(arrays[name], index), flipped).astype(np.float32)
    return batch | {name: np.asarray(arrays[name][index]) for name in _RECORDED if name in arrays}


def _rows(array: np.ndarray, index: np.ndarray) -> np.ndarray:
    """array[index] as a plain array, read from disk in ascending order."""
    order = np.argsort(index)
    rows = np.empty((len(index), *array.shape[1:]), array.dtype)
    rows[order] = np.asarray(array)[index[order]]
    return rows


def _flip(rows: np.ndarray, flipped: np.ndarray | None) -> np.ndarray:
    """Left and right exchanged, [b, ..., h, w, c], where `flipped`."""
    if flipped is not None:
        rows[flipped] = rows[flipped, ..., ::-1, :]
    return rows
