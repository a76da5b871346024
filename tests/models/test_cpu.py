"""What is done for CPUs changes nothing but where XLA writes, and in which order it adds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.cpu import jit, materialise, materialise_gradient, spread, sum_over_space

TRANSFORMS = [
    lambda f: f, jax.vmap, lambda f: jax.vmap(f, 1, 1), lambda f: jax.grad(lambda x: f(x).sum()),
    lambda f: lambda x: jax.jvp(f, (x,), (x + 1,))[1], lambda f: jax.hessian(lambda x: f(x).sum()),
]  # fmt: skip


def chain(x, write):
    for _ in range(3):
        x = jnp.sin(write(x)) + x
    return x


@pytest.mark.parametrize("write", [materialise, materialise_gradient])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_it_is_the_identity_under_every_transformation(transform, write):
    x = jnp.array([[0.0, -1.5, 2.0], [jnp.pi, 0.3, -0.0]])
    ours = jit(transform(lambda x: chain(x, write)))(x)
    np.testing.assert_allclose(ours, transform(lambda x: chain(x, lambda x: x))(x), rtol=1e-6, atol=1e-6)


def test_nan_and_infinity_pass():
    x = jnp.array([jnp.nan, jnp.inf, 1.0])
    np.testing.assert_array_equal(jit(materialise)(x), x)


@pytest.mark.parametrize("write, use", [
    (materialise, lambda f: f), (materialise_gradient, lambda f: jax.grad(lambda x: f(x).sum())),
])  # fmt: skip
def test_a_cpu_cannot_fuse_over_it(write, use):
    if jax.default_backend() != "cpu":
        pytest.skip("nothing is written out elsewhere")
    ours, plain = (jax.jit(use(lambda x, w=w: chain(x, w))).lower(jnp.ones((2, 2))) for w in (write, lambda x: x))
    assert "conditional" in ours.compile().as_text() and "conditional" not in plain.compile().as_text()


def moments(x, add, everywhere):
    mean, square = add(x), add(x**2)
    return jnp.sin(x - everywhere(mean, *x.shape[-3:-1])) * everywhere(square, *x.shape[-3:-1])


def plain_sum(x):
    return x.sum((-3, -2))


def plain_spread(x, height, width):
    return jnp.broadcast_to(x[..., None, None, :], (*x.shape[:-1], height, width, x.shape[-1]))


@pytest.mark.parametrize("shape", [(2, 3, 4, 4, 2), (2, 2, 3, 5, 1), (2, 1, 1, 1, 3), (2, 2, 6, 2, 3)])
@pytest.mark.parametrize("transform", TRANSFORMS[:-1])
def test_sums_and_their_transpose_under_every_transformation(transform, shape):
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=shape))
        ours = jit(transform(lambda x: moments(x, sum_over_space, spread)))(x)
        theirs = transform(lambda x: moments(x, plain_sum, plain_spread))(x)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_a_gradient_of_sums():
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 4, 2)))

        def twice(*pair):
            return jit(jax.grad(lambda x: jnp.square(jax.grad(lambda x: moments(x, *pair).sum())(x)).sum()))(x)

        np.testing.assert_allclose(twice(sum_over_space, spread), twice(plain_sum, plain_spread), rtol=1e-10)


def test_half_precision_is_added_up_in_single():
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 64, 64, 8)), jnp.bfloat16)
    exact, ours = jnp.asarray(np.asarray(x, np.float64).sum((1, 2)), jnp.bfloat16), jit(sum_over_space)(x)
    assert ours.dtype == jnp.bfloat16
    np.testing.assert_array_equal(ours.astype(jnp.float32), exact.astype(jnp.float32))


def test_an_accelerator_gets_plain_sums():
    x = jax.ShapeDtypeStruct((2, 4, 4, 3), jnp.float32)
    gradient = jax.jit(jax.grad(lambda x: moments(materialise_gradient(x), sum_over_space, spread).sum()))
    for platforms, there in ((["cuda"], False), (["cpu"], True)):
        text = jax.export.export(gradient, platforms=platforms)(x).mlir_module()
        assert ("case" in text) is there and ("stablehlo.reduce" in text)


def test_sums_over_nothing():
    np.testing.assert_array_equal(jit(sum_over_space)(jnp.ones((2, 0, 3, 1))), 0)
    assert jit(sum_over_space)(jnp.ones((0, 2, 2, 1))).shape == (0, 1)
