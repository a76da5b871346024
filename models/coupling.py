"""Which noise goes with which image of a batch: mini-batch optimal transport (Tong et al. 2024)."""

import jax
import jax.numpy as jnp
from optax.assignment import hungarian_algorithm

COUPLINGS = ("independent", "ot")


def couple(eps: jax.Array, x: jax.Array, label: jax.Array, label_cost: float) -> jax.Array:
    """`eps` in the order that makes the batch's cost least, exactly (Hungarian algorithm).

    The cost of a pair is the squared distance of noise and image. Coupling across conditions skews conditional
    generation: the noise that an image of one class is given then depends on its class, and the noise of sampling
    does not. So each noise carries a label of its own, drawn with the batch (here: the label of the place it was drawn
    for), and `label_cost` times the squared distance of the labels is added.

    Args:
      eps, x: [b, ...].
      label: [b, k].
      label_cost: weight of the labels' squared distance, in units of the mean squared distance of a pair.
    """
    flat_x, flat_eps = x.reshape(len(x), -1), eps.reshape(len(eps), -1)
    cost = squared_distances(flat_x, flat_eps)
    between = squared_distances(label, label)
    cost = cost + label_cost * jnp.mean(cost) * between
    rows, columns = hungarian_algorithm(cost)
    return eps[columns[jnp.argsort(rows)]]


def squared_distances(a: jax.Array, b: jax.Array) -> jax.Array:
    """[n, d], [m, d] -> [n, m]."""
    return jnp.maximum(jnp.sum(a**2, 1)[:, None] - 2.0 * a @ b.T + jnp.sum(b**2, 1)[None], 0.0)
