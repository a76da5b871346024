"""Grad-CAM and LIME on classifiers whose evidence is known, and the share of a map inside a mask."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from analysis.downstream import explain as explaining
from analysis.downstream.explain import Explained, chosen, explain, inside, save_figure
from analysis.downstream.fit import Fitted
from analysis.downstream.grad_cam import grad_cam, weights
from analysis.downstream.lime_maps import check, lime_map, spread
from analysis.downstream.networks import build
from data import UserError
from data.ranges import to_float
from tests.analysis.downstream.helpers import linear, made

KERNEL = np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.25]], np.float32)


def test_weights_are_those_of_finite_differences(x64):
    """Of the network from scratch, whose head is not linear."""
    network, x = build("cnn", 0, 1), jax.random.normal(jax.random.key(0), (2, 16, 16, 1), np.float64)
    params = jax.tree.map(lambda a: a.astype(np.float64), network.init(jax.random.key(1), x[:1], jnp.zeros(2)))
    params["head"]["logits"]["kernel"] = jax.random.normal(jax.random.key(2), (128, 2))
    maps = network.trunk(params["trunk"], x)
    found = np.asarray(weights(network, params, maps, jnp.eye(2)[jnp.array([1, 0])]))
    logits = jax.jit(lambda maps: network.head(params["head"], maps))
    for b, k in ((0, 1), (1, 0)):
        for m in (0, 7, 63):
            step = jnp.zeros_like(maps).at[b, :, :, m].set(1e-5)  # along it the logit moves by the gradient's sum
            slope = float(logits(maps + step)[b, k] - logits(maps - step)[b, k]) / 2e-5
            assert found[b, m] == pytest.approx(slope / maps[0, :, :, 0].size, rel=1e-4) and slope != 0


def test_grad_cam_of_a_linear_network_in_closed_form():
    network, params = linear(KERNEL)
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), np.uint8)  # more than one batch
    classes = np.arange(40) % 2
    found = grad_cam(network, params, images, classes)
    slope = np.asarray(params["trunk"]["times"]) @ KERNEL / 36  # of class k's logit in each pixel
    expected = np.maximum(to_float(images)[..., 0] * slope[classes][:, None, None], 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert expected.max() > 0.01


def test_lime_finds_the_corner_that_decides():
    pytest.importorskip("lime")
    image = np.full((32, 32, 1), 100, np.uint8)
    image[:8, :8] = np.where(np.indices((8, 8)).sum(0) % 2, 255, 150)[..., None]  # texture, gone with its mean

    def classify(x):
        assert x.dtype == np.uint8 and x.shape[1:] == image.shape
        p = np.clip(x[:, :8, :8].astype(float).std((1, 2, 3)) / 60, 0, 1)
        return np.stack([1 - p, p], 1)

    one, again = (lime_map(classify, image, 1, 300, seed=0) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert one.min() == 0 and one[:8, :8].sum() > 0.5 * one.sum() > 0  # of 6 % of the area; the rest is noise
    assert one[:8, :8].max() == one.max()
    against = lime_map(classify, image, 0, 300, seed=0)
    assert against[:8, :8].sum() < 0.3 * against.sum()


def test_what_lime_cannot_explain_is_said_before(monkeypatch):
    with pytest.raises(UserError, match="not 2 channels"):
        check(2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package lime"):
        check(1)


def test_weights_are_spread_over_their_segments():
    segments = np.array([[0, 0, 1], [2, 2, 2]])
    np.testing.assert_allclose(spread(segments, {0: 1.0, 1: -3.0, 2: 0.6}), [[0.5, 0.5, 0], [0.2, 0.2, 0.2]])


def explained(maps: np.ndarray, mask: np.ndarray) -> Explained:
    n, images = len(maps), np.zeros((*maps.shape, 1), np.uint8)
    return Explained(np.arange(n), images, np.zeros(n, int), {"m": maps}, mask, np.ones(n))


def test_a_map_that_knows_nothing_has_no_excess():
    mask = np.zeros((4, 8, 8), bool)
    mask[:3, :4] = True  # the fourth image has none
    mask[0, 2:4] = False
    found = inside(explained(np.ones((4, 8, 8)), mask), ("a", "b"))["m"]
    assert set(found) == {"all", "a"} and found["all"] == found["a"]
    found = found["all"]
    assert found["inside"]["value"] == pytest.approx((0.25 + 0.5 + 0.5) / 3) and found["inside"]["n"] == (3,)
    assert found["excess"]["value"] == pytest.approx(0) and found["empty"] == 0
    maps = mask.astype(float)
    maps[1] = 0
    found = inside(explained(maps, mask), ("a",))["m"]["a"]
    assert found["inside"]["value"] == 1 and found["empty"] == 1
    assert found["excess"]["value"] == pytest.approx(1 - 0.375)
    assert inside(explained(np.ones((4, 8, 8)), np.zeros((4, 8, 8), bool)), ("a",)) is None


def test_classes_take_turns():
    label = np.zeros((30, 4))
    label[:10, 0], label[5:25, 1], label[29, 2] = 1, 1, 1
    rows, columns = chosen(label, 9)
    assert (label[rows, columns] == 1).all() and np.bincount(columns).tolist() == [3, 3, 1]
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows) == 7


def test_explanations_of_a_classifier(tmp_path, monkeypatch):
    pytest.importorskip("lime")
    network, params = linear(np.ones((2, 3), np.float32))
    dataset = made(mask_channels=("corner",))
    masks = np.zeros((60, 16, 16, 1), np.uint8)
    masks[:, :5, :5] = 1
    arrays = dataset.arrays
    dataset.arrays = lambda split: arrays(split) | {"mask": masks}
    monkeypatch.setitem(explaining.MASK_OF, "made", {"bright": "corner"})
    found = explain(Fitted(network, params, False, {}), dataset, 6, 30)
    assert found.maps["grad_cam"].shape == found.maps["lime"].shape == (6, 16, 16)
    np.testing.assert_array_equal(found.mask.any((1, 2)), found.column == 0)
    assert inside(found, dataset.info.classes)["grad_cam"]["bright"]["area"]["value"] == pytest.approx(25 / 256)
    save_figure(tmp_path / "figure.png", found, dataset)
    picture = Image.open(tmp_path / "figure.png")
    assert picture.text["Synthetic"] == "false" and picture.mode == "RGB"
    bare = dataclasses.replace(found, mask=np.zeros_like(found.mask))
    save_figure(tmp_path / "drawn.png", bare, SimpleNamespace(info=SimpleNamespace(name="phantom_cxr", classes="abc")))
    drawn = Image.open(tmp_path / "drawn.png")
    assert drawn.text["Synthetic"] == "true" and drawn.size[0] < picture.size[0]  # no column of masks
