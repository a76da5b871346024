"""Generator and discriminator of the GAN: residual, without normalisation, conditional by projection.

After R3GAN (Huang et al. 2024, section 4): no normalisation, no minibatch statistics, no style; leaky ReLU, residual
blocks of three convolutions, the last from zero, the others scaled by (number of blocks)^(-1/4) (Fixup, Zhang et
al. 2019), bilinear resampling, label by concatenation in G and by projection in D (Miyato and Koyama 2018).
"""

import math
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from models.cpu import materialise
from models.draws import as_matrix
from models.layers import Array, Conv, Dtype, LabelEmbedding, depth_to_space, downsample_mean, space_to_depth, zeros

SLOPE = 0.2  # of leaky ReLU
GAIN = math.sqrt(2.0 / (1.0 + SLOPE**2))  # keeps the variance through it (He et al. 2015)

activate = partial(nn.leaky_relu, negative_slope=SLOPE)


def he_normal(scale: float = 1.0) -> Callable:
    """Kernels whose output, after leaky ReLU, has the input's variance times scale^2."""
    return as_matrix(nn.initializers.variance_scaling((GAIN * scale) ** 2, "fan_in", "normal"))


linear_normal = as_matrix(nn.initializers.variance_scaling(1.0, "fan_in", "normal"))


def repeated(patch: int) -> Callable:
    """Kernels before `depth_to_space` that begin as repetition of pixels: without a pattern (Aitken et al. 2017)."""

    def init(key, shape, dtype=jnp.float32):
        return jnp.repeat(linear_normal(key, (*shape[:-1], shape[-1] // patch**2), dtype), patch**2, axis=-1)

    return init


class Block(nn.Module):
    """x + f(x), [b, h, w, c] -> [b, h, w, c]: convolution, leaky ReLU, twice, and a 1 x 1 convolution from zero.

    Attributes:
      features: channels c.
      scale: factor on the initial values of the first two kernels.
      dtype: compute dtype.
    """

    features: int
    scale: float
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = materialise(x)
        conv = partial(Conv, self.features, dtype=self.dtype)
        h = activate(conv(kernel_init=he_normal(self.scale), name="conv_0")(x))
        h = activate(conv(kernel_init=he_normal(self.scale), name="conv_1")(h))
        return x + conv(size=1, padding=(0, 0), kernel_init=zeros, name="conv_2")(h)


def upsample_bilinear(x: Array) -> Array:
    """[b, h, w, c] -> [b, 2 h, 2 w, c]."""
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), "bilinear")


class Generator(nn.Module):
    """z [b, latent], label [b, k] -> image [b, s, s, out_channels], unbounded.

    Attributes:
      out_channels: channels of the image.
      image_size: s; s / patch must be 4 x 2^(number of levels - 1).
      latent: size of z.
      channels: of each level, from 4 x 4 upwards.
      blocks: residual blocks a level.
      patch: depth-to-space factor at the end.
      detail: channels at full resolution, from which one more convolution makes the image, so that no pattern of the
        patches is left in it; of the discriminator, those of a first convolution, before its patches; 0: none.
      embedding: size of the label's embedding.
      dtype: compute dtype.
    """

    out_channels: int
    image_size: int
    latent: int
    channels: tuple[int, ...]
    blocks: int
    patch: int
    detail: int
    embedding: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, z: Array, label: Array) -> Array:
        check_levels(self.image_size, self.patch, self.channels)
        if label.shape[-1]:
            z = jnp.concatenate([z, LabelEmbedding(self.embedding, name="label_embedding")(label)], -1)
        x = nn.Dense(16 * self.channels[0], kernel_init=linear_normal, dtype=self.dtype, name="basis")(z)
        x = x.reshape(-1, 4, 4, self.channels[0])
        scale = (len(self.channels) * self.blocks) ** -0.25
        for level, width in enumerate(self.channels):
            if level:
                x = upsample_bilinear(x)
                x = Conv(width, 1, kernel_init=linear_normal, dtype=self.dtype, name=f"widen_{level}")(x)
            for i in range(self.blocks):
                x = Block(width, scale, self.dtype, name=f"level_{level}_block_{i}")(x)
        conv = partial(Conv, dtype=self.dtype)
        pixels = (self.detail or self.out_channels) * self.patch**2
        x = conv(pixels, kernel_init=repeated(self.patch), name="conv_out")(activate(x))
        x = depth_to_space(x, self.patch)
        if self.detail:  # sees both sides of a seam between two patches
            x = conv(self.out_channels, kernel_init=linear_normal, name="detail_out")(activate(x))
        return x.astype(jnp.float32)


class Discriminator(nn.Module):
    """image [b, s, s, c], label [b, k] -> (logits [b], features [b, f]).

    Attributes: as of Generator, the levels in the same order (from 4 x 4 upwards), so that one config serves both.
    """

    image_size: int
    channels: tuple[int, ...]
    blocks: int
    patch: int
    detail: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, label: Array) -> tuple[Array, Array]:
        check_levels(self.image_size, self.patch, self.channels)
        widths = self.channels[::-1]
        if self.detail:
            x = activate(Conv(self.detail, 3, kernel_init=he_normal(), dtype=self.dtype, name="detail_in")(x))
        x = Conv(widths[0], 3, kernel_init=linear_normal, dtype=self.dtype, name="conv_in")(
            space_to_depth(x, self.patch)
        )
        scale = (len(widths) * self.blocks) ** -0.25
        for level, width in enumerate(widths):
            if level:
                x = Conv(width, 1, kernel_init=linear_normal, dtype=self.dtype, name=f"widen_{level}")(
                    downsample_mean(x)
                )
            for i in range(self.blocks):
                x = Block(width, scale, self.dtype, name=f"level_{level}_block_{i}")(x)
        features = nn.Dense(widths[-1], kernel_init=he_normal(), dtype=self.dtype, name="features")(
            activate(x).reshape(len(x), -1)
        )
        features = activate(features).astype(jnp.float32)
        logits = nn.Dense(1, kernel_init=linear_normal, name="logit")(features)[:, 0]
        if label.shape[-1]:
            direction = LabelEmbedding(features.shape[-1], name="label_embedding")(label)
            logits = logits + jnp.sum(direction * features, -1) / math.sqrt(features.shape[-1])
        return logits, features


def check_levels(image_size: int, patch: int, channels: tuple[int, ...]) -> None:
    """Raises ValueError where the levels do not end at the image's size."""
    reach = 4 * 2 ** (len(channels) - 1) * patch
    if reach != image_size:
        raise ValueError(
            f"a GAN's network of {len(channels)} levels from 4 x 4 and patch {patch} takes images of {reach} px, not "
            f"{image_size}; change data.image_size, its patch or the number of its channels"
        )
