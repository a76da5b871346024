"""The network of the segmenters: a U-Net on x_t into which an image's features enter at every level.

The image has an encoder of its own, which runs once an image and not once a step of the solver (after FlowSDF's and
MedSegDiff's conditioning). With `concatenate`, the image stands beside x_t instead and there is no encoder.
"""

from functools import partial

import flax.linen as nn
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

STEM = ("image_in", "conv_in", "detail_in")
HEAD = ("norm_out", "conv_out", "norm_detail", "detail_conv", "detail_out")


class SegNet(nn.Module):
    """x_t [b, h, w, m], noise condition [b], image [b, h, w, c] -> [b, h, w, m] float32.

    Attributes:
      out_channels: m.
      channels: of each level, from the finest downwards.
      blocks: residual blocks a level, on each of the three ways.
      patch: space-to-depth factor of the stems and depth-to-space factor of the end.
      concatenate: the image beside x_t instead of an encoder.
      norm_groups: groups of every group norm.
      dropout: rate, inside every residual block.
      detail: channels of a path at full resolution beside all else, for what is smaller than a patch; 0: none.
      dtype: compute dtype.
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
        levels = range(len(self.channels))
        conv = lambda features, **options: Conv(features, dtype=self.dtype, **options)  # noqa: E731
        norm = partial(GroupNorm, self.norm_groups, dtype=self.dtype)
        options = {"scale_shift": True, "dropout": self.dropout, "norm": norm, "dtype": self.dtype}
        row = lambda width: [ResBlock(width, **options) for _ in range(self.blocks)]  # noqa: E731
        widths = self.channels
        self.time_embedding = TimeEmbedding(widths[0], 4 * widths[0])
        if not self.concatenate:
            self.image_in = conv(widths[0])
            self.image_blocks = [row(widths[level]) for level in levels]
            self.image_down = [Downsample(dtype=self.dtype) for _ in levels[1:]]
            # They are added where a level begins, before its first block has made it as wide as it is.
            self.image_out = [conv(widths[max(level - 1, 0)], size=1, padding=(0, 0)) for level in levels]
            self.image_read = [conv(self.out_channels * self.patch**2, size=1, padding=(0, 0)) for _ in levels]
        self.conv_in = conv(widths[0])
        self.down_blocks = [row(widths[level]) for level in levels]
        self.down = [Downsample(dtype=self.dtype) for _ in levels[1:]]
        self.up_blocks = [row(widths[level]) for level in levels]
        self.norm_out = norm()
        if self.detail:
            self.detail_in = conv(self.detail)
            self.conv_out = conv(self.detail * self.patch**2)
            self.norm_detail = norm()
            self.detail_conv = conv(self.detail)
            self.detail_out = conv(self.out_channels, kernel_init=zeros)
        else:
            self.conv_out = conv(self.out_channels * self.patch**2, kernel_init=zeros)

    def __call__(self, x: Array, time: Array, image: Array, keys: Array | None = None) -> Array:
        features = self.encode(image, keys)
        if self.is_initializing() and features:
            self.read(features)
        return self.decode(x, time, image, features, keys)

    def encode(self, image: Array, keys: Array | None = None) -> list[Array]:
        """Features of each level, from the finest downwards; nothing where the image is concatenated."""
        if self.concatenate:
            return []
        embedding = jnp.zeros((image.shape[0], 4 * self.channels[0]))
        x, features = self.image_in(space_to_depth(image, self.patch)), []
        for level, blocks in enumerate(self.image_blocks):
            x = self.image_down[level - 1](x) if level else x
            for block in blocks:
                x = block(x, embedding, keys)
            features.append(self.image_out[level](x))
        return features

    def read(self, features: list[Array]) -> Array:
        """Logits of the mask [b, h, w, m], linear in what `encode` gave, so that a loss teaches it directly."""
        x = 0.0
        for level in reversed(range(len(features))):
            x = self.image_read[level](features[level]) + (upsample_nearest(x) if level < len(features) - 1 else x)
        return depth_to_space(x.astype(jnp.float32), self.patch)

    def decode(self, x: Array, time: Array, image: Array, features: list[Array], keys: Array | None = None) -> Array:
        """The rest, from what `encode` gave."""
        embedding = nn.silu(self.time_embedding(time))
        detail = self.detail_in(jnp.concatenate([x, image], -1)) if self.detail else None
        x = jnp.concatenate([x, image], -1) if self.concatenate else x
        x, skips = self.conv_in(space_to_depth(x, self.patch)), []
        for level, blocks in enumerate(self.down_blocks):
            x = self.down[level - 1](x) if level else x
            x = x + features[level] if features else x
            for block in blocks:
                x = block(x, embedding, keys)
            skips.append(x)
        for level in reversed(range(len(self.channels))):
            for block in self.up_blocks[level]:
                x = block(jnp.concatenate([x, skips[level]], -1), embedding, keys)
            x = upsample_nearest(x) if level else x
        x = self.conv_out(nn.silu(self.norm_out(x)))
        x = depth_to_space(x, self.patch)
        if self.detail:
            x = self.detail_conv(nn.silu(self.norm_detail(jnp.concatenate([x, detail], -1))))
            x = self.detail_out(nn.silu(x))
        return x.astype(jnp.float32)

    @property
    def stride(self) -> int:
        """Height and width of an image must be multiples of this."""
        return self.patch * 2 ** (len(self.channels) - 1)


def param_group(path: tuple[str, ...]) -> str:
    """Where a parameter of the network stands, by its path: stem, head or body."""
    if path and path[0] in STEM:
        return "stem"
    return "head" if path and path[0] in HEAD else "body"
