"""Datasets that tfds prepared, read by name. The test's own are prepared without TensorFlow, from encoded pictures."""

import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data import UserError, splits
from data.builders import tfds_images
from tests.data.layouts import everything, opened, picture

FEATURES = tfds.features
SIZES = {"train": 40, "test": 10}


def image(seed, **kwargs):
    file = io.BytesIO()
    Image.fromarray(picture(seed, 16, 16, **kwargs)).save(file, "PNG")
    file.seek(0)
    return file


def example(i, features):
    """Example i: an image no other has, and of each label feature something that depends on i."""
    made = {}
    for name, feature in features.items():
        if isinstance(feature, FEATURES.Image):
            made[name] = image(i, colour=feature.shape[-1] == 3, top=np.iinfo(feature.np_dtype).max)
        elif isinstance(feature, FEATURES.Sequence):
            made[name] = [c for c in range(3) if i >> c & 1]
        else:
            made[name] = i % 3 if isinstance(feature, FEATURES.ClassLabel) else f"number {i}"
    return made


def plain():
    return {"image": FEATURES.Image(shape=(None, None, 3)), "label": FEATURES.ClassLabel(names=["ant", "bee", "cat"])}


class Tiny(tfds.core.ShardBasedBuilder, skip_registration=True):
    """A dataset as tfds writes it, of any features and splits."""

    VERSION = tfds.core.Version("1.0.0")
    name = "tiny"
    features, sizes, about = None, SIZES, {}

    def _info(self):
        about = {"citation": "@article{tiny}", "license": "CC BY 9.0", "homepage": "https://tiny.example"} | self.about
        return tfds.core.DatasetInfo(builder=self, features=FEATURES.FeaturesDict(self.features), **about)

    def _shard_iterators_per_split(self, dl_manager):
        first = dict(zip(self.sizes, np.cumsum([0, *self.sizes.values()]).tolist(), strict=False))
        half = {name: n // 2 for name, n in self.sizes.items()}  # two shards a split
        return {
            name: [
                lambda at=first[name], n=half[name]: self._made(at, n),
                lambda at=first[name] + half[name], n=n - half[name]: self._made(at, n),
            ]
            for name, n in self.sizes.items()
        }

    def _made(self, at, n):
        return ((i, self.example(i)) for i in range(at, at + n))

    def example(self, i):
        return example(i, self.features)


class Configured(Tiny, skip_registration=True):
    name = "configured"
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name, version="1.0.0") for name in ("small", "large")]


def written(root, features=None, kind=Tiny, config=None, **fields):
    """Prepares a dataset under root and returns root."""
    made = type("Made", (kind,), {"features": features or plain(), **fields}, skip_registration=True)
    made.name = kind.name
    tfds.disable_progress_bar()
    made(data_dir=root, config=config, file_format="array_record").download_and_prepare()
    return root


def number(key):
    """The test's number of an image, by its key."""
    part, i = key.decode().split("/")
    return int(i) + {"train": 0, "test": SIZES["train"]}[part]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return written(tmp_path_factory.mktemp("tfds"))


def test_images_classes_and_credits(tmp_path, root):
    dataset = opened(tmp_path, "tfds:tiny", root, channels=3)
    info = dataset.info
    assert info.name == "tfds:tiny" and info.classes == ("ant", "bee", "cat") and info.exclusive
    assert (info.licence, info.citation) == ("CC BY 9.0", "@article{tiny}") and info.patients is None
    assert sum(info.sizes.values()) == 50
    labels = everything(dataset, "label")
    for key, pixels in everything(dataset).items():
        np.testing.assert_array_equal(pixels, picture(number(key), 16, 16, colour=True))
        np.testing.assert_array_equal(labels[key], np.eye(3)[number(key) % 3])


def test_colour_becomes_luminance_and_gray_is_repeated(tmp_path, root):
    gray = everything(opened(tmp_path, "tfds:tiny", root, channels=1))
    for key, pixels in gray.items():
        expected = picture(number(key), 16, 16, colour=True) @ np.array([0.299, 0.587, 0.114])
        assert np.abs(pixels[..., 0] - expected).max() <= 1
    written(tmp_path / "mono", {"image": FEATURES.Image(shape=(16, 16, 1))})
    dataset = opened(tmp_path, "tfds:tiny", tmp_path / "mono", channels=3)
    assert dataset.info.classes == ()
    for key, pixels in everything(dataset).items():
        np.testing.assert_array_equal(pixels, np.repeat(picture(number(key), 16, 16)[..., None], 3, -1))


