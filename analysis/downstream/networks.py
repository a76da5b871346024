"""Classifiers in two parts, between which Grad-CAM looks: a trunk that gives maps, and a head that reads them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from analysis.domain.network import FEATURES
from analysis.features import efficientnet_lite0
from analysis.features.images import rgb
from data import UserError

Params = dict[str, Any]
STEM, PATCH, STRIDE = 32, 8, 4  # channels, side and step of the first convolution
BLOCK, LAST, GROUPS = 64, 8, 8  # channels of the residual blocks, and the largest side that their maps may have


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A classifier; its parameters are {"trunk", "head"}.

    Attributes:
      rate: learning rate at its highest, where none is asked for.
      init: (key, images [1, h, w, c], bias [k]) -> parameters; the first outputs are `bias`, whatever the image.
      trunk: (its parameters, images [b, h, w, c] in [-1, 1]) -> maps [b, h', w', m].
      head: (its parameters, maps) -> logits [b, k].
    """

    name: str
    rate: float
    init: Callable[[jax.Array, jax.Array, jax.Array], Params]
    trunk: Callable[[Params, jax.Array], jax.Array]
    head: Callable[[Params, jax.Array], jax.Array]

    def logits(self, params: Params, x: jax.Array) -> jax.Array:
        """Images [b, h, w, c] in [-1, 1] -> [b, k]."""
        return self.head(params["head"], self.trunk(params["trunk"], x))


def build(name: str, input_size: int, channels: int) -> Network:
    """A network by name.

    Args:
      input_size: side that images are brought to, 0 for the network's own.
      channels: of the images.

    Raises:
      UserError: a network that does not take such images.
    """
    if name == "cnn":
        return _cnn(input_size)
    if channels not in (1, 3):
        raise UserError(f"--network {name} takes gray or RGB images, not {channels} channels; use --network cnn")
    return _efficientnet_lite0(input_size or efficientnet_lite0.SIZE)


class Residual(nn.Module):
    """Two 3 x 3 convolutions with group norms, added to their input (He et al. 2016)."""

    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.GroupNorm(GROUPS)(nn.Conv(BLOCK, (3, 3), self.stride, use_bias=False)(x)))
        y = nn.GroupNorm(GROUPS)(nn.Conv(BLOCK, (3, 3), use_bias=False)(y))
        if x.shape != y.shape:
            x = nn.Conv(BLOCK, (1, 1), self.stride, use_bias=False)(x)
        return nn.relu(x + y)


class Trunk(nn.Module):
    """Patches, then residual blocks of stride 2 until a side is LAST at most, and one more.

    Group norms: what an image gives depends on no other image of its batch, real or synthetic.
    """

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.GroupNorm(GROUPS)(nn.Conv(STEM, (PATCH, PATCH), STRIDE)(x)))
        while max(x.shape[1:3]) > LAST:
            x = Residual(2)(x)
        return Residual(1)(x)


class Head(nn.Module):
    """Maps [b, h, w, m] -> logits [b, k], place kept: where something lies is part of what it is."""

    outputs: int

    @nn.compact
    def __call__(self, maps):
        features = nn.relu(nn.Dense(FEATURES)(maps.reshape(len(maps), -1)))
        return nn.Dense(self.outputs, kernel_init=nn.initializers.zeros, name="logits")(features)


def _cnn(size: int) -> Network:
    def sized(x):
        return jax.image.resize(x, (len(x), size, size, x.shape[-1]), "cubic") if size else x

    def trunk(params, x):
        return Trunk().apply({"params": params}, sized(x))

    def head(params, maps):
        return Head(len(params["logits"]["bias"])).apply({"params": params}, maps)

    def init(key, image, bias):
        first, second = jax.random.split(key)
        trunk_params = Trunk().init(first, sized(image))["params"]
        head_params = Head(len(bias)).init(second, trunk(trunk_params, image))["params"]
        head_params["logits"]["bias"] = jnp.asarray(bias)
        return {"trunk": trunk_params, "head": head_params}

    return Network("cnn", 2e-3, init, trunk, head)


def _efficientnet_lite0(size: int) -> Network:
    """ImageNet's weights, all of them trained.

    The batch norms are folded into the convolutions before them, so that their statistics stay those of ImageNet and
    their scales are trained within the kernels. With statistics of the batch an arm's mixture of real and synthetic
    images would set how real test images are normalised.
    """

    def trunk(params, x):
        return efficientnet_lite0.last_maps(params, efficientnet_lite0.normalised(rgb(x) / 2 + 0.5, size))

    def init(_key, _image, bias):
        head_params = {"kernel": jnp.zeros((efficientnet_lite0.WIDTH, len(bias))), "bias": jnp.asarray(bias)}
        return {"trunk": jax.tree.map(jnp.asarray, efficientnet_lite0.load_params()), "head": head_params}

    return Network("efficientnet_lite0", 3e-4, init, trunk, pooled_linear)


def pooled_linear(params: Params, maps: jax.Array) -> jax.Array:
    """Maps [b, h, w, m] -> logits [b, k]: the mean over the map, then one linear layer."""
    return maps.mean((1, 2)) @ params["kernel"] + params["bias"]
