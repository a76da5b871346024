"""Divergences of fields that hold something of their own for each image."""

import jax
import jax.numpy as jnp
import numpy as np

from models.divergence import exact_divergence, hutchinson

LABEL = jnp.array([1.0, -2.0, 0.5])


def field(x):
    """Closes over a label for each image of the batch; its divergence is 4 label + 2 sum(x)."""
    return LABEL[:, None, None, None] * x + jnp.square(x)


def test_the_exact_divergence_is_of_each_image_with_its_own_label():
    x = jax.random.normal(jax.random.key(0), (3, 2, 2, 1))
    value, divergence = jax.jit(lambda x: exact_divergence(field, x))(x)
    np.testing.assert_allclose(value, field(x), rtol=1e-6)
    np.testing.assert_allclose(divergence, 4 * LABEL + 2 * x.sum((1, 2, 3)), rtol=1e-5)


def test_hutchinsons_mean_is_the_exact_divergence():
    """Of this field, whose Jacobian is diagonal, every probe gives it."""
    x = jax.random.normal(jax.random.key(0), (3, 2, 2, 1))
    keys = jax.random.split(jax.random.key(1), 3)
    np.testing.assert_allclose(hutchinson(keys, x)(field, x)[1], exact_divergence(field, x)[1], rtol=1e-5)
