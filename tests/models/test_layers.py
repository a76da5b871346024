"""Convolution and group normalisation beside Flax's: values, and gradients with respect to everything."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.cpu import jit
from models.layers import Conv, GroupNorm, TimeEmbedding, add_bias


def values_and_gradients(function, *args):
    """The result, and the gradients of a sum in which every element has its own weight."""
    out = jit(function)(*args)
    weight = jnp.sin(jnp.arange(out.size, dtype=jnp.float32)).reshape(out.shape)
    return out, jit(jax.grad(lambda args: jnp.sum(weight * function(*args))))(args)


def assert_same(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), ours, theirs)


@pytest.fixture
def image():
    return jnp.asarray(np.random.default_rng(0).normal(1.0, 2.0, (3, 6, 4, 8)), jnp.float32)


@pytest.mark.parametrize("size, stride, padding", [(3, 1, (1, 1)), (3, 2, (0, 1)), (1, 1, (0, 0)), (1, 2, (0, 0))])
def test_convolution(image, size, stride, padding):
    ours = Conv(5, size, stride, padding)
    theirs = nn.Conv(5, (size, size), stride, [padding, padding])
    params = ours.init(jax.random.key(0), image)["params"] | {"bias": jnp.arange(5.0)}
    apply = lambda net: lambda params, x: net.apply({"params": params}, x)  # noqa: E731
    assert_same(values_and_gradients(apply(ours), params, image), values_and_gradients(apply(theirs), params, image))


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("groups", [1, 4, 8])
def test_group_norm_before_an_activation(image, groups, modulated):
    draw = np.random.default_rng(1)
    params = {name: jnp.asarray(draw.normal(size=8), jnp.float32) for name in ("scale", "bias")}
    scale, shift = (jnp.asarray(draw.normal(size=(3, 8)) * modulated, jnp.float32) for _ in range(2))

    def ours(params, x, scale, shift):
        return nn.silu(GroupNorm(groups).apply({"params": params}, x, *((scale, shift) if modulated else ())))

    def theirs(params, x, scale, shift):
        y = nn.GroupNorm(groups, epsilon=1e-5).apply({"params": params}, x)
        return nn.silu(y * (1 + scale[:, None, None]) + shift[:, None, None] if modulated else y)

    args = params, image, scale, shift
    assert_same(values_and_gradients(ours, *args), values_and_gradients(theirs, *args))


def test_the_gradient_of_a_bias_is_summed_in_single_precision():
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(16, 8, 8, 2)), jnp.bfloat16)
    gradient = jit(jax.grad(lambda bias: jnp.sum(add_bias(x, bias) * x)))(jnp.zeros(2))
    np.testing.assert_allclose(gradient, np.asarray(x, np.float64).sum((0, 1, 2)), rtol=1e-5)


def test_fourier_features_are_those_of_edm():
    """cos and sin of 2 pi f c_noise, f ~ N(0, 16^2) and c_noise = ln(sigma) / 4, of which 1000 times as much comes."""
    sigma = np.asarray([0.5, 0.5005, 2.0], np.float32)
    c_noise = np.log(sigma.astype(np.float64)) / 4
    module = TimeEmbedding(64, 8, fourier=16.0)
    params = jax.tree.map(jnp.zeros_like, module.init(jax.random.key(0), jnp.zeros(3)))
    params["params"]["dense_0"]["kernel"] = jnp.eye(64, 8)
    params["params"]["dense_1"]["kernel"] = jnp.eye(8)
    frequencies = np.random.default_rng(0).normal(size=32)[:8] * 16
    angle = 2 * np.pi * c_noise[:, None] * frequencies
    got = module.apply(params, jnp.asarray(1000 * c_noise, jnp.float32))
    np.testing.assert_allclose(got, np.asarray(jax.nn.silu(jnp.cos(angle))), atol=1e-3)
