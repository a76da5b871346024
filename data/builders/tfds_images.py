"""Any image dataset of the tfds catalogue: data.name="tfds:NAME", "tfds:NAME/CONFIG" or either with ":VERSION".

data.dir is the folder of tfds' datasets ("": tfds' own, ~/tensorflow_datasets). The dataset must lie there as
array_record, which is read without TensorFlow; tfrecord is not. Nothing is downloaded: without a network tfds tries for
minutes, and for most datasets it needs TensorFlow then. What is missing is answered with the command that makes it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import read_only_builder

from data import files, splits
from data.builders import base
from data.errors import UserError

_SPLITS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val", "test": "test"}
_ROWS = 64  # records read at once
_MIN_RECORD = 200  # bytes; tfds' own count is of files, whose smallest is 64 KiB


class TfdsImages(base.Records, skip_registration=True):
    """A ClassLabel gives a one-hot label, a sequence of them a multi-hot one; -1, tfds' "unknown", gives all zeros.

    Image and label are the supervised keys where the dataset has them, else the features of these names, else the only
    ones of their kind. What tfds calls train, validation and test is kept, what is lacking is carved out of train by
    a hash of the index; where there is no train, everything is shared out so.
    """

    name = "tfds_images"

    def scan(self) -> base.Source:
        self._stored = _opened(self.options.name.partition(":")[2], files.tfds_root(self.options.dir))
        self._sources = {}  # of each part, opened when it is read
        info = self._stored.info
        names = [key for key in info.supervised_keys or () if isinstance(key, str)]
        self._image = _image(info.features, names, self.options.name)
        self._label = _pick(info.features, _is_label, [*names, "label", "labels"])
        labels = info.features[self._label] if self._label else None
        self._exclusive = isinstance(labels, tfds.features.ClassLabel)
        self._split_of = _assign({k: s.num_examples for k, s in info.splits.items()}, self.options)
        total = sum(len(of) for of in self._split_of.values())
        return base.Source(
            classes=tuple((labels if self._exclusive else labels.feature).names) if labels else (),
            exclusive=self._exclusive,
            counts={n: sum(int((of == n).sum()) for of in self._split_of.values()) for n in splits.NAMES},
            image_bytes=max(_MIN_RECORD, sum(info.splits[k].num_bytes for k in self._split_of) // max(1, total)),
            licence=info.redistribution_info.license or f"tfds does not say; see {info.homepage}",
            citation=info.citation or f"tfds does not say; see {info.homepage}",
        )

    def read(self, split: str) -> Iterator[dict]:
        for part, split_of in self._split_of.items():
            chosen = np.flatnonzero(split_of == split)
            for at in range(0, len(chosen), _ROWS):
                rows = chosen[at : at + _ROWS].tolist()
                for i, example in zip(rows, self._examples(part, rows), strict=True):
                    yield self._record(f"{part}/{i}", example)

    def _examples(self, part: str, rows: list[int]) -> list[dict]:
        """The image, still encoded, and the label of these rows; the other features are not decoded."""
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        features = self._stored.info.features
        features = tfds.features.FeaturesDict({k: features[k] for k in (self._image, self._label) if k})
        skip = {self._image: tfds.decode.SkipDecoding()}
        try:
            if part not in self._sources:
                self._sources[part] = self._stored.as_data_source(part, deserialize_method=raw)
            found = self._sources[part].__getitems__(rows)
            return [features.deserialize_example_np(one, decoders=skip) for one in found]
        except Exception as error:  # array_record's own are RuntimeError, IndexError and ValueError
            raise UserError(
                f"The split {part} in {self._stored.data_dir} is damaged ({_line(error)}): prepare it again."
            ) from error

    def _record(self, key: str, example: dict) -> dict:
        record = {"key": key, "patient": -1, "image": example[self._image]}
        if self._label:
            held = np.atleast_1d(np.asarray(example[self._label], np.int64))
            record["label"] = np.zeros(len(self.source.classes), np.float32)
            record["label"][held[held >= 0]] = 1
        return record


def _opened(wanted: str, root: Path):
    """tfds' builder of the files; UserError when they are not there, cannot be read or are not array_record."""
    folder = files.tfds_folder(wanted, root)
    make = f"`tfds build {wanted} --data_dir={root} --file_format=array_record`"
    try:
        stored = read_only_builder.builder_from_files(wanted, data_dir=str(root))
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(
            f"{folder} holds no dataset that tfds prepared{_configs(wanted, root)}: "
            f"set data.dir to the folder of tfds' datasets, or run {make} where TensorFlow is installed."
        ) from error
    except Exception as error:  # damaged JSON, a feature that only TensorFlow knows
        raise UserError(f"{folder} cannot be opened ({_line(error)}): prepare it again by {make}.") from error
    formats = sorted(one.value for one in stored.info.available_file_formats())
    if "array_record" not in formats:
        raise UserError(
            f"{stored.data_dir} is stored as {', '.join(formats)}, which only TensorFlow reads: where it is installed, "
            f"run `tfds convert_format --dataset_version_dir={stored.data_dir} --out_file_format=array_record`."
        )
    return stored


def _configs(wanted: str, root: Path) -> str:
    """The configurations that are there, where the one that is wanted is not."""
    name = re.split("[/:]", wanted)[0]
    found = sorted({path.parent.parent.name for path in root.glob(f"{name}/*/*/dataset_info.json")})
    return f" (of {name} there are {', '.join(f'{name}/{one}' for one in found)})" if found else ""


def _image(features, names: list[str], name: str) -> str:
    """The key of the image; UserError when there is none, several are alike, or its pixels are no integers."""
    found = [k for k, v in features.items() if type(v) is tfds.features.Image]  # a LabeledImage is a mask
    key = _pick(features, lambda v: type(v) is tfds.features.Image, [*names, "image"])
    if key is None:
        held = f"several images ({', '.join(found)}), none of which it calls its input" if found else "no image"
        raise UserError(f"{name} has {held}: its features are {', '.join(features)}; choose another dataset.")
    if features[key].np_dtype not in (np.uint8, np.uint16):
        held = np.dtype(features[key].np_dtype)
        raise UserError(f"{name} has images of {held}; uint8 or uint16 is needed: choose another dataset.")
    return key


def _is_label(feature) -> bool:
    several = isinstance(feature, tfds.features.Sequence)
    one = feature.feature if several else feature
    return isinstance(one, tfds.features.ClassLabel) and bool(one.num_classes)


def _pick(features, kind, names: list[str]) -> str | None:
    """The first of these names that is of the kind, or the only feature that is."""
    found = [k for k, v in features.items() if kind(v)]
    named = [name for name in names if name in found]
    return named[0] if named else found[0] if len(found) == 1 else None


def _assign(sizes: dict[str, int], options) -> dict[str, np.ndarray]:
    """For each part of the dataset, the split of each of its rows."""
    known = [part for part in sizes if part in _SPLITS]
    published = options.official_split and "train" in known
    fractions = splits.lacking({_SPLITS[p] for p in known}, options.split) if published else options.split
    split_of = {}
    for part in known or sizes:
        if published and part != "train":
            split_of[part] = np.full(sizes[part], _SPLITS[part])
        else:
            split_of[part] = np.array([splits.assign(f"{part}/{i}", fractions) for i in range(sizes[part])], "<U5")
    return split_of


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:150]
