"""The plain U-Net of a dissertation on chest X-rays: ReLU, no normalisation, max-pooling, concatenated condition.

Widths 64-128-256-512 with three 2 x 2 max-pool stages; 512 features and the 512 values of the label and time
embedding make a bottleneck of 1024, and the embedding is concatenated at the entrance of every level, down and up.
The way up is 2 x 2 transposed convolutions, the end a 1 x 1 convolution.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from models.draws import as_matrix
from models.layers import Array, Conv, Dropout, Dtype, LabelEmbedding, TimeEmbedding, add_bias, conv2d, zeros

he_normal = as_matrix(nn.initializers.he_normal())
# Each result of a 2 x 2 transposed convolution sees one of its four taps: a quarter of the fan that is counted.
he_normal_up = as_matrix(nn.initializers.variance_scaling(8.0, "fan_in", "truncated_normal"))


def spectral_norm(kernel: Array, iterations: int) -> Array:
    """Kernel [..., d] divided by the largest singular value of its matrix [-1, d] (Miyato et al., 2018).

    The power iteration starts from a fixed vector on every call and carries no state: what the network computes
    depends on its parameters alone. Few iterations estimate the singular value from below.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    start = np.random.default_rng(0).normal(size=matrix.shape[1]).astype(np.float32)

    def unit(a: Array) -> Array:
        return a / (jnp.linalg.norm(a) + 1e-12)

    constant = jax.lax.stop_gradient(matrix)
    v = unit(jnp.asarray(start))
    for _ in range(iterations):
        u = unit(constant @ v)
        v = unit(u @ constant)
    return kernel / (u @ (matrix @ v) + 1e-12)


class ConditionedConv(nn.Module):
    """3 x 3 convolution of an image concatenated with an embedding that is the same in every pixel.

    Attributes:
      features: output channels.
      spectral: iterations of the spectral normalisation of the kernel [3, 3, c + e, features]; 0 is none.
      dtype: compute dtype.
    """

    features: int
    spectral: int = 0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, embedding: Array | None = None) -> Array:
        """x [b, h, w, c], embedding [b, e] or None -> [b, h, w, features]."""
        c, e = x.shape[-1], 0 if embedding is None else embedding.shape[-1]
        kernel = self.param("kernel", he_normal, (3, 3, c + e, self.features))
        bias = self.param("bias", zeros, (self.features,))
        kernel = spectral_norm(kernel, self.spectral) if self.spectral else kernel
        kernel = kernel.astype(self.dtype)
        y = add_bias(conv2d(x.astype(self.dtype), kernel[:, :, :c]), bias)
        if e:
            y = y + conv_constant(embedding.astype(self.dtype), kernel[:, :, c:], *x.shape[1:3])
        return y


def conv_constant(value: Array, kernel: Array, h: int, w: int) -> Array:
    """The convolution of an image [b, h, w, e] whose pixels all are `value` [b, e], without making that image.

    Only which taps fall on the border of zeros differs between pixels: [b, h, w, features] from nine products.
    """
    taps = jnp.einsum("be,rsed->brsd", value, kernel)
    rows, columns = (np.array([[0 <= i + r - 1 < n for r in range(3)] for i in range(n)]) for n in (h, w))
    return jnp.einsum("brsd,hr,ws->bhwd", taps, rows.astype(value.dtype), columns.astype(value.dtype))


class TransposedConv(nn.Module):
    """2 x 2 transposed convolution of stride 2: [b, h, w, c] -> [b, 2 h, 2 w, features].

    Attributes:
      features: output channels.
      spectral: iterations of the spectral normalisation of the kernel [2, 2, c, features]; 0 is none.
      dtype: compute dtype.
    """

    features: int
    spectral: int = 0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        b, h, w, c = x.shape
        kernel = self.param("kernel", he_normal_up, (2, 2, c, self.features))
        bias = self.param("bias", zeros, (self.features,))
        kernel = spectral_norm(kernel, self.spectral) if self.spectral else kernel
        y = jnp.einsum("bhwc,rscd->bhrwsd", x.astype(self.dtype), kernel.astype(self.dtype))
        return add_bias(y.reshape(b, 2 * h, 2 * w, self.features), bias)


class Level(nn.Module):
    """Two 3 x 3 convolutions with ReLU; the first also sees the embedding.

    Attributes:
      features: output channels of both.
      dropout: rate, before the second convolution.
      spectral: see `ConditionedConv`.
      dtype: compute dtype.
    """

    features: int
    dropout: float = 0.0
    spectral: int = 0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, embedding: Array, keys: Array | None) -> Array:
        x = nn.relu(ConditionedConv(self.features, self.spectral, self.dtype, name="conv_0")(x, embedding))
        x = Dropout(self.dropout, name="dropout")(x, keys)
        return nn.relu(ConditionedConv(self.features, self.spectral, self.dtype, name="conv_1")(x))


class PlainUNet(nn.Module):
    """Plain U-Net: image [b, h, w, c], noise condition [b], label [b, k] -> [b, h, w, out_channels] float32.

    Attributes:
      out_channels: channels of the result.
      widths: channels of each level; between two levels lies a 2 x 2 max-pool.
      embedding: width of the embedding of noise condition and label.
      dropout: rate, within every level.
      spectral: power iterations of the spectral normalisation of every convolution but the last; 0 is none.
      remat: recompute each level in the backward pass instead of keeping its activations.
      dtype: compute dtype; parameters are float32.
    """

    out_channels: int
    widths: tuple[int, ...] = (64, 128, 256, 512)
    embedding: int = 512
    dropout: float = 0.0
    spectral: int = 0
    remat: bool = False
    dtype: Dtype = jnp.float32

    @property
    def stride(self) -> int:
        """Height and width of an image must be multiples of this."""
        return 2 ** (len(self.widths) - 1)

    @nn.compact
    def __call__(
        self, x: Array, time: Array, label: Array, keys: Array | None = None, guess: Array | None = None
    ) -> Array:
        """Predicts from a noisy image; the arguments are those of `models.unet.UNet`."""
        _, h, w, _ = x.shape
        if h % self.stride or w % self.stride:
            raise ValueError(f"image of {h} x {w} px: the network needs multiples of {self.stride}")
        embedding = TimeEmbedding(self.embedding, self.embedding, name="time_embedding")(time)
        if label.shape[-1]:
            embedding = embedding + LabelEmbedding(self.embedding, name="label_embedding")(label)
        x = x if guess is None else jnp.concatenate([x, guess], axis=-1)
        skips = []
        for i in range(len(self.widths)):
            if i:
                x = nn.max_pool(x, (2, 2), (2, 2))
            x = self.level(i, "down")(x, embedding, keys)
            skips.append(x)
        shape = (*skips.pop().shape[:3], self.embedding)
        x = jnp.concatenate([x, jnp.broadcast_to(embedding.astype(x.dtype)[:, None, None], shape)], axis=-1)
        for i in reversed(range(len(skips))):
            x = TransposedConv(self.widths[i], self.spectral, self.dtype, name=f"up_{i}_upsample")(x)
            x = self.level(i, "up")(jnp.concatenate([x, skips.pop()], axis=-1), embedding, keys)
        conv_out = Conv(self.out_channels, 1, kernel_init=zeros, dtype=self.dtype, name="conv_out")
        return conv_out(x).astype(jnp.float32)

    def level(self, i: int, side: str) -> Callable:
        level = nn.remat(Level) if self.remat else Level
        return level(self.widths[i], self.dropout, self.spectral, self.dtype, name=f"{side}_{i}")
