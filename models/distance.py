"""Signed distance functions on the device, so that a training step can take them from masks as they come.

The same numbers as data/sdf.py in the half-pixel convention. Beyond the truncation every distance is the same, so
only shifts up to it need be looked at: min over (dy, dx) of dy^2 + dx^2 splits into one pass along each axis.
"""

import math

import jax
import jax.numpy as jnp


def signed_distance(mask: jax.Array, truncation: float) -> jax.Array:
    """Masks [b, h, w, m] of {0, 1} -> [b, h, w, m] in [-1, 1], below zero inside; exact up to `truncation` pixels."""
    inside = mask > 0.5
    reach = math.ceil(truncation + 0.5)
    to_inside, to_outside = (_distance(region, reach) for region in (inside, ~inside))
    distance = jnp.where(inside, 0.5 - to_outside, to_inside - 0.5)
    return jnp.clip(distance / truncation, -1.0, 1.0)


def _distance(region: jax.Array, reach: int) -> jax.Array:
    """Distance of each pixel to the nearest one of `region` [b, h, w, m], no more than about `reach`."""
    far = float((reach + 1) ** 2)
    squared = jnp.where(region, 0.0, far)
    for axis in (1, 2):
        padding = [(reach, reach) if a == axis else (0, 0) for a in range(4)]
        padded = jnp.pad(squared, padding, constant_values=far)
        length = squared.shape[axis]
        shifted = [
            jax.lax.slice_in_dim(padded, reach + shift, reach + shift + length, axis=axis) + float(shift**2)
            for shift in range(-reach, reach + 1)
        ]
        squared = jnp.minimum(_minimum(shifted), far)
    return jnp.sqrt(squared)


def _minimum(arrays: list[jax.Array]) -> jax.Array:
    while len(arrays) > 1:
        rest = arrays[2 * (len(arrays) // 2) :]
        arrays = [jnp.minimum(a, b) for a, b in zip(arrays[::2], arrays[1::2], strict=False)] + rest
    return arrays[0]
