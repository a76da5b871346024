"""The network of the VAE: a residual encoder, and a top-down decoder with latents at several resolutions.

Ladder inference (Sonderby et al. 2016) in the residual form of Vahdat and Kautz (2020): a group's posterior is its
prior, moved and scaled by what the encoder saw. With one group, at the coarsest level, it is the flat VAE.

An autoencoder's codes are points, and its priors only describe them: they are fitted to the codes as they come, and
no gradient of it reaches the rest, but for the norm at which all gradients are clipped (density estimation after Ghosh
et al. 2020, here along with the training).
"""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from models.layers import (
    Array,
    Conv,
    Dtype,
    GroupNorm,
    LabelEmbedding,
    depth_to_space,
    downsample_mean,
    space_to_depth,
    upsample_nearest,
    zeros,
)
from models.unet import ResBlock

LIMIT = 5.0  # log deviations stay within it, softly


class Gaussian:
    """Independent normal distributions: mean and log deviation, of one shape."""

    def __init__(self, mean: Array, log_std: Array):
        self.mean, self.log_std = mean, log_std

    def draw(self, noise: Array) -> Array:
        return self.mean + jnp.exp(self.log_std) * noise

    def relative_to(self, base: "Gaussian") -> "Gaussian":
        """This one, with `base` as its unit."""
        return Gaussian(base.mean + jnp.exp(base.log_std) * self.mean, base.log_std + self.log_std)

    def log_density(self, z: Array) -> Array:
        """Summed over all but the first axis, nats [b]."""
        terms = -0.5 * jnp.square((z - self.mean) * jnp.exp(-self.log_std)) - self.log_std - 0.5 * jnp.log(2 * jnp.pi)
        return terms.sum(range(1, z.ndim))


def divergence(q: Gaussian, p: Gaussian) -> Array:
    """KL(q || p), nats [b]."""
    ratio = q.log_std - p.log_std
    terms = 0.5 * (jnp.exp(2 * ratio) + jnp.square((q.mean - p.mean) * jnp.exp(-p.log_std)) - 1.0) - ratio
    return terms.sum(range(1, terms.ndim))


