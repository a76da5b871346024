"""Numbers drawn as vectors and matrices are those that JAX and Flax draw in the shape itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import draws

SHAPE = (4, 6, 3)


def keys():
    return jax.random.split(jax.random.key(7), 5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda k: draws.normal(k, SHAPE), lambda k: jax.random.normal(k, SHAPE)),
        (lambda k: draws.normal(k, SHAPE, jnp.bfloat16), lambda k: jax.random.normal(k, SHAPE, jnp.bfloat16)),
        (
            lambda k: draws.uniform(k, SHAPE, jnp.float32, -0.5, 0.5),
            lambda k: jax.random.uniform(k, SHAPE, jnp.float32, -0.5, 0.5),
        ),
        (lambda k: draws.bits(k, SHAPE), lambda k: jax.random.bits(k, SHAPE, jnp.uint16)),
    ],
    ids=["normal", "bfloat16", "uniform", "bits"],
)
def test_draws_are_those_of_the_shape_itself(ours, theirs):
    got, expected = jax.jit(ours)(keys()), jax.vmap(theirs)(keys())
    assert got.dtype == expected.dtype and got.shape == (5, *SHAPE)
    np.testing.assert_array_equal(got, expected)
    assert len(np.unique(np.asarray(got, np.float32).reshape(5, -1)[:, 0])) == 5  # a key an example


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (1, 1, 8, 16), (24, 16)])
@pytest.mark.parametrize(
    "initializer",
    [
        nn.initializers.lecun_normal(),
        nn.initializers.variance_scaling(8.0, "fan_in", "truncated_normal"),
        nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
        nn.initializers.normal(0.1),
    ],
    ids=["lecun", "he", "he_normal", "normal"],
)
def test_kernels_are_those_of_the_shape_itself(initializer, shape):
    got = draws.as_matrix(initializer)(jax.random.key(3), shape)
    np.testing.assert_array_equal(got, initializer(jax.random.key(3), shape))
