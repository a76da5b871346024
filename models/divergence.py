"""Divergence of a vector field beside its value, for the change of variables along an ODE."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Field = Callable[[jax.Array], jax.Array]  # [b, ...] -> [b, ...], example by example


def exact_divergence(fn: Field, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(fn(x), its divergence [b]) by the whole Jacobian: as many evaluations as dimensions."""

    def one(single):
        jacobian = jax.jacrev(lambda v: fn(v.reshape(1, *single.shape)).reshape(-1))(single.reshape(-1))
        return jnp.trace(jacobian)

    return fn(x), jax.vmap(one)(x)


def hutchinson(keys: jax.Array, like: jax.Array) -> Callable[[Field, jax.Array], tuple[jax.Array, jax.Array]]:
    """The unbiased estimate v^T J v (Hutchinson 1990; Grathwohl et al. 2019), one Rademacher probe an image.

    Each image's probe is drawn once from its key [b] and kept along the path, so that the solver sees a smooth field.
    """
    probes = jax.vmap(lambda k: jax.random.rademacher(k, like.shape[1:], like.dtype))(keys)

    def divergence(fn, x):
        value, pull_back = jax.vjp(fn, x)
        return value, jnp.sum(pull_back(probes)[0] * probes, tuple(range(1, x.ndim)))

    return divergence