def test_patch_camelyon_as_tfds_describes_it(tmp_path):
    """Its features and splits, of a builder of its name: id, image and two classes; train, test and validation."""

    class PatchCamelyon(Tiny, skip_registration=True):
        name = "patch_camelyon"

    label = FEATURES.ClassLabel(num_classes=2)
    features = {"id": FEATURES.Text(), "image": FEATURES.Image(shape=(16, 16, 3)), "label": label}
    sizes = {"train": 24, "test": 8, "validation": 6}
    example_of = lambda self, i: example(i, self.features) | {"label": i % 2}  # noqa: E731
    root = written(tmp_path / "tfds", features, PatchCamelyon, sizes=sizes, example=example_of)
    dataset = opened(tmp_path, "tfds:patch_camelyon", root, channels=3)
    assert dataset.info.sizes == {"train": 24, "val": 6, "test": 8} and dataset.info.classes == ("0", "1")
    labels = everything(dataset, "label")
    np.testing.assert_array_equal(labels[b"train/5"], [0, 1])
    np.testing.assert_array_equal(everything(dataset)[b"test/3"], picture(24 + 3, 16, 16, colour=True))


def test_sixteen_bits(tmp_path):
    written(tmp_path / "deep", {"image": FEATURES.Image(shape=(16, 16, 1), dtype=np.uint16, encoding_format="png")})
    for key, pixels in everything(opened(tmp_path, "tfds:tiny", tmp_path / "deep", bits=16)).items():
        np.testing.assert_array_equal(pixels[..., 0], picture(number(key), 16, 16, top=65535))


def test_several_labels(tmp_path):
    tags = FEATURES.Sequence(FEATURES.ClassLabel(names=["red", "round", "ripe"]))
    written(tmp_path / "many", {"image": FEATURES.Image(shape=(16, 16, 3)), "tags": tags, "id": FEATURES.Text()})
    dataset = opened(tmp_path, "tfds:tiny", tmp_path / "many", channels=3)
    assert dataset.info.classes == ("red", "round", "ripe") and not dataset.info.exclusive
    for key, label in everything(dataset, "label").items():
        assert label.tolist() == [float(number(key) >> c & 1) for c in range(3)]


def test_an_unknown_label_is_none_of_the_classes(tmp_path):
    unknown = {"example": lambda self, i: example(i, self.features) | ({"label": -1} if i >= 40 else {})}
    written(tmp_path / "open", **unknown)
    dataset = opened(tmp_path, "tfds:tiny", tmp_path / "open")
    assert dataset.arrays("test")["label"].sum() == 0 and (dataset.arrays("train")["label"].sum(1) == 1).all()


def test_supervised_keys_name_image_and_label(tmp_path):
    features = {
        "before": FEATURES.Image(shape=(16, 16, 3)),
        "after": FEATURES.Image(shape=(16, 16, 3)),
        "coarse": FEATURES.ClassLabel(names=["x", "y", "z"]),
        "fine": FEATURES.ClassLabel(names=["p", "q", "r"]),
    }
    written(tmp_path / "two", features, about={"supervised_keys": ("after", "fine")})
    assert opened(tmp_path, "tfds:tiny", tmp_path / "two").info.classes == ("p", "q", "r")
    written(tmp_path / "none", features)
    with pytest.raises(UserError, match=r"several images \((before, after|after, before)\), none of which"):
        opened(tmp_path, "tfds:tiny", tmp_path / "none")


def test_what_tfds_calls_test_is_kept_and_val_is_carved_out_of_train(tmp_path, root):
    dataset = opened(tmp_path, "tfds:tiny", root, split=(0.6, 0.2, 0.2))
    assert {key.split(b"/")[0] for key in dataset.arrays("test")["key"]} == {b"test"}
    assert dataset.info.sizes["test"] == 10
    for split in ("train", "val"):
        for key in dataset.arrays(split)["key"]:
            assert splits.carve(key.decode(), (0.6, 0.2, 0.2)) == split
    own = opened(tmp_path, "tfds:tiny", root, split=(0.6, 0.2, 0.2), official_split=False)
    for split in splits.NAMES:
        for key in own.arrays(split)["key"]:
            assert splits.assign(key.decode(), (0.6, 0.2, 0.2)) == split


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"train": 30, "validation": 7, "test": 5}, {"train": 30, "val": 7, "test": 5}),
        ({"train": 30, "valid": 4, "unlabelled": 9}, {"val": 4}),  # no test: out of train
        ({"train": 30, "test": 5, "extra": 9}, {"test": 5}),
        ({"test": 40}, {}),  # nothing to train on: shared out
        ({"all": 40}, {}),
    ],
)
def test_splits_of_other_datasets(sizes, expected):
    options = type("", (), {"official_split": True, "split": (0.5, 0.25, 0.25)})
    found = tfds_images._assign(sizes, options)
    together = np.concatenate(list(found.values()))
    assert len(together) == sum(n for part, n in sizes.items() if part not in ("unlabelled", "extra"))
    for split in splits.NAMES:
        count = (together == split).sum()
        assert count == expected[split] if split in expected else count > 2


