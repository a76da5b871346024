"""Pixels in [-1, 1] to the scale that a network works in, and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from models import draws

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALISATIONS = ("data", "none", "imagenet")


@dataclasses.dataclass(frozen=True)
class PixelScale:
    """z = (x - center) / scale, channel by channel.

    Attributes:
      center, scale: floats [c], in units of x in [-1, 1].
      bits: bits a stored pixel has, for likelihoods in bits/dim.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    bits: int = 8

    def to_network(self, x: jax.Array) -> jax.Array:
        return (x - jnp.asarray(self.center, x.dtype)) / jnp.asarray(self.scale, x.dtype)

    def to_pixels(self, z: jax.Array) -> jax.Array:
        return z * jnp.asarray(self.scale, z.dtype) + jnp.asarray(self.center, z.dtype)

    @property
    def bin_width(self) -> np.ndarray:
        """[c] distance of two neighbouring stored values, in z."""
        return 2.0 / (2**self.bits - 1) / np.asarray(self.scale, np.float64)


def dequantise(pixels: PixelScale, z: jax.Array, keys: jax.Array) -> tuple[jax.Array, float]:
    """Uniform dequantisation of stored values (Theis et al. 2016).

    Args:
      z: [b, h, w, c] stored images on the network's scale.
      keys: [b] one key an image.

    Returns:
      z moved within each value's bin, and log of the bin's volume: log P(image) >= E[log p(z)] + log volume, nats.
    """
    shift = draws.uniform(keys, z.shape[1:], z.dtype, -0.5, 0.5)
    log_volume = float(np.prod(z.shape[1:-1]) * np.sum(np.log(pixels.bin_width)))
    return z + jnp.asarray(pixels.bin_width, z.dtype) * shift, log_volume


def pixel_scale(kind: str, mean, std, bits: int, sigma_data: float = 0.5) -> PixelScale:
    """The scale called `kind` in a config.

    Args:
      kind: data: centred on the training split's mean and scaled so that its standard deviation is `sigma_data`;
        none: x as it is; imagenet: the mean and deviation of ImageNet's channels (three channels only).
      mean, std: [c] of the training split's pixels in [-1, 1].

    Raises:
      ValueError: an unknown kind, or imagenet on images that do not have three channels.
    """
    channels = len(mean)
    if kind == "none":
        return PixelScale((0.0,) * channels, (1.0,) * channels, bits)
    if kind == "data":
        # One scale for all channels: the noise levels speak of the image as a whole.
        scale = float(np.sqrt(np.mean(np.square(std)))) / sigma_data
        return PixelScale(tuple(float(m) for m in mean), (scale,) * channels, bits)
    if kind == "imagenet":
        if channels != 3:
            raise ValueError(f"model.normalise 'imagenet' needs data.channels=3, not {channels}")
        return PixelScale(
            tuple(2.0 * m - 1.0 for m in IMAGENET_MEAN), tuple(2.0 * s for s in IMAGENET_STD), bits
        )
    raise ValueError(f"model.normalise {kind!r} is unknown; choose one of {', '.join(NORMALISATIONS)}")
