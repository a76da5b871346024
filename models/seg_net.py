"""The network of the segmenters: a U-Net on the image that guesses the mask, and one on x_t that its features enter.

The image's own U-Net runs once an image and not once a step of the solver (an encoder of the image's own, whose
features enter at every level, is FlowSDF's and MedSegDiff's conditioning). With `concatenate`, the image stands beside
x_t instead and nothing is guessed.
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from models.layers import (
    Array,
    Conv,
    Downsample,
    Dtype,
    GroupNorm,
    TimeEmbedding,
    depth_to_space,
    space_to_depth,
    upsample_nearest,
    zeros,
)
from models.unet import ResBlock

STEM = ("conv_in", "detail_in")
HEAD = ("norm_out", "conv_out", "norm_detail", "detail_conv", "detail_out")


class Code(NamedTuple):
    """What is known of an image before x_t is looked at.

    Attributes:
      features: of each level, from the finest downwards; none where the image is concatenated.
      logits: of the guessed mask [b, h, w, m], 0 where nothing is guessed.
    """

    features: list[Array]
    logits: Array

    @property
    def guess(self) -> Array:
        """1 - 2 p(mask), [b, h, w, m]: the mean of an SDF that is -1 inside and 1 outside. No gradient passes here."""
        return -jnp.tanh(0.5 * jax.lax.stop_gradient(self.logits))


class Hourglass(nn.Module):
    """A U-Net in patches with a path at full resolution beside it.

    Attributes:
      out_channels: of what comes out; the last convolution begins at zero.
      channels: of each level, from the finest downwards.
      blocks: residual blocks a level, on each of the two ways.
      patch: space-to-depth factor of the stem and depth-to-space factor of the end.
      norm_groups: groups of every group norm.
      dropout: rate, inside every residual block.
      detail: channels of the path at full resolution, for what is smaller than a patch; 0: none.
      dtype: compute dtype.
    """

    out_channels: int
    channels: tuple[int, ...]
    blocks: int
    patch: int
    norm_groups: int
    dropout: float
    detail: int
    dtype: Dtype

    @nn.compact
    def __call__(self, x: Array, embedding: Array, entering: list[Array], detail: Array, keys: Array | None):
        """What it says of x, and its features.

        Args:
          x: [b, h, w, c].
          embedding: [b, e], modulates every block.
          entering: features added where each level begins, from the finest downwards; none: nothing is.
          detail: [b, h, w, d], what the path at full resolution sees.
          keys: None or [b], of the dropout.

        Returns:
          ([b, h, w, out_channels] float32, features of each level on the way up, from the finest downwards).
        """
        conv, norm = partial(Conv, dtype=self.dtype), partial(GroupNorm, self.norm_groups, dtype=self.dtype)
        options = {"scale_shift": True, "dropout": self.dropout, "norm": norm, "dtype": self.dtype}
        block = lambda way, level, i: ResBlock(self.channels[level], name=f"{way}_{level}_{i}", **options)  # noqa: E731
        x, skips, features = conv(self.channels[0], name="conv_in")(space_to_depth(x, self.patch)), [], []
        for level in range(len(self.channels)):
            x = Downsample(dtype=self.dtype, name=f"downsample_{level}")(x) if level else x
            x = x + entering[level] if entering else x
            for i in range(self.blocks):
                x = block("down", level, i)(x, embedding, keys)
            skips.append(x)
        for level in reversed(range(len(self.channels))):
            for i in range(self.blocks):
                x = block("up", level, i)(jnp.concatenate([x, skips[level]], -1), embedding, keys)
            features.insert(0, x)
            x = upsample_nearest(x) if level else x
        x = nn.silu(norm(name="norm_out")(x))
        if not self.detail:
            x = conv(self.out_channels * self.patch**2, kernel_init=zeros, name="conv_out")(x)
            return depth_to_space(x, self.patch).astype(jnp.float32), features
        x = depth_to_space(conv(self.detail * self.patch**2, name="conv_out")(x), self.patch)
        x = jnp.concatenate([x, conv(self.detail, name="detail_in")(detail)], -1)
        x = conv(self.detail, name="detail_conv")(nn.silu(norm(name="norm_detail")(x)))
        x = conv(self.out_channels, kernel_init=zeros, name="detail_out")(nn.silu(x))
        return x.astype(jnp.float32), features


class SegNet(nn.Module):
    """x_t [b, h, w, m], noise condition [b], image [b, h, w, c] -> [b, h, w, m] float32.

    Attributes:
      out_channels: m.
      concatenate: the image beside x_t instead of a U-Net of its own.
      The others are those of both `Hourglass`es.
    """

    out_channels: int
    channels: tuple[int, ...]
    blocks: int
    patch: int
    concatenate: bool = False
    norm_groups: int = 8
    dropout: float = 0.0
    detail: int = 0
    dtype: Dtype = jnp.float32

    def setup(self):
        widths = self.channels
        fields = ("out_channels", "channels", "blocks", "patch", "norm_groups", "dropout", "detail", "dtype")
        options = {name: getattr(self, name) for name in fields}
        self.time_embedding, self.mask_net = TimeEmbedding(widths[0], 4 * widths[0]), Hourglass(**options)
        if not self.concatenate:
            self.image_net = Hourglass(**options)
            # They are added where a level begins, before its first block has made it as wide as it is.
            link = partial(Conv, size=1, padding=(0, 0), dtype=self.dtype)
            self.links = [link(widths[max(level - 1, 0)]) for level in range(len(widths))]

    def __call__(self, x: Array, time: Array, image: Array, keys: Array | None = None) -> Array:
        return self.decode(x, time, image, self.encode(image, keys), keys)

    def encode(self, image: Array, keys: Array | None = None) -> Code:
        """What the image alone tells."""
        if self.concatenate:
            return Code([], jnp.zeros((*image.shape[:3], self.out_channels)))
        embedding = jnp.zeros((image.shape[0], 4 * self.channels[0]))
        logits, features = self.image_net(image, embedding, [], image, keys)
        return Code([link(feature) for link, feature in zip(self.links, features, strict=True)], logits)

    def decode(self, x: Array, time: Array, image: Array, code: Code, keys: Array | None = None) -> Array:
        """The rest, from what `encode` gave."""
        beside = image if self.concatenate else code.guess
        seen = jnp.concatenate([x, beside], -1)
        detail = seen if self.concatenate else jnp.concatenate([seen, image], -1)
        embedding = nn.silu(self.time_embedding(time))
        return self.mask_net(seen, embedding, code.features, detail, keys)[0]

    @property
    def stride(self) -> int:
        """Height and width of an image must be multiples of this."""
        return self.patch * 2 ** (len(self.channels) - 1)


def param_group(path: tuple[str, ...]) -> str:
    """Where a parameter of the network stands, by its path: stem, head or body."""
    if any(part in STEM for part in path):
        return "stem"
    return "head" if any(part in HEAD for part in path) else "body"