def test_configurations_and_versions(tmp_path):
    for config in ("small", "large"):
        written(tmp_path / "both", kind=Configured, config=config)
    for name in ("configured", "configured/small", "configured/large:1.0.0"):
        assert sum(opened(tmp_path, f"tfds:{name}", tmp_path / "both").info.sizes.values()) == 50
    for name in ("configured/medium", "configured/small:2.0.0"):
        with pytest.raises(UserError, match="of configured there are configured/large, configured/small"):
            opened(tmp_path, f"tfds:{name}", tmp_path / "both")


def test_tfds_own_folder_is_the_default(tmp_path, root, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    assert sum(opened(tmp_path, "tfds:tiny").info.sizes.values()) == 50


def test_only_a_change_of_this_dataset_is_a_change(tmp_path):
    folder = written(tmp_path / "all")
    opened(tmp_path, "tfds:tiny", folder)
    for change, times in ((lambda: written(folder, kind=Configured, config="small"), 1),
                          (lambda: (folder / "tiny" / "1.0.0" / "note.txt").write_text("new"), 2)):  # fmt: skip
        change()
        opened(tmp_path, "tfds:tiny", folder)
        assert len(list((tmp_path / "cache" / "arrays").iterdir())) == times


def refused(tmp_path, name, source, says):
    with pytest.raises(UserError) as raised:
        opened(tmp_path, name, source)
    message = str(raised.value)
    assert says in message, message
    assert "\n" not in message and len(message) < 600 and message[-1] == "."
    assert not list((tmp_path / "cache").glob("*/*"))
    return message


@pytest.mark.parametrize("name", ["tfds", "tfds:", "tfds:../tiny", "tfds:tiny/..", "tfds:a b", "tfds:tiny:new"])
def test_names_that_are_none(tmp_path, root, name):
    refused(tmp_path, name, root, "is not a name that tfds knows: write tfds:NAME")


def test_a_dataset_that_is_not_there(tmp_path, root):
    message = refused(tmp_path, "tfds:cifar10", root, f"{root}/cifar10 holds no dataset that tfds prepared")
    assert f"`tfds build cifar10 --data_dir={root} --file_format=array_record`" in message
    refused(tmp_path, "tfds:cifar10", tmp_path / "nowhere", "holds no dataset")


def test_tfrecord_is_answered_with_how_to_convert(tmp_path):
    folder = written(tmp_path / "old") / "tiny" / "1.0.0"
    about = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(about | {"fileFormat": "tfrecord"}))
    message = refused(tmp_path, "tfds:tiny", tmp_path / "old", "is stored as tfrecord, which only TensorFlow reads")
    assert f"tfds convert_format --dataset_version_dir={folder} --out_file_format=array_record" in message


def test_features_that_cannot_be_used(tmp_path):
    written(tmp_path / "words", {"text": FEATURES.Text()})
    refused(tmp_path, "tfds:tiny", tmp_path / "words", "tfds:tiny has no image: its features are text")
    written(tmp_path / "heights", {"image": FEATURES.Image(shape=(16, 16, 1), dtype=np.float32)}, sizes={})
    refused(tmp_path, "tfds:tiny", tmp_path / "heights", "has images of float32; uint8 or uint16 is needed")


@pytest.mark.parametrize(("name", "content"), [("dataset_info.json", "{"), ("features.json", "{}")])
def test_damaged_descriptions_are_named(tmp_path, name, content):
    folder = written(tmp_path / "tfds")
    (folder / "tiny" / "1.0.0" / name).write_text(content)
    refused(tmp_path, "tfds:tiny", folder, "tiny cannot be opened (")


@pytest.mark.parametrize("kept", [None, 0, 70_000])
def test_damaged_records_are_named(tmp_path, kept):
    folder = written(tmp_path / "tfds")
    path = folder / "tiny" / "1.0.0" / "tiny-test.array_record-00001-of-00002"
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[:kept])
    refused(tmp_path, "tfds:tiny", folder, f"The split test in {folder}/tiny/1.0.0 is damaged (")
