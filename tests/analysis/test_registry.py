"""Feature networks by name, pixels as features, and features kept on disk."""

import numpy as np
import pytest

from analysis.features import feature_cache, inception, inception_net, registry
from analysis.features.feature_cache import cached
from data import UserError


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)


def counted(extract=lambda images: images.reshape(len(images), -1).astype(np.float32), **facts):
    """A network that writes down what it was asked for."""
    calls = []

    def count(images):
        calls.append(len(images))
        return extract(images)

    facts = {"name": "pixels", "weights": "", "resize": "none"} | facts
    return registry.FeatureNetwork(**facts, extract=count), calls


def test_every_tap_of_inception_has_a_name(monkeypatch):
    asked = []
    monkeypatch.setattr(inception, "extractor", lambda *args: asked.append(args))
    names = [name for name in registry.NETWORKS if name.startswith("inception")]
    networks = [registry.build(name, resize="legacy-pytorch", weights="w", batch_size=8) for name in names]
    assert {tap for tap, *_ in asked} == set(inception_net.TAPS) and len(asked) == len(names)
    assert {args[1:] for args in asked} == {("legacy-pytorch", 8, "w")}
    assert networks[0].describe()["weights_sha256"].startswith("6726825d")
    assert networks[0].describe()["resize"] == "legacy-pytorch" and registry.build("inception").resize == "clean"


def test_describe_names_the_package_weights():
    facts = registry.build("efficientnet_lite0").describe()
    assert facts["name"] == "efficientnet_lite0" and len(facts["weights_sha256"]) == 64 and facts["resize"]


def test_unknown_names_and_ways_of_resizing():
    with pytest.raises(UserError, match="'vgg' is none of efficientnet_lite0, inception, "):
        registry.build("vgg")
    with pytest.raises(UserError, match="pixels resizes in one way only, none; leave resize='clean' out"):
        registry.build("pixels", resize="clean")


def test_pixels(images):
    np.testing.assert_allclose(registry.build("pixels")(images), images.reshape(5, -1) / 127.5 - 1, atol=1e-6)
    larger = images.repeat(8, 1).repeat(8, 2)
    small = registry.build("pixels_32", batch_size=2)(larger)
    assert small.shape == (5, 32 * 32) and np.abs(small).max() <= 1
    np.testing.assert_allclose(small.mean(1), images.mean((1, 2, 3)) / 127.5 - 1, atol=1e-2)


def test_features_are_taken_from_disk(images, tmp_path):
    network, calls = counted()
    kept = cached(network, tmp_path / "features")
    first = kept(images)
    np.testing.assert_array_equal(kept(images.copy()), first)
    assert calls == [5] and kept.describe() == network.describe()
    assert [path.suffix for path in (tmp_path / "features").iterdir()] == [".npy"]


def test_other_images_networks_and_ways_are_computed_anew(images, tmp_path):
    network, calls = counted()
    kept = cached(network, tmp_path)
    kept(images)
    other = images.copy()
    other[3, 2, 1] ^= 1
    assert not np.array_equal(kept(other), kept(images))
    kept(images.reshape(5, 4, 16, 1))
    kept(images.view(np.int8))
    assert len(calls) == 4
    for change in ({"name": "other"}, {"weights": "ab"}, {"resize": "clean"}):
        network, calls = counted(**change)
        cached(network, tmp_path)(images)
        assert calls == [5], change


def test_a_damaged_file_is_computed_anew(images, tmp_path):
    network, calls = counted()
    kept = cached(network, tmp_path)
    first = kept(images)
    path = tmp_path / f"{feature_cache.key(network, images)}.npy"
    whole = path.read_bytes()
    for content in (whole[:-7], b"", b"not an array"):
        path.write_bytes(content)
        np.testing.assert_array_equal(kept(images), first)
        assert path.read_bytes() == whole
    np.save(path, first[:2])
    assert len(kept(images)) == 5 and len(calls) == 5


def test_nothing_is_kept_of_a_failure(images, tmp_path):
    def fail(images):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached(counted(fail)[0], tmp_path)(images)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="features cannot be kept in .*file.*name another folder"):
        cached(counted()[0], tmp_path / "file")(images)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
