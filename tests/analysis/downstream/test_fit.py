"""Training: alike for a seed, from the prior on, and able to learn what is there; ImageNet's network as it was read."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from analysis.downstream.arms import training_set
from analysis.downstream.fit import fit, loss, outputs, prior
from analysis.downstream.networks import build
from analysis.downstream.options import Settings
from analysis.downstream.predictions import probabilities
from analysis.features import efficientnet_lite0
from data import DataOptions, UserError
from data.ranges import to_float
from tests.analysis.downstream.helpers import made

SHORT = Settings(steps=60, batch_size=32, checks=6)


def learn(settings=SHORT, dataset=None):
    dataset = dataset or made(300)
    images = training_set(dataset, DataOptions(), settings)
    real, held = dataset.arrays("train"), dataset.arrays("val")
    return fit(build("cnn", 0, 1), images, real, held, dataset.info.exclusive, settings)


@pytest.fixture(scope="module")
def fitted():
    return learn()


@pytest.mark.parametrize("exclusive", [False, True])
def test_the_loss_is_the_likelihood(exclusive):
    rng = np.random.default_rng(0)
    logits, label = rng.normal(size=(50, 3)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(3, size=50)]
    p = probabilities(logits, exclusive)
    likelihood = p[label == 1] if exclusive else np.where(label == 1, p, 1 - p)
    found = loss(jnp.asarray(logits), jnp.asarray(label), exclusive)
    assert float(found) == pytest.approx(-np.log(likelihood).mean(), rel=1e-5)


def test_it_starts_at_the_prior():
    label = np.array([[1, 0], [1, -1], [0, 0], [1, -1]], np.float32)
    np.testing.assert_allclose(prior(label, exclusive=False), special.logit([3.5 / 5, 0.5 / 3]), rtol=1e-5)
    np.testing.assert_allclose(special.softmax(prior(label[:3], exclusive=True)).sum(), 1)
    network, bias = build("cnn", 0, 1), prior(label, exclusive=False)
    x = jax.random.normal(jax.random.key(0), (2, 16, 16, 1))
    np.testing.assert_allclose(network.logits(network.init(jax.random.key(1), x[:1], bias), x), [bias, bias], rtol=1e-5)


def test_it_learns_what_is_there_and_no_more(fitted):
    from analysis.auroc import auroc

    test = made(300).arrays("test")
    logits = fitted.logits(test["image"])
    areas = [auroc(logits[:, j], test["label"][:, j])["auroc"] for j in range(3)]
    assert min(areas[:2]) > 0.85 and abs(areas[2] - 0.5) < 0.25
    assert fitted.facts["step"] == min(fitted.facts["validation_loss"], key=lambda row: row[1])[0]
    assert fitted.facts["images_seen"] == 60 * 32


def test_a_seed_gives_the_same_and_another_does_not(fitted):
    images = made(300).arrays("test")["image"]
    np.testing.assert_array_equal(learn().logits(images), fitted.logits(images))
    assert np.abs(learn(dataclasses.replace(SHORT, seed=1)).logits(images) - fitted.logits(images)).max() > 1e-3


def test_the_last_parameters_are_taken_where_asked_for(fitted):
    last = learn(dataclasses.replace(SHORT, select="last"))
    assert last.facts["step"] == 60 and last.facts["validation_loss"] == fitted.facts["validation_loss"]


def test_cnn_takes_any_size():
    for side, size, expected in ((16, 0, 4), (70, 0, 5), (16, 40, 5)):
        network, x = build("cnn", size, 2), jnp.zeros((1, side, side, 2))
        params = network.init(jax.random.key(0), x, jnp.zeros(2))
        assert network.trunk(params["trunk"], x).shape[1:3] == (expected, expected)


def test_efficientnet_is_that_of_the_features_before_it_learns():
    network = build("efficientnet_lite0", 0, 1)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 1), np.uint8)
    params = network.init(jax.random.key(0), jnp.asarray(to_float(images[:1])), jnp.zeros(2))
    expected = efficientnet_lite0.extractor(2)(images)
    params["head"] = {"kernel": jnp.eye(efficientnet_lite0.WIDTH), "bias": jnp.zeros(efficientnet_lite0.WIDTH)}
    np.testing.assert_allclose(outputs(network, params, images), expected, atol=2e-4)


def test_all_of_efficientnet_learns():
    network = build("efficientnet_lite0", 32, 1)
    x = jax.random.normal(jax.random.key(0), (4, 16, 16, 1)) / 2
    params = network.init(jax.random.key(0), x[:1], jnp.zeros(2))
    params["head"]["kernel"] = jax.random.normal(jax.random.key(1), params["head"]["kernel"].shape) / 30
    label = jnp.eye(2)[jnp.array([0, 1, 0, 1])]
    gradient = jax.jit(jax.grad(lambda p: loss(network.logits(p, x), label, True)))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert float(jnp.abs(leaf).max()) > 0, path
    with pytest.raises(UserError, match="gray or RGB images, not 2 channels"):
        build("efficientnet_lite0", 0, 2)
