"""Random numbers of images and of kernels, drawn as vectors and as matrices.

XLA takes several times as long to compile a draw over three or four axes as one over one or two, and a network's
initialisation has dozens of them. The numbers are the same: those of JAX's partitionable generator, which is its
default, depend on their place in memory alone.
"""

from collections.abc import Callable
from math import prod

import jax
import jax.numpy as jnp

Array = jax.Array


def normal(keys: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Standard normal numbers [b, *shape], each example's from its own of the keys [b]."""
    return _each(keys, shape, lambda key, n: jax.random.normal(key, (n,), dtype))


def uniform(keys: Array, shape: tuple[int, ...], dtype, low: float, high: float) -> Array:
    """Uniform numbers in [low, high), [b, *shape], each example's from its own of the keys [b]."""
    return _each(keys, shape, lambda key, n: jax.random.uniform(key, (n,), dtype, low, high))


def bits(keys: Array, shape: tuple[int, ...]) -> Array:
    """Uniform integers of 16 bits, [b, *shape], each example's from its own of the keys [b]."""
    return _each(keys, shape, lambda key, n: jax.random.bits(key, (n,), jnp.uint16))


def fold(keys: Array, number: int | Array) -> Array:
    """Other keys [b], each from its own of the keys [b] and the number of what is drawn from them."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def as_matrix(initializer: Callable) -> Callable:
    """An initialiser of kernels [..., c, d] that draws them as one matrix [..., d] with the same fan-in.

    Not for those that count the fan-out, such as Glorot's: of a window it would be taken for d.
    """

    def init(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
        return initializer(key, (prod(shape[:-1]), shape[-1]), dtype).reshape(shape)

    return init


def _each(keys: Array, shape: tuple[int, ...], draw: Callable[[Array, int], Array]) -> Array:
    return jax.vmap(lambda key: draw(key, prod(shape)))(keys).reshape(len(keys), *shape)
