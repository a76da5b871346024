"""What every builder shares: a faithful copy of a source as records, split, before any resizing.

A record keeps the encoded file (or the array, for sources that are arrays) and the raw labels; which
classes, view, size and bits a run wants is decided when the records are decoded (data/decode.py).

tfds' ShardBasedBuilder is used, not GeneratorBasedBuilder: the latter keeps a gigabyte in memory to
shuffle and needs TensorFlow beyond that; order does not matter here, batches are shuffled by grain.
"""

import abc
import contextlib
import dataclasses
import io
import itertools
import json
import logging
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from data import splits
from data.errors import UserError
from data.options import DataOptions

_SHARD_BYTES = 64 << 20  # tfds holds one shard in memory while it writes it


@dataclasses.dataclass
class Source:
    """What a builder finds before it reads a single image; saved as source.json beside the records."""

    classes: tuple[str, ...]
    exclusive: bool  # one class an image
    licence: str
    citation: str
    counts: dict[str, int]  # images in each split; at most, until they are read
    image_bytes: int  # about what one record takes
    array_shape: tuple[int, ...] | None = None  # images that are arrays; None: encoded files
    bits: int = 8  # of images that are arrays
    attributes: tuple[str, ...] = ()
    mask_channels: tuple[str, ...] = ()
    raters: int = 1  # people who drew each mask, where there are masks
    factors: tuple[str, ...] = ()
    has_patients: bool = False
    skipped: int = 0  # rows without an image, with on_error="skip"

    def save(self, folder: Path) -> None:
        (folder / "source.json").write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> "Source":
        values = json.loads((folder / "source.json").read_text())
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


@dataclasses.dataclass(slots=True)
class Example:
    """One image that is a file. `key` is its path within the source."""

    key: str
    split: str
    path: Path
    label: np.ndarray  # float32 [k], as the source gives it
    patient: str = ""  # or the first of its near-duplicates, where no patient is named
    attributes: tuple[float, ...] = ()
    masks: tuple[Path, ...] = ()  # one of each rater

    def read(self) -> dict:
        """The record, files read."""
        record = {"key": self.key, "image": read_bytes(self.path)}
        if self.label.size:
            record["label"] = self.label
        if self.masks:
            drawn = [read_bytes(path) for path in self.masks]
            record["mask"] = drawn[0] if len(drawn) == 1 else drawn
        if self.attributes:
            record["attributes"] = np.float32(self.attributes)
        return record | {"patient": splits.patient_number(self.patient) if self.patient else -1}


def read_bytes(path: Path) -> bytes:
    """The whole file; UserError when it cannot be read or is none: a pipe would wait, a device never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path} is no regular file, or a link to none: put the image there, or take it away.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


class _LocalInfo(tfds.core.DatasetInfo):
    """Without tfds' look for a published copy: it asks the network and leaves a folder in the temporary directory."""

    def initialize_from_bucket(self) -> None:
        pass


class Records(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Base of the builders. A subclass gives `scan` and, unless its images are files, `read`.

    Raises UserError, naming file and way out, for anything wrong with the source.
    """

    VERSION = tfds.core.Version("1.0.0")
    name = "records"

    def __init__(self, options: DataOptions, data_dir: Path, show: bool = False):
        """data_dir: where the records go. show: progress of a look at all images, on stderr."""
        self.options, self.show, self.advance = options, show, lambda n: None
        self.examples: list[Example] = []
        self.source = self.scan()
        super().__init__(data_dir=data_dir, file_format="array_record")

    @abc.abstractmethod
    def scan(self) -> Source:
        """Looks at the source without reading images; fills `self.examples` if they are files."""

    def read(self, split: str) -> Iterable[dict]:
        """Yields the records of a split."""
        return (example.read() for example in self.examples if example.split == split)

    def prepare(self) -> Path:
        """Writes all records and source.json, which then has the true counts; returns their folder."""
        quiet = logging.getLogger("absl")
        level = quiet.level
        quiet.setLevel(logging.ERROR)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # tfds announces itself there
                tfds.disable_progress_bar()
                self.download_and_prepare()
        finally:
            quiet.setLevel(level)
        folder = Path(self.data_dir)
        self.source.counts |= {split: sum(made.shard_lengths) for split, made in self.info.splits.items()}
        self.source.save(folder)
        return folder

    def _info(self) -> tfds.core.DatasetInfo:
        source = self.source
        return _LocalInfo(
            builder=self,
            features=tfds.features.FeaturesDict(_features(source)),
            description=f"{self.name}, copied from its source.",
            citation=source.citation,
            license=source.licence,
        )

    def _shard_iterators_per_split(self, dl_manager) -> dict[str, list[Callable[[], Iterator]]]:
        return {split: self._shards(split, n) for split, n in self.source.counts.items() if n}

    def _shards(self, split: str, count: int) -> list[Callable[[], Iterator]]:
        """Consecutive shards over one pass through the split; tfds asks for them in order."""
        records = enumerate(self._counted(split))
        size = max(1, _SHARD_BYTES // max(1, self.source.image_bytes))
        return [lambda: itertools.islice(records, size) for _ in range(0, count, size)]

    def _counted(self, split: str) -> Iterator[dict]:
        for record in self.read(split):
            yield record
            self.advance(1)


def _features(source: Source) -> dict:
    """One feature a field of the record; tfds has no empty tensors, so empty fields are left out."""
    tensor, array = tfds.features.Tensor, source.array_shape
    packed = tfds.features.Encoding.BYTES  # the default is a list of 64-bit integers, one a pixel
    encoded = tensor(shape=(), dtype=np.object_)
    stored = np.uint16 if source.bits == 16 else np.uint8
    pixels = tensor(shape=array, dtype=stored, encoding=packed) if array else encoded
    features = {"key": tfds.features.Text(), "patient": tensor(shape=(), dtype=np.int64), "image": pixels}
    if source.mask_channels:
        shape = (*array[:2], len(source.mask_channels)) if array else ()
        several = encoded if source.raters == 1 else tensor(shape=(source.raters,), dtype=np.object_)
        features["mask"] = tensor(shape=shape, dtype=np.uint8, encoding=packed) if array else several
    for name, columns in (("attributes", source.attributes), ("factors", source.factors)):
        if columns:
            features[name] = tensor(shape=(len(columns),), dtype=np.float32)
    if source.classes:
        features["label"] = tensor(shape=(len(source.classes),), dtype=np.float32)
    return features


def count(examples: list[Example]) -> dict[str, int]:
    """Images in each split."""
    return {name: sum(e.split == name for e in examples) for name in splits.NAMES}


def mean_bytes(examples: list[Example]) -> int:
    """About what one file takes, from at most 100 of them."""
    some = examples[:: max(1, len(examples) // 100)]
    return sum(e.path.stat().st_size for e in some) // max(1, len(some)) + 200


def folder_of(options: DataOptions, holds: str) -> Path:
    """data.dir as an existing folder; UserError that says what it should hold otherwise."""
    if not options.dir:
        raise UserError(f"{options.name} needs data.dir: the folder that holds {holds}.")
    folder = Path(options.dir).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.dir={options.dir} is not a folder: set it to the one that holds {holds}.")
    return folder
