"""The Inception network of FID: the TensorFlow graph of 2015-12-05 (Szegedy et al. 2016; Heusel et al. 2017) in Flax.

It differs from other Inception-v3 networks in three places: average pooling leaves the padding out of the mean, the
last block pools by the maximum, and there are 1,008 classes. Modules bear PyTorch's names; batch norms are folded into
the convolutions.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

SIZE = 299
CLASSES = 1008
SPATIAL_CHANNELS = 7
TAPS = ("64", "192", "768", "2048", "logits_unbiased", "logits", "spatial")
HIGHEST = jax.lax.Precision.HIGHEST  # a GPU would round float32 to TF32 otherwise

Array = jax.Array
Kernel = int | tuple[int, int]


def _conv(x: Array, name: str, width: int, kernel: Kernel, stride: int = 1, padding: str = "SAME") -> Array:
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    return nn.relu(nn.Conv(width, kernel, stride, padding, precision=HIGHEST, name=name)(x))


def _chain(x: Array, *layers: tuple[str, int, Kernel]) -> Array:
    """Convolutions one after the other, each (name, width, kernel)."""
    for layer in layers:
        x = _conv(x, *layer)
    return x


def _halve(x: Array, name: str, width: int) -> Array:
    return _conv(x, name, width, 3, 2, "VALID")


def _max_halve(x: Array) -> Array:
    return nn.max_pool(x, (3, 3), (2, 2))


def _mean_pool(x: Array) -> Array:
    return nn.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)


def _max_pool(x: Array) -> Array:
    return nn.max_pool(x, (3, 3), (1, 1), "SAME")


class InceptionA(nn.Module):
    """35 x 35: branches of 1 x 1, 5 x 5, twice 3 x 3, and mean pooling."""

    pooled: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        double = (("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3))
        branches = [
            _conv(x, "branch1x1", 64, 1),
            _chain(x, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
            _chain(x, *double),
            _conv(_mean_pool(x), "branch_pool", self.pooled, 1),
        ]
        return jnp.concatenate(branches, -1)


class InceptionB(nn.Module):
    """35 x 35 to 17 x 17."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        double = _chain(x, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3))
        branches = [_halve(x, "branch3x3", 384), _halve(double, "branch3x3dbl_3", 96), _max_halve(x)]
        return jnp.concatenate(branches, -1)


class InceptionC(nn.Module):
    """17 x 17: branches of 1 x 1, once and twice 7 x 7 as rows and columns, and mean pooling."""

    width: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width, row, column = self.width, (1, 7), (7, 1)
        single = (("branch7x7_1", width, 1), ("branch7x7_2", width, row), ("branch7x7_3", 192, column))
        double = (
            ("branch7x7dbl_1", width, 1),
            ("branch7x7dbl_2", width, column),
            ("branch7x7dbl_3", width, row),
            ("branch7x7dbl_4", width, column),
            ("branch7x7dbl_5", 192, row),
        )
        branches = [
            _conv(x, "branch1x1", 192, 1),
            _chain(x, *single),
            _chain(x, *double),
            _conv(_mean_pool(x), "branch_pool", 192, 1),
        ]
        return jnp.concatenate(branches, -1)


class InceptionD(nn.Module):
    """17 x 17 to 8 x 8."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        single = _conv(x, "branch3x3_1", 192, 1)
        long = _chain(x, ("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)))
        branches = [_halve(single, "branch3x3_2", 320), _halve(long, "branch7x7x3_4", 192), _max_halve(x)]
        return jnp.concatenate(branches, -1)


class InceptionE(nn.Module):
    """8 x 8: branches of 1 x 1, of rows beside columns after one and two layers, and pooling by `pool`."""

    pool: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        single = _conv(x, "branch3x3_1", 384, 1)
        double = _chain(x, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3))
        branches = [
            _conv(x, "branch1x1", 320, 1),
            _conv(single, "branch3x3_2a", 384, (1, 3)),
            _conv(single, "branch3x3_2b", 384, (3, 1)),
            _conv(double, "branch3x3dbl_3a", 384, (1, 3)),
            _conv(double, "branch3x3dbl_3b", 384, (3, 1)),
            _conv(self.pool(x), "branch_pool", 192, 1),
        ]
        return jnp.concatenate(branches, -1)


class Inception(nn.Module):
    """Images [b, 299, 299, 3] in about [-1, 1] -> {tap: features [b, width]}.

    Taps and their widths, by torch-fidelity's names:
      64, 192, 768     means over the picture after the first and second max pooling and after Mixed_6e
      2048             the last mean ("pool_3"): FID and KID
      logits_unbiased  1,008 without the bias: the Inception score, as in the code of Salimans et al. 2016
      logits           1,008 with it
      spatial          7 channels of "mixed_6/conv", the first branch of Mixed_6d, at 17 x 17, channels last, 2,023 in
                       all: sFID (Nash et al. 2021; Dhariwal and Nichol 2021)
    """

    @nn.compact
    def __call__(self, x: Array) -> dict[str, Array]:
        taps = {}
        x = _halve(x, "Conv2d_1a_3x3", 32)
        x = _conv(x, "Conv2d_2a_3x3", 32, 3, padding="VALID")
        x = _max_halve(_conv(x, "Conv2d_2b_3x3", 64, 3))
        taps["64"] = x.mean((1, 2))
        x = _conv(x, "Conv2d_3b_1x1", 80, 1)
        x = _max_halve(_conv(x, "Conv2d_4a_3x3", 192, 3, padding="VALID"))
        taps["192"] = x.mean((1, 2))
        for name, width in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
            x = InceptionA(width, name=name)(x)
        x = InceptionB(name="Mixed_6a")(x)
        for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160)):
            x = InceptionC(width, name=name)(x)
        taps["spatial"] = x[..., :SPATIAL_CHANNELS].reshape(len(x), -1)
        x = InceptionC(192, name="Mixed_6e")(x)
        taps["768"] = x.mean((1, 2))
        x = InceptionD(name="Mixed_7a")(x)
        x = InceptionE(_mean_pool, name="Mixed_7b")(x)
        x = InceptionE(_max_pool, name="Mixed_7c")(x)
        taps["2048"] = x = x.mean((1, 2))
        bias = self.param("fc_bias", nn.initializers.zeros, (CLASSES,))
        logits = nn.Dense(CLASSES, use_bias=False, precision=HIGHEST, name="fc")(x)
        return taps | {"logits_unbiased": logits, "logits": logits + bias}
