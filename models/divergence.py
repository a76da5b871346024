"""Divergence of a vector field beside its value, for the change of variables along an ODE."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

Field = Callable[[jax.Array], jax.Array]  # [b, ...] -> [b, ...] of one b, example by example


def exact_divergence(fn: Field, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(fn(x), its divergence [b]) by the whole Jacobian: as many evaluations as dimensions.

    `fn` sees the whole batch each time, since it may hold a label for each of its images.
    """
    b, size = x.shape[0], math.prod(x.shape[1:])

    def of_dimension(i):
        along = jnp.broadcast_to(jax.nn.one_hot(i, size, dtype=x.dtype).reshape(x.shape[1:]), x.shape)
        return jax.jvp(fn, (x,), (along,))[1].reshape(b, size)[:, i]

    return fn(x), jax.vmap(of_dimension)(jnp.arange(size)).sum(0)


def hutchinson(keys: jax.Array, like: jax.Array) -> Callable[[Field, jax.Array], tuple[jax.Array, jax.Array]]:
    """The unbiased estimate v^T J v (Hutchinson 1990; Grathwohl et al. 2019), one Rademacher probe an image.

    Each image's probe is drawn once from its key [b] and kept along the path, so that the solver sees a smooth field.
    """
    probes = jax.vmap(lambda k: jax.random.rademacher(k, like.shape[1:], like.dtype))(keys)

    def divergence(fn, x):
        value, pull_back = jax.vjp(fn, x)
        return value, jnp.sum(pull_back(probes)[0] * probes, tuple(range(1, x.ndim)))

    return divergence