class VAENet(nn.Module):
    """Encoder and decoder.

    Attributes:
      out_channels: numbers a pixel of the image is described by (mean and log scale of each channel).
      image_size: side of the image; image_size / patch / 2^(levels - 1) is the side of the coarsest level.
      channels: of each level, from the coarsest upwards.
      latents: channels of the latent group of each level, from the coarsest upwards; 0 has none there.
      blocks: residual blocks a level, in the encoder and in the decoder.
      patch: space-to-depth factor of the first layer and depth-to-space factor of the last.
      embedding: size of the label's embedding.
      norm_groups: groups of every group norm.
      point: the code is the posterior's mean, as in an autoencoder.
      dtype: compute dtype.
    """

    out_channels: int
    image_size: int
    channels: tuple[int, ...]
    latents: tuple[int, ...]
    blocks: int
    patch: int
    embedding: int
    norm_groups: int = 8
    point: bool = False
    dtype: Dtype = jnp.float32

    def setup(self):
        norm = partial(GroupNorm, self.norm_groups, dtype=self.dtype)

        def blocks(level):
            options = {"scale_shift": True, "norm": norm, "dtype": self.dtype}
            return [ResBlock(self.channels[level], **options) for _ in range(self.blocks)]

        def conv(features, size=1, **options):
            return Conv(features, size, padding=(size // 2, size // 2), dtype=self.dtype, **options)

        levels = range(len(self.channels))
        self.label_embedding = LabelEmbedding(self.embedding)
        self.conv_in = conv(self.channels[-1], 3)
        self.encoder = [blocks(level) for level in levels]
        self.narrow = [conv(self.channels[level]) for level in levels]
        side = self.image_size // self.patch // 2 ** (len(self.channels) - 1)
        self.start = self.param("start", nn.initializers.normal(0.5), (side, side, self.channels[0]))
        self.decoder = [blocks(level) for level in levels]
        self.widen = [conv(self.channels[level]) for level in levels]
        groups = [level for level in levels if self.latents[level]]
        self.prior = {str(g): conv(2 * self.latents[g], kernel_init=zeros) for g in groups}
        self.posterior = {str(g): conv(2 * self.latents[g], 3, kernel_init=zeros) for g in groups}
        self.insert = {str(g): conv(self.channels[g]) for g in groups}
        self.norm_out = norm()
        self.conv_out = conv(self.out_channels * self.patch**2, 3, kernel_init=zeros)

    def encode(self, image: Array, label: Array) -> list[Array]:
        """Features of each level, from the coarsest upwards."""
        x, features = self.conv_in(space_to_depth(image, self.patch)), []
        embedding = self._embed(label)
        for level in reversed(range(len(self.channels))):
            if level < len(self.channels) - 1:
                x = self.narrow[level](downsample_mean(x))
            for block in self.encoder[level]:
                x = block(x, embedding, None)
            features.append(x)
        return features[::-1]

    def decode(
        self,
        label: Array,
        noise: Sequence[Array],
        features: Sequence[Array] | None = None,
        temperature: float | Array = 1.0,
        given: bool = False,
    ):
        """Top-down pass.

        Args:
          noise: [b, h, w, latent] standard normal numbers of each group, from the coarsest upwards.
          features: of `encode`, to draw from the posterior; None draws from the prior.
          temperature: factor on the prior's deviations.
          given: `noise` holds the codes themselves.

        Returns:
          ([b, h, w, out_channels] float32, [(z, prior, posterior or None) of each group]).
        """
        embedding, noise, groups = self._embed(label), list(noise), []
        x = jnp.broadcast_to(self.start, (label.shape[0], *self.start.shape)).astype(self.dtype)
        for level in range(len(self.channels)):
            if level:
                x = self.widen[level](upsample_nearest(x))
            if self.latents[level]:
                seen = None if features is None else features[level]
                x, group = self._group(str(level), x, noise.pop(0), seen, temperature, given)
                groups.append(group)
            for block in self.decoder[level]:
                x = block(x, embedding, None)
        x = self.conv_out(nn.silu(self.norm_out(x)))
        return depth_to_space(x.astype(jnp.float32), self.patch), groups

    def __call__(self, image: Array, label: Array, noise: Sequence[Array]):
        """`decode` of the posterior of `image`."""
        return self.decode(label, noise, self.encode(image, label))

    def noise_shapes(self) -> list[tuple[int, int, int]]:
        """(h, w, latent) of each group, from the coarsest upwards."""
        base = self.image_size // self.patch // 2 ** (len(self.channels) - 1)
        return [(base * 2**level, base * 2**level, z) for level, z in enumerate(self.latents) if z]

    def _group(self, name: str, x: Array, noise: Array, seen: Array | None, temperature, given: bool):
        prior = _gaussian(self.prior[name](nn.silu(jax.lax.stop_gradient(x) if self.point else x)))
        posterior = None
        if given:
            z = noise
        elif seen is None:
            z = Gaussian(prior.mean, prior.log_std + jnp.log(temperature)).draw(noise)
        else:
            posterior = _gaussian(self.posterior[name](nn.silu(jnp.concatenate([x, seen], -1))))
            if not self.point:
                posterior = posterior.relative_to(prior)
            z = posterior.mean if self.point else posterior.draw(noise)
        return x + self.insert[name](z.astype(x.dtype)), (z, prior, posterior)

    def _embed(self, label: Array) -> Array:
        if not label.shape[-1]:
            return jnp.zeros((label.shape[0], self.embedding))
        return nn.silu(self.label_embedding(label))


def _gaussian(x: Array) -> Gaussian:
    mean, raw = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return Gaussian(mean, LIMIT * jnp.tanh(raw / LIMIT))
