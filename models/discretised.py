"""Likelihoods of stored pixels: a continuous distribution's mass in each stored value's bin.

A bin reaches half-way to its neighbours, those of the lowest and the highest value to infinity, so that the masses of
all 2^bits values sum to one. z is an image on the network's scale, [b, h, w, c]; so are means and scales.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

from models.pixels import PixelScale


def discretised_logistic(z: jax.Array, mean: jax.Array, log_scale: jax.Array, pixels: PixelScale) -> jax.Array:
    """log P(stored value) of a logistic distribution, [b, h, w, c] (Salimans et al. 2017, section 2.1).

    With a > b the standardised edges of a bin, s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)) loses no digits in the tails.
    """
    half = jnp.asarray(0.5 * pixels.bin_width, z.dtype)
    inverse = jnp.exp(-log_scale)
    below = jax.nn.log_sigmoid((z + half - mean) * inverse)
    above = jax.nn.log_sigmoid((mean - z + half) * inverse)
    inside = below + above + jnp.log(-jnp.expm1(-2.0 * half * inverse))
    return _open_ends(z, pixels, below, inside, above)


def discretised_gaussian(z: jax.Array, mean: jax.Array, log_std: jax.Array, pixels: PixelScale) -> jax.Array:
    """log P(stored value) of a Gaussian integrated over the value's bin; the end bins are open; [b, h, w, c]."""
    half = jnp.asarray(0.5 * pixels.bin_width, z.dtype)
    inverse = jnp.exp(-log_std)
    upper, lower = (z + half - mean) * inverse, (z - half - mean) * inverse
    # Mirrored so that the bin's middle lies in the lower half, where log_ndtr keeps its precision.
    flip = upper + lower > 0
    top, bottom = jnp.where(flip, -lower, upper), jnp.where(flip, -upper, lower)
    log_top, log_bottom = log_ndtr(top), log_ndtr(bottom)
    inside = log_top + jnp.log1p(-jnp.exp(jnp.minimum(log_bottom - log_top, -1e-7)))
    return _open_ends(z, pixels, log_ndtr(upper), inside, log_ndtr(-lower))


def _open_ends(z: jax.Array, pixels: PixelScale, lowest: jax.Array, inside: jax.Array, highest: jax.Array) -> jax.Array:
    """`inside`, but for the first and the last stored value."""
    x, edge = pixels.to_pixels(z), 1.0 / (2**pixels.bits - 1)
    return jnp.where(x < -1.0 + edge, lowest, jnp.where(x > 1.0 - edge, highest, inside))
