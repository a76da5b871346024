"""Augmentation of what a discriminator sees, differentiable, each operation with probability p (Karras et al. 2020).

Only what keeps a medical image one of its kind: shift, scale, small rotation, brightness, contrast and noise. No
left-right flip (a flipped heart is a disease), no 90 degree turn, no hue. Applied to real and generated images
alike, in the losses of both players: the generator then learns images without it as long as p is below about 0.8.
"""

import dataclasses

import jax
import jax.numpy as jnp

SHIFT = 0.1  # standard deviation, share of the side
SCALE = 0.15  # standard deviation of ln(scale)
ROTATION = 0.12  # standard deviation, radians (7 degrees)
BRIGHTNESS = 0.2  # standard deviation, of x in [-1, 1]
CONTRAST = 0.35  # standard deviation of ln(contrast)
NOISE = 0.05  # scale of the half-normal deviation of the noise


@dataclasses.dataclass(frozen=True)
class Adaptive:
    """How p follows the discriminator's overfitting (Karras et al. 2020, section 3.1).

    p moves by batch / (1000 kimg) a step, up where r_t is above `target`, and stays within [0, limit].

    Attributes:
      target: of r_t: of the mean sign of D(real) where a logit has a zero of its own, else of D(real) - D(fake).
      kimg: thousands of images over which p could go from 0 to 1.
      limit: highest p.
    """

    target: float = 0.6
    kimg: float = 100.0
    limit: float = 0.8

    def update(self, p: jax.Array, r: jax.Array, batch_size: int) -> jax.Array:
        return jnp.clip(p + jnp.sign(r - self.target) * batch_size / (1000.0 * self.kimg), 0.0, self.limit)


def augment(x: jax.Array, keys: jax.Array, p: jax.Array) -> jax.Array:
    """Images [b, h, w, c] in about [-1, 1], changed.

    Args:
      keys: [b] one key an image.
      p: [] probability of each operation.
    """
    return jax.vmap(lambda image, key: _one(image, key, p))(x, keys)


def _one(x: jax.Array, key: jax.Array, p: jax.Array) -> jax.Array:
    on, amount, noise = jax.random.split(key, 3)
    on = jax.random.uniform(on, (6,)) < p  # shift is one operation of two numbers
    down, right, scale, angle, brightness, contrast, deviation = jnp.where(
        on[jnp.array([0, 0, 1, 2, 3, 4, 5])], jax.random.normal(amount, (7,)), 0.0
    )
    x = _affine(x, SHIFT * jnp.stack([down, right]), jnp.exp(SCALE * scale), ROTATION * angle)
    x = (x - x.mean()) * jnp.exp(CONTRAST * contrast) + x.mean() + BRIGHTNESS * brightness
    return x + NOISE * jnp.abs(deviation) * jax.random.normal(noise, x.shape)


def _affine(x: jax.Array, shift: jax.Array, scale: jax.Array, angle: jax.Array) -> jax.Array:
    """Bilinear resampling about the centre; beyond the border the image is mirrored."""
    size = jnp.asarray(x.shape[:2], jnp.float32)
    grid = jnp.stack(jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) for n in x.shape[:2]), indexing="ij"), -1)
    centred = grid - (size - 1) / 2
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    rows = cos * centred[..., 0] - sin * centred[..., 1] - shift[0] * size[0]
    columns = sin * centred[..., 0] + cos * centred[..., 1] - shift[1] * size[1]
    at = [rows + (size[0] - 1) / 2, columns + (size[1] - 1) / 2]
    pick = lambda plane: jax.scipy.ndimage.map_coordinates(plane, at, order=1, mode="mirror")  # noqa: E731
    return jax.vmap(pick, -1, -1)(x)


def dihedral(arrays: tuple[jax.Array, ...], key: jax.Array) -> tuple[jax.Array, ...]:
    """Arrays [n, n, c], all turned and flipped alike by one of the eight symmetries of the square, drawn at random.

    For images without an up and a left, such as cells; never for chest X-rays.
    """
    across, down, transpose = jax.random.bernoulli(key, 0.5, (3,))

    def change(x):
        x = jnp.where(across, x[:, ::-1], x)
        x = jnp.where(down, x[::-1], x)
        return jnp.where(transpose, x.swapaxes(0, 1), x)

    return tuple(change(x) for x in arrays)
