"""Inception's features without torch: its file, where it is looked for, and what the features depend on."""

import pickle
import zipfile

import numpy as np
import pytest

from analysis.features import inception, inception_weights
from analysis.features.images import rgb
from analysis.features.inception_net import Inception
from data import UserError
from models.cpu import jit
from tests.analysis.inception_files import publish, random_weights
from tests.analysis.torch_files import write_archive, write_state_dict
from train.torch_pickle import read_arrays

# Of torch-fidelity 0.4.0 under PyTorch 2.13, in float64, for these images repeated to RGB and `random_weights()`.
PLACES = [0, 300, 700, 1100, 1500, 1900]
POOLED = [
    [3.984872, 0.084904, 3.7957, 0.320716, 7.049236, 13.180377],
    [3.323505, 0.282604, 3.438584, 0.349324, 6.335901, 12.748974],
    [3.803128, 0.428336, 3.953941, 0.376648, 7.040594, 13.974632],
]
LOGITS = [
    [5.614949, 2.430821, 6.376152, 4.3314],
    [5.038601, 1.893816, 5.835317, 3.989433],
    [5.532944, 1.977606, 6.397131, 4.519086],
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    write_state_dict(path, random_weights())
    return path


@pytest.fixture
def images():
    noise = np.random.default_rng(1).integers(0, 256, (3, 40, 32, 1), np.uint8)
    return noise // np.uint8([1, 2, 4]).reshape(3, 1, 1, 1)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No weights at hand, and no network."""
    monkeypatch.setattr(inception_weights, "URL", (tmp_path / "remote.pth").as_uri())
    monkeypatch.delenv(inception_weights.VARIABLE, raising=False)


def test_same_features_as_torch_fidelity(weights, images):
    run = jit(lambda params, x: Inception().apply({"params": params}, rgb(x)))
    taps = run(inception_weights.load(weights), inception.prepare(images, "legacy-tensorflow"))
    np.testing.assert_allclose(taps["2048"][:, PLACES], POOLED, atol=1e-4)
    np.testing.assert_allclose(taps["2048"].sum(1), [4344.867, 3981.8726, 4419.717], atol=0.02)
    np.testing.assert_allclose(taps["logits_unbiased"][:, :4], LOGITS, atol=1e-4)
    assert taps["spatial"].shape == (3, 17 * 17 * 7)


def test_features_of_gray_deep_and_batched_images(weights, images, monkeypatch):
    publish(monkeypatch, weights)
    extract = inception.extractor("192", batch_size=2, path=weights)
    features = extract(images)
    assert features.shape == (3, 192) and features.std(0).mean() > 0.1
    np.testing.assert_allclose(extract(images.repeat(3, -1)), features, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(extract(images.astype(np.uint16) * 257), features, rtol=1e-5, atol=1e-5)
    one_by_one = np.concatenate([extract(images[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(one_by_one, features, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="images of 2 channels"):
        extract(images.repeat(2, -1))


BRIGHTEST = {"clean": 127 / 128, "legacy-tensorflow": 127 / 128, "legacy-pytorch": 1.0}


@pytest.mark.parametrize("mode, brightest", BRIGHTEST.items())
def test_scale_of_the_input(mode, brightest):
    black, white = np.zeros((1, 8, 8, 1), np.uint8), np.full((1, 8, 8, 1), 255, np.uint8)
    assert inception.prepare(black, mode).shape == (1, 299, 299, 1)
    np.testing.assert_allclose(inception.prepare(black, mode), -1.0, atol=1e-6)
    np.testing.assert_allclose(inception.prepare(white, mode), brightest, atol=1e-6)


def test_unknown_features_and_modes_are_named():
    with pytest.raises(UserError, match="no features '2049'; it has 64, 192, 768, 2048"):
        inception.extractor("2049")
    with pytest.raises(UserError, match="'cubic' is none of clean, legacy-tensorflow, legacy-pytorch"):
        inception.extractor(mode="cubic")


def test_where_the_weights_are_looked_for(tmp_path, monkeypatch):
    """An argument goes before the variable, the variable before the cache, the cache before the download."""
    files = {name: tmp_path / name / inception_weights.NAMES[1] for name in ("argument", "variable", "cache")}
    for path in files.values():
        path.parent.mkdir()
        path.write_bytes(b"weights")
    publish(monkeypatch, files["cache"])
    find = inception_weights.find
    assert find(cache=tmp_path / "cache") == files["cache"]
    monkeypatch.setenv(inception_weights.VARIABLE, str(files["variable"]))
    assert find(cache=tmp_path / "cache") == files["variable"]
    assert find(files["argument"], tmp_path / "cache") == files["argument"]
    monkeypatch.delenv(inception_weights.VARIABLE)
    (tmp_path / "remote.pth").write_bytes(b"weights")
    assert find(cache=tmp_path / "new") == tmp_path / "new" / inception_weights.NAMES[0]
    (tmp_path / "remote.pth").unlink()
    find(cache=tmp_path / "new")  # from now on without the network


def test_missing_weights_are_explained(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="could not be downloaded.* take pt_inception-2015-12-05-6726825d.pth from "
                       ".*remote.pth .*and set MEDGEN_INCEPTION"):  # fmt: skip
        inception_weights.find(cache=tmp_path / "cache")
    with pytest.raises(UserError, match="there is no file .*absent.pth; pt_inception"):
        inception_weights.find(tmp_path / "absent.pth")
    monkeypatch.setenv(inception_weights.VARIABLE, str(tmp_path / "absent.pth"))
    with pytest.raises(UserError, match="absent.pth, which MEDGEN_INCEPTION names"):
        inception_weights.find()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"others")
    with pytest.raises(UserError, match=r"weights.pth is not the published .* begins with 01db91d0, not 6726825d"):
        inception_weights.find(path)
    (tmp_path / "remote.pth").write_bytes(b"<html>")
    with pytest.raises(UserError, match="could not be downloaded .what came has a SHA-256 that begins with"):
        inception_weights.find(cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "weights.pth"
    write_state_dict(path, {"fc.weight": np.zeros((2, 2), np.float32)})
    with pytest.raises(UserError, match="weights.pth cannot be read as Inception's weights .*fc.bias"):
        inception_weights.load(path)


def test_an_archive_of_arrays_is_read(tmp_path):
    path = tmp_path / "weights.pth"
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.float32([7])}
    write_state_dict(path, arrays)
    read = read_arrays(path)
    assert list(read) == ["a", "b.c"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_an_archive_that_wants_to_run_something_is_refused(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    write_archive(path, pickle.dumps({"a": Evil()}), {})
    with pytest.raises(ValueError, match="builtins.print does not belong into a file of weights"):
        read_arrays(path)
    assert "must not run" not in capsys.readouterr().out


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    write_state_dict(path, {"a": np.zeros((64, 64), np.float32)})
    with zipfile.ZipFile(path) as archive:
        main = archive.read("archive/data.pkl")
    whole = path.read_bytes()
    at = len(whole) // 2  # in the middle of the numbers
    for content in (whole[:-200], whole[:at] + b"\1" + whole[at + 1 :]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="weights.pth: "):
            read_arrays(path)
    write_archive(path, main, {})
    with pytest.raises(ValueError, match="weights.pth: .*no item named 'archive/data/0'"):
        read_arrays(path)
    write_archive(path, main, {"0": bytes(4 * 64 * 63)})
    with pytest.raises(ValueError, match="a tensor reaches beyond its numbers"):
        read_arrays(path)
