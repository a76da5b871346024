"""`materialise` changes nothing but where XLA writes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.cpu import jit, materialise


def chain(x, write):
    for _ in range(3):
        x = jnp.sin(write(x)) + x
    return x


@pytest.mark.parametrize("transform", [
    lambda f: f, jax.vmap, lambda f: jax.grad(lambda x: f(x).sum()),
    lambda f: lambda x: jax.jvp(f, (x,), (x + 1,))[1], lambda f: jax.hessian(lambda x: f(x).sum()),
])  # fmt: skip
def test_it_is_the_identity_under_every_transformation(transform):
    x = jnp.array([[0.0, -1.5, 2.0], [jnp.pi, 0.3, -0.0]])
    ours = jit(transform(lambda x: chain(x, materialise)))(x)
    np.testing.assert_allclose(ours, transform(lambda x: chain(x, lambda x: x))(x), rtol=1e-6, atol=1e-6)


def test_nan_and_infinity_pass():
    x = jnp.array([jnp.nan, jnp.inf, 1.0])
    np.testing.assert_array_equal(jit(materialise)(x), x)


def test_a_cpu_cannot_fuse_over_it():
    text = jax.jit(lambda x: chain(x, materialise)).lower(jnp.ones((2, 2))).compile().as_text()
    plain = jax.jit(lambda x: chain(x, lambda x: x)).lower(jnp.ones((2, 2))).compile().as_text()
    if jax.default_backend() != "cpu":
        pytest.skip("nothing is written out elsewhere")
    assert "conditional" in text and "conditional" not in plain
