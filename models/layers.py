"""Layers shared by the networks: convolution, normalisation, embeddings, exact dropout, space-to-depth.

Arrays are NHWC. Parameters are always float32; `dtype` is what the matrix products run in. Normalisation,
softmax and the embedding of the noise condition stay in float32 whatever `dtype` says.
"""

import math
import zlib
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from models import draws
from models.cpu import materialise_gradient, spread, sum_over_space

Array = jax.Array
Dtype = Any
zeros = nn.initializers.zeros
lecun_normal = draws.as_matrix(nn.initializers.lecun_normal())


class Conv(nn.Module):
    """Convolution, [b, h, w, c] -> [b, h', w', features], zero-padded.

    Attributes:
      features: output channels.
      size: side of the square kernel.
      stride: step of the kernel.
      padding: rows and columns of zeros (before, after), the same for height and width.
      kernel_init: initialiser of the kernel [size, size, c, features].
      dtype: compute dtype.
    """

    features: int
    size: int = 3
    stride: int = 1
    padding: tuple[int, int] = (1, 1)
    kernel_init: Callable = lecun_normal
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", zeros, (self.features,))
        x = conv2d(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding)
        return add_bias(x, bias)


def conv2d(x: Array, kernel: Array, stride: int = 1, padding: tuple[int, int] = (1, 1)) -> Array:
    """Convolution of [b, h, w, c] by [n, n, c, d]; a 1 x 1 kernel is a matrix product."""
    if kernel.shape[0] == 1 and stride == 1:
        return x @ kernel[0, 0]
    stride, padding = (stride,) * 2, (padding,) * 2
    return jax.lax.conv_general_dilated(x, kernel, stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def add_bias(x: Array, bias: Array) -> Array:
    """x [b, h, w, c] + bias [c] in x's dtype; the bias's gradient is summed in the bias's own."""
    b, h, w, c = x.shape
    return x + spread(jnp.broadcast_to(bias, (b, c)), h, w).astype(x.dtype)


class GroupNorm(nn.Module):
    """Group normalisation (Wu and He, 2018) in float32, optionally modulated per example.

    Per-example scale and shift are folded with the learned ones into one multiply-add per element.

    Attributes:
      groups: number of groups; reduced to the largest common divisor where it does not divide the channels.
      epsilon: added to the variance.
      dtype: dtype of the result.
    """

    groups: int = 8  # many groups, of a channel or two, take out what lies evenly over an image, such as brightness
    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, scale: Array | None = None, shift: Array | None = None) -> Array:
        """x [b, h, w, c]; scale, shift None or [b, c]: returns norm(x) * (1 + scale) + shift."""
        b, h, w, c = x.shape
        groups = math.gcd(self.groups, c)
        gain = self.param("scale", nn.initializers.ones, (c,))
        offset = self.param("bias", zeros, (c,))
        x = x.astype(jnp.float32)
        # Channels are reduced over space first: contiguous sums, and only [b, c] numbers are ever regrouped.
        moments = jnp.stack([sum_over_space(x), sum_over_space(jnp.square(x))]) / (h * w)
        mean, square = moments.reshape(2, b, groups, c // groups).mean(-1)
        inverse = jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0) + self.epsilon)
        mean, inverse = (jnp.repeat(a, c // groups, axis=-1) for a in (mean, inverse))
        a = inverse * gain
        b_ = offset - mean * a
        if scale is not None:
            a, b_ = a * (1 + scale), b_ * (1 + scale) + shift
        # The activation that follows is dear to differentiate, and this gradient is used three times.
        return materialise_gradient((x * spread(a, h, w) + spread(b_, h, w)).astype(self.dtype))


class Dropout(nn.Module):
    """Dropout whose mask depends only on each example's key and on this layer's place in the network.

    So accumulation, batch size and device count change nothing. No keys, no dropout.
    """

    rate: float

    @nn.compact
    def __call__(self, x: Array, keys: Array | None) -> Array:
        """x [b, ...]; keys None or [b] typed keys."""
        if keys is None or self.rate == 0:
            return x
        place = zlib.crc32("/".join(self.path).encode())
        keep = round((1 - self.rate) * 2**16)
        drawn = draws.bits(draws.fold(keys, place), x.shape[1:])
        return jnp.where(drawn < keep, x * (2**16 / keep), 0).astype(x.dtype)


def sinusoid(
    time: Array, width: int, order: str = "cos_sin", freq_shift: float = 0.0, max_period: float = 1e4
) -> Array:
    """Sinusoidal embedding [b] -> [b, width] (Ho et al., 2020).

    Args:
      time: the noise condition, [b].
      width: size of the embedding; an odd one is padded with a zero.
      order: "cos_sin" (guided-diffusion, diffusers' flip_sin_to_cos) or "sin_cos" (DDPM).
      freq_shift: frequencies are max_period ** -(i / (width // 2 - freq_shift)); DDPM has 1, guided-diffusion 0.
      max_period: period, over 2 pi, that the slowest frequency approaches.
    """
    if order not in ("cos_sin", "sin_cos"):
        raise ValueError(f"time embedding order {order!r}: use 'cos_sin' or 'sin_cos'")
    half = width // 2
    # float64 on the host: the frequencies are constants of the compiled program
    frequencies = np.exp(-math.log(max_period) * np.arange(half) / (half - freq_shift))
    angle = time.astype(jnp.float32)[:, None] * frequencies.astype(np.float32)
    parts = [jnp.cos(angle), jnp.sin(angle)]
    embedding = jnp.concatenate(parts if order == "cos_sin" else parts[::-1], axis=-1)
    return jnp.pad(embedding, ((0, 0), (0, width % 2)))


class TimeEmbedding(nn.Module):
    """Noise condition [b] -> [b, width] float32: sinusoid or random Fourier features, then a two-layer MLP.

    Attributes:
      features: size of the sinusoid.
      width: size of the result.
      order, freq_shift, max_period: see `sinusoid`.
      fourier: None, or the standard deviation of Gaussian frequencies (Song et al., 2021; 16 there, as in EDM).
    """

    features: int
    width: int
    order: str = "cos_sin"
    freq_shift: float = 0.0
    max_period: float = 1e4
    fourier: float | None = None

    @nn.compact
    def __call__(self, time: Array) -> Array:
        if self.fourier is None:
            x = sinusoid(time, self.features, self.order, self.freq_shift, self.max_period)
        else:
            # Drawn once from a fixed seed: constants, so that neither decay nor EMA can move them.
            draw = np.random.default_rng(0).normal(size=self.features // 2) * self.fourier
            # Times come as those of a chain of 1000 steps; the frequencies are for Song et al.'s t and EDM's c_noise.
            angle = 2 * np.pi / 1000.0 * time.astype(jnp.float32)[:, None] * draw.astype(np.float32)
            parts = [jnp.cos(angle), jnp.sin(angle)]
            x = jnp.concatenate(parts if self.order == "cos_sin" else parts[::-1], axis=-1)
        x = nn.silu(nn.Dense(self.width, name="dense_0")(x))
        return nn.Dense(self.width, name="dense_1")(x)


class LabelEmbedding(nn.Module):
    """Multi-hot label [b, k] -> [b, width]: the sum over entries of v W where v >= 0, a null vector where v < 0."""

    width: int

    @nn.compact
    def __call__(self, label: Array) -> Array:
        k = label.shape[-1]
        label = label.astype(jnp.float32)
        # One known entry weighs about as much as the time embedding, and so do all null entries together.
        kernel = self.param("kernel", nn.initializers.normal(0.5), (k, self.width))
        null = self.param("null", nn.initializers.normal(0.5 / math.sqrt(k)), (k, self.width))
        return jnp.maximum(label, 0) @ kernel + (label < 0).astype(jnp.float32) @ null


def space_to_depth(x: Array, patch: int) -> Array:
    """[b, h, w, c] -> [b, h / patch, w / patch, c patch^2], channels (c, row, column) as in pixel_unshuffle."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // patch, patch, w // patch, patch, c)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(b, h // patch, w // patch, c * patch**2)


def depth_to_space(x: Array, patch: int) -> Array:
    """Inverse of `space_to_depth`: [b, h, w, c patch^2] -> [b, h patch, w patch, c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, c // patch**2, patch, patch)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(b, h * patch, w * patch, c // patch**2)


def upsample_nearest(x: Array) -> Array:
    """[b, h, w, c] -> [b, 2 h, 2 w, c], every pixel repeated."""
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


def downsample_mean(x: Array) -> Array:
    """[b, h, w, c] -> [b, h / 2, w / 2, c], the mean of each 2 x 2 window."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


class Downsample(nn.Module):
    """Halves height and width by a strided convolution, or by a mean of 2 x 2 where `conv` is off.

    Attributes:
      conv: convolve (guided-diffusion's conv_resample).
      padding: 1 pads both sides by one; 0 pads below and right only, as diffusers' downsample_padding 0.
      dtype: compute dtype.
    """

    conv: bool = True
    padding: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if not self.conv:
            return downsample_mean(x)
        return Conv(x.shape[-1], stride=2, padding=(self.padding, 1), dtype=self.dtype, name="conv")(x)


class Upsample(nn.Module):
    """Doubles height and width by repetition, followed by a convolution where `conv` is on."""

    conv: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = upsample_nearest(x)
        return Conv(x.shape[-1], dtype=self.dtype, name="conv")(x) if self.conv else x
