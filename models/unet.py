"""Conditional U-Net of Ho et al. (2020) with the options of guided-diffusion and of diffusers' UNet2DModel.

The names of the sub-modules say level and place: `down_1_block_0` is the first residual block of the second level
on the way down, `up_1_upsample` leaves that level on the way up. Level l works at 1 / 2^l of the network's grid.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from models.cpu import materialise, spread
from models.layers import (
    Array,
    Conv,
    Downsample,
    Dropout,
    Dtype,
    GroupNorm,
    LabelEmbedding,
    TimeEmbedding,
    Upsample,
    depth_to_space,
    downsample_mean,
    space_to_depth,
    upsample_nearest,
    zeros,
)


class ResBlock(nn.Module):
    """Residual block: norm, SiLU, convolution, twice; the embedding is added, or modulates the second norm.

    Attributes:
      features: output channels.
      resample: None, "down" (mean of 2 x 2) or "up" (nearest), on both branches before the first convolution.
      scale_shift: adaptive group norm of Dhariwal and Nichol (2021) instead of an added embedding.
      dropout: rate, before the second convolution.
      residual_scale: factor on the sum of the branches (diffusers' 1 / output_scale_factor; sqrt(0.5) in NCSN++).
      norm: constructor of the normalisation.
      dtype: compute dtype.
    """

    features: int
    resample: str | None = None
    scale_shift: bool = False
    dropout: float = 0.0
    residual_scale: float = 1.0
    norm: Callable = GroupNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, embedding: Array, keys: Array | None) -> Array:
        """x [b, h, w, c], embedding [b, e] (after its SiLU), keys None or [b] -> [b, h', w', features]."""
        conv = partial(Conv, self.features, dtype=self.dtype)
        x = materialise(x)
        h = nn.silu(self.norm(name="norm_0")(x))
        if self.resample:
            resample = {"down": downsample_mean, "up": upsample_nearest}[self.resample]
            x, h = resample(x), resample(h)
        h = conv(name="conv_0")(h)
        width = self.features * (2 if self.scale_shift else 1)
        condition = nn.Dense(width, dtype=self.dtype, name="embedding")(embedding)
        if self.scale_shift:
            scale, shift = jnp.split(condition.astype(jnp.float32), 2, axis=-1)
            h = self.norm(name="norm_1")(h, scale, shift)
        else:
            h = self.norm(name="norm_1")(h + spread(condition, *h.shape[1:3]))
        h = Dropout(self.dropout, name="dropout")(nn.silu(h), keys)
        h = conv(kernel_init=zeros, name="conv_1")(h)
        if x.shape[-1] != self.features:
            x = conv(size=1, name="shortcut")(x)
        return (x + h) * self.residual_scale if self.residual_scale != 1 else x + h


class AttentionBlock(nn.Module):
    """Self-attention over all positions, with a residual connection.

    Attributes:
      heads: number of heads; ignored where head_channels is given.
      head_channels: channels of a head.
      layout: "separate" (query, key and value by a layer each, as diffusers), "split" (one layer, channels
        ordered qkv, head: guided-diffusion's new order) or "legacy" (one layer, head, qkv: its legacy order).
      residual_scale: factor on the sum.
      norm: constructor of the normalisation, or None for none.
      dtype: compute dtype of the products; the softmax is in float32.
    """

    heads: int = 1
    head_channels: int | None = None
    layout: str = "split"
    residual_scale: float = 1.0
    norm: Callable | None = GroupNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[b, h, w, c] -> [b, h, w, c]."""
        b, h, w, c = x.shape
        size = self.head_channels or c // self.heads
        if c % size:
            raise ValueError(
                f"attention: {c} channels do not split into heads of {size}; change head_channels"
            )
        y = x if self.norm is None else self.norm(name="norm")(x)
        query, key, value = self.project(y.reshape(b, h * w, c), c // size, size)
        logits = jnp.einsum("bqhd,bkhd->bhqk", query * size**-0.5, key)
        weights = jax.nn.softmax(logits.astype(jnp.float32)).astype(self.dtype)
        y = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(b, h, w, c)
        y = nn.Dense(c, kernel_init=zeros, dtype=self.dtype, name="out")(y)
        return (x + y) * self.residual_scale if self.residual_scale != 1 else x + y

    def project(self, y: Array, heads: int, size: int) -> tuple[Array, Array, Array]:
        """[b, n, c] -> query, key, value, each [b, n, heads, size]."""
        b, n, c = y.shape
        dense = partial(nn.Dense, dtype=self.dtype)
        if self.layout == "separate":
            return tuple(dense(c, name=s)(y).reshape(b, n, heads, size) for s in ("query", "key", "value"))
        if self.layout not in ("split", "legacy"):
            raise ValueError(f"attention layout {self.layout!r}: use 'separate', 'split' or 'legacy'")
        shape, axis = ((b, n, 3, heads, size), 2) if self.layout == "split" else ((b, n, heads, 3, size), 3)
        qkv = dense(3 * c, name="qkv")(y).reshape(shape)
        return tuple(jnp.take(qkv, i, axis) for i in range(3))


class UNet(nn.Module):
    """Denoising U-Net: image [b, h, w, c], condition [b], label [b, k] -> [b, h, w, out_channels] float32.

    Attributes:
      out_channels: channels of the result.
      channels: base width; also the size of the sinusoidal time embedding.
      multipliers: width of each level in units of `channels`; their number is the number of levels.
      blocks: residual blocks a level on the way down (one more on the way up).
      attention: down-sampling factors of the network's grid (behind the stem) at which every block is followed
        by attention, as guided-diffusion names them: (2,) is the second level.
      heads: attention heads; ignored where `head_channels` is given.
      head_channels: channels of an attention head.
      attention_layout: "separate", "split" or "legacy", see `AttentionBlock`.
      mid_attention: attention between the two middle blocks.
      mid_attention_norm: normalisation before it (diffusers leaves it out when it scales and shifts).
      dropout: rate, inside every residual block.
      patch: space-to-depth factor of the stem and depth-to-space factor at the end; 1 is a plain convolution.
      local_channels: width of one residual block before and one after the levels, at 1 / local_patch of the image,
        joined by a skip; 0 has none. It removes pixel noise, for which the grid behind a large patch is too coarse.
      local_patch: space-to-depth factor of these two; divides `patch`.
      scale_shift: adaptive group norm instead of an added embedding.
      norm_groups: groups of every group norm, reduced to a common divisor of the channels.
      norm_epsilon: added to every variance.
      resblock_updown: resample inside residual blocks instead of by single layers.
      conv_resample: single resampling layers have a convolution.
      downsample_padding: 1, or 0 for diffusers' asymmetric padding.
      time_order: "cos_sin" or "sin_cos".
      freq_shift: see `models.layers.sinusoid`.
      max_period: see `models.layers.sinusoid`.
      embedding_multiple: width of the embedding in units of `channels`.
      fourier: None, or the scale of random Fourier features in place of the sinusoid.
      residual_scale: factor on the sum in every residual and attention block.
      mid_residual_scale: the same in the middle (1 / diffusers' mid_block_scale_factor).
      skip_scale: factor on the features carried from the way down to the way up.
      remat: recompute each block in the backward pass instead of keeping its activations.
      dtype: compute dtype; parameters are float32.
    """

    out_channels: int
    channels: int = 128
    multipliers: tuple[float, ...] = (1, 2, 2)
    blocks: int = 2
    attention: tuple[int, ...] = ()
    heads: int = 1
    head_channels: int | None = None
    attention_layout: str = "split"
    mid_attention: bool = True
    mid_attention_norm: bool = True
    dropout: float = 0.0
    patch: int = 1
    local_channels: int = 0
    local_patch: int = 2
    scale_shift: bool = True
    norm_groups: int = 32
    norm_epsilon: float = 1e-5
    resblock_updown: bool = False
    conv_resample: bool = True
    downsample_padding: int = 1
    time_order: str = "cos_sin"
    freq_shift: float = 0.0
    max_period: float = 1e4
    embedding_multiple: int = 4
    fourier: float | None = None
    residual_scale: float = 1.0
    mid_residual_scale: float = 1.0
    skip_scale: float = 1.0
    remat: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, time: Array, label: Array, keys: Array | None = None, guess: Array | None = None
    ) -> Array:
        """Predicts from a noisy image.

        Args:
          x: image, [b, h, w, c]; h and w divisible by `stride`.
          time: noise condition, [b] (about 0..1000, or ln(sigma) / 4).
          label: [b, k] in [0, 1], -1 where unknown; k may be 0.
          keys: None, or [b] typed keys for dropout.
          guess: None, or an estimate of the clean image, [b, h, w, c], that is seen beside x.
        """
        if x.shape[1] % self.stride or x.shape[2] % self.stride:
            raise ValueError(
                f"image of {x.shape[1]} x {x.shape[2]} px: the network needs multiples of {self.stride}"
            )
        embedding = self.embed(time, label)
        x, local = self.enter(x, guess, embedding, keys)
        x, skips = self.descend(x, embedding, keys)
        x = self.middle(x, embedding, keys)
        x = self.ascend(x, skips, embedding, keys)
        x, patch = self.leave(x, local, embedding, keys)
        x = nn.silu(self.norm(name="norm_out")(x))
        x = Conv(self.out_channels * patch**2, kernel_init=zeros, dtype=self.dtype, name="conv_out")(x)
        return depth_to_space(x.astype(jnp.float32), patch) if patch > 1 else x.astype(jnp.float32)

    @property
    def stride(self) -> int:
        """Height and width of an image must be multiples of this."""
        return self.patch * 2 ** (len(self.multipliers) - 1)

    @property
    def norm(self) -> Callable:
        return partial(GroupNorm, self.norm_groups, self.norm_epsilon, self.dtype)

    def width(self, level: int) -> int:
        return int(self.multipliers[level] * self.channels)

    def embed(self, time: Array, label: Array) -> Array:
        """Embedding of noise condition and label, [b, e] float32, after the SiLU that begins every block's use."""
        width = self.embedding_multiple * self.channels
        options = self.time_order, self.freq_shift, self.max_period, self.fourier
        embedding = TimeEmbedding(self.channels, width, *options, name="time_embedding")(time)
        if label.shape[-1]:
            embedding = embedding + LabelEmbedding(width, name="label_embedding")(label)
        return nn.silu(embedding)

    def enter(self, x: Array, guess: Array | None, embedding: Array, keys: Array | None) -> tuple[Array, Array | None]:
        """Image -> input of the first level's blocks, and the features that go around the levels."""
        if self.local_channels and (self.patch < self.local_patch or self.patch % self.local_patch):
            raise ValueError(
                f"model.unet.patch={self.patch} is no multiple of local_patch={self.local_patch}: change one of them, "
                "or set model.unet.local_channels=0"
            )
        if not self.local_channels:
            return self.stem(x, guess, self.patch, self.width(0), "conv_in"), None
        x = self.stem(x, guess, self.local_patch, self.local_channels, "conv_local")
        local = self.local_block("local_down")(x, embedding, keys)
        x = space_to_depth(local, self.patch // self.local_patch)
        return Conv(self.width(0), dtype=self.dtype, name="conv_in")(x), local

    def stem(self, x: Array, guess: Array | None, patch: int, features: int, name: str) -> Array:
        """The first convolution. A guess has its own, so that weights of a network without one fit the image's."""
        conv = partial(Conv, features, dtype=self.dtype)
        parts = partial(space_to_depth, patch=patch) if patch > 1 else lambda image: image
        x = conv(name=name)(parts(x))
        return x if guess is None else x + conv(name="conv_guess")(parts(guess))

    def leave(self, x: Array, local: Array | None, embedding: Array, keys: Array | None) -> tuple[Array, int]:
        """The last level's features -> features to predict from, and how many pixels one of them stands for."""
        if local is None:
            return x, self.patch
        step = self.patch // self.local_patch
        x = nn.silu(self.norm(name="norm_levels")(x))
        x = Conv(self.local_channels * step**2, dtype=self.dtype, name="conv_levels")(x)
        x = jnp.concatenate([depth_to_space(x, step), local], axis=-1)
        return self.local_block("local_up")(x, embedding, keys), self.local_patch

    def local_block(self, name: str) -> ResBlock:
        block = nn.remat(ResBlock) if self.remat else ResBlock
        options = None, self.scale_shift, self.dropout, self.residual_scale, self.norm, self.dtype
        return block(self.local_channels, *options, name=name)

    def res_block(
        self, level: int, name: str, resample: str | None = None, scale: float | None = None
    ) -> ResBlock:
        block = nn.remat(ResBlock) if self.remat else ResBlock
        scale = self.residual_scale if scale is None else scale
        options = resample, self.scale_shift, self.dropout, scale, self.norm, self.dtype
        return block(self.width(level), *options, name=name)

    def attention_block(self, name: str, scale: float | None = None, norm: bool = True) -> AttentionBlock:
        block = nn.remat(AttentionBlock) if self.remat else AttentionBlock
        scale = self.residual_scale if scale is None else scale
        options = self.attention_layout, scale, self.norm if norm else None, self.dtype
        return block(self.heads, self.head_channels, *options, name=name)

    def block(self, level: int, side: str, i: int, x: Array, embedding: Array, keys: Array | None) -> Array:
        """Residual block `i` of a level, with its attention where that level has any."""
        x = self.res_block(level, f"{side}_{level}_block_{i}")(x, embedding, keys)
        if 2**level in self.attention:
            x = self.attention_block(f"{side}_{level}_attention_{i}")(x)
        return x

    def descend(self, x: Array, embedding: Array, keys: Array | None) -> tuple[Array, list[Array]]:
        skips = [x]
        for level in range(len(self.multipliers)):
            for i in range(self.blocks):
                x = self.block(level, "down", i, x, embedding, keys)
                skips.append(x)
            if level < len(self.multipliers) - 1:
                name = f"down_{level}_downsample"
                if self.resblock_updown:
                    x = self.res_block(level, name, "down")(x, embedding, keys)
                else:
                    x = Downsample(self.conv_resample, self.downsample_padding, self.dtype, name=name)(x)
                skips.append(x)
        return x, skips

    def middle(self, x: Array, embedding: Array, keys: Array | None) -> Array:
        level, scale = len(self.multipliers) - 1, self.mid_residual_scale
        x = self.res_block(level, "mid_block_0", scale=scale)(x, embedding, keys)
        if self.mid_attention:
            x = self.attention_block("mid_attention", scale, self.mid_attention_norm)(x)
        return self.res_block(level, "mid_block_1", scale=scale)(x, embedding, keys)

    def ascend(self, x: Array, skips: list[Array], embedding: Array, keys: Array | None) -> Array:
        for level in reversed(range(len(self.multipliers))):
            for i in range(self.blocks + 1):
                skip = skips.pop()
                skip = skip * self.skip_scale if self.skip_scale != 1 else skip
                x = self.block(level, "up", i, jnp.concatenate([x, skip], axis=-1), embedding, keys)
            if level:
                name = f"up_{level}_upsample"
                if self.resblock_updown:
                    x = self.res_block(level, name, "up")(x, embedding, keys)
                else:
                    x = Upsample(self.conv_resample, self.dtype, name=name)(x)
        return x
