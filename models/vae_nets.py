"""The network of the VAE: a residual encoder, and a top-down decoder with latents at several resolutions.

Ladder inference (Sonderby et al. 2016) in the residual form of Vahdat and Kautz (2020): a group's posterior is its
prior, moved and scaled by what the encoder saw. Several groups a level, each after a block of its own, so that the
prior of one knows the others of its level (Child 2021). With one group, at the coarsest level, it is the flat VAE.

An autoencoder's codes are points, and its priors only describe them: they are fitted to the codes as they come, and
no gradient of it reaches the rest, but for the norm at which all gradients are clipped (density estimation after Ghosh
et al. 2020, here along with the training).
"""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from models.draws import as_matrix
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


class Group(nn.Module):
    """One group of latents: a residual block, then the prior, the posterior and what the code adds to the features.

    Attributes:
      features: channels of the features around it.
      latent: channels of the code.
      block: constructor of a residual block.
      point: the code is the posterior's mean, and the prior's gradient stays with the prior.
      dtype: compute dtype.
    """

    features: int
    latent: int
    block: Callable
    point: bool
    dtype: Dtype

    def setup(self):
        conv = partial(Conv, dtype=self.dtype)
        self.before = self.block(self.features)
        self.prior = conv(2 * self.latent, 1, padding=(0, 0), kernel_init=zeros)
        self.look = conv(self.features, 1, padding=(0, 0))
        self.posterior = conv(2 * self.latent, 3, kernel_init=zeros)
        self.insert = conv(self.features, 1, padding=(0, 0))

    def __call__(self, x: Array, embedding: Array, noise: Array, seen: Array | None, temperature, given: bool):
        """(features [b, h, w, features], (z, prior, posterior or None)); arguments as of `VAENet.decode`."""
        x = self.before(x, embedding, None)
        prior = _gaussian(self.prior(nn.silu(jax.lax.stop_gradient(x) if self.point else x)))
        posterior = None
        if given:
            z = noise
        elif seen is None:
            z = Gaussian(prior.mean, prior.log_std + jnp.log(temperature)).draw(noise)
        else:
            both = self.look(nn.silu(jnp.concatenate([x, seen], -1)))
            posterior = _gaussian(self.posterior(nn.silu(both)))
            if not self.point:
                posterior = posterior.relative_to(prior)
            z = posterior.mean if self.point else posterior.draw(noise)
        return x + self.insert(z.astype(x.dtype)), (z, prior, posterior)


class VAENet(nn.Module):
    """Encoder and decoder.

    Attributes:
      out_channels: numbers a pixel of the image is described by (mean and log scale of each channel).
      image_size: side of the image; image_size / patch / 2^(levels - 1) is the side of the coarsest level.
      channels: of each level, from the coarsest upwards.
      groups: of latents at each level, from the coarsest upwards.
      latents: channels of each group's code at each level, from the coarsest upwards.
      blocks: residual blocks a level, in the encoder, and in the decoder after its groups, which bring one block each.
      patch: space-to-depth factor of the first layer and depth-to-space factor of the last.
      embedding: size of the label's embedding.
      norm_groups: groups of every group norm.
      point: the code is the posterior's mean, as in an autoencoder.
      dtype: compute dtype.
    """

    out_channels: int
    image_size: int
    channels: tuple[int, ...]
    groups: tuple[int, ...]
    latents: tuple[int, ...]
    blocks: int
    patch: int
    embedding: int
    norm_groups: int = 8
    point: bool = False
    dtype: Dtype = jnp.float32

    def setup(self):
        norm = partial(GroupNorm, self.norm_groups, dtype=self.dtype)
        block = partial(ResBlock, scale_shift=True, norm=norm, dtype=self.dtype)
        conv = partial(Conv, dtype=self.dtype)
        widths, levels = self.channels, range(len(self.channels))
        self.label_embedding = LabelEmbedding(self.embedding)
        self.conv_in = conv(widths[-1], 3)
        self.encoder = [[block(widths[level]) for _ in range(self.blocks)] for level in levels]
        self.narrow = [conv(width, 1, padding=(0, 0)) for width in widths]
        # What every image has at its place, the decoder's input at the coarsest level.
        coarsest, others = (as_matrix(nn.initializers.normal(deviation)) for deviation in (0.5, 0.1))
        self.place = [
            self.param(f"place_{level}", others if level else coarsest, (side, side, widths[level]))
            for level, side in enumerate(self._sides())
        ]
        self.widen = [conv(width, 1, padding=(0, 0)) for width in widths]
        self.group = [
            [Group(widths[level], self.latents[level], block, self.point, self.dtype) for _ in range(number)]
            for level, number in enumerate(self.groups)
        ]
        self.decoder = [[block(widths[level]) for _ in range(self.blocks)] for level in levels]
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
        x = None
        for level, place in enumerate(self.place):
            below = 0.0 if x is None else self.widen[level](upsample_nearest(x))
            x = jnp.broadcast_to(place, (label.shape[0], *place.shape)).astype(self.dtype) + below
            seen = None if features is None else features[level]
            for group in self.group[level]:
                x, codes = group(x, embedding, noise.pop(0), seen, temperature, given)
                groups.append(codes)
            for block in self.decoder[level]:
                x = block(x, embedding, None)
        x = self.conv_out(nn.silu(self.norm_out(x)))
        return depth_to_space(x.astype(jnp.float32), self.patch), groups

    def __call__(self, image: Array, label: Array, noise: Sequence[Array]):
        """`decode` of the posterior of `image`."""
        return self.decode(label, noise, self.encode(image, label))

    def noise_shapes(self) -> list[tuple[int, int, int]]:
        """(h, w, latent) of each group, from the coarsest upwards."""
        levels = zip(self._sides(), self.groups, self.latents, strict=True)
        return [(side, side, latent) for side, number, latent in levels for _ in range(number)]

    def _sides(self) -> list[int]:
        """Side of each level, from the coarsest upwards."""
        finest = self.image_size // self.patch
        return [finest // 2**level for level in reversed(range(len(self.channels)))]

    def _embed(self, label: Array) -> Array:
        if not label.shape[-1]:
            return jnp.zeros((label.shape[0], self.embedding))
        return nn.silu(self.label_embedding(label))


def _gaussian(x: Array) -> Gaussian:
    mean, raw = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return Gaussian(mean, LIMIT * jnp.tanh(raw / LIMIT))
