"""Classifiers in two parts, between which Grad-CAM looks: a trunk that gives maps, and a head that pools them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from analysis.features import efficientnet_lite0
from analysis.features.images import rgb
from data import UserError

Params = dict[str, Any]
BLOCKS = ((32, 2), (64, 2), (128, 1))  # (width, stride) of each residual block
STEM, GROUPS, LARGEST = 32, 8, 32


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A classifier; its parameters are {"trunk", "head"}.

    Attributes:
      rate: learning rate at its highest, where none is asked for.
      init_trunk: (key, images [1, h, w, c]) -> parameters of the trunk.
      trunk: (parameters, images [b, h, w, c] in [-1, 1]) -> maps [b, h', w', m].
    """

    name: str
    rate: float
    init_trunk: Callable[[jax.Array, jax.Array], Params]
    trunk: Callable[[Params, jax.Array], jax.Array]

    def init(self, key: jax.Array, image: jax.Array, bias: jax.Array) -> Params:
        """Parameters for images like [1, h, w, c]; the first outputs are `bias` [k], whatever the image."""
        trunk = self.init_trunk(key, image)
        width = jax.eval_shape(self.trunk, trunk, image).shape[-1]
        return {"trunk": trunk, "head": {"kernel": jnp.zeros((width, len(bias))), "bias": jnp.asarray(bias)}}

    def logits(self, params: Params, x: jax.Array) -> jax.Array:
        """Images [b, h, w, c] in [-1, 1] -> [b, k]."""
        return head(params["head"], self.trunk(params["trunk"], x))


def head(params: Params, maps: jax.Array) -> jax.Array:
    """Maps [b, h, w, m] -> logits [b, k]: the mean over the map, then one linear layer."""
    return maps.mean((1, 2)) @ params["kernel"] + params["bias"]


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

    width: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.GroupNorm(GROUPS)(nn.Conv(self.width, (3, 3), self.stride, use_bias=False)(x)))
        y = nn.GroupNorm(GROUPS)(nn.Conv(self.width, (3, 3), use_bias=False)(y))
        if x.shape != y.shape:
            x = nn.Conv(self.width, (1, 1), self.stride, use_bias=False)(x)
        return nn.relu(x + y)


class Trunk(nn.Module):
    """Convolutions of stride 2 until a side is LARGEST at most, then the residual BLOCKS.

    Group norms: what an image gives depends on no other image of its batch, real or synthetic.
    """

    @nn.compact
    def __call__(self, x):
        def stem(x, stride):
            return nn.relu(nn.GroupNorm(GROUPS)(nn.Conv(STEM, (3, 3), stride, use_bias=False)(x)))

        x = stem(x, 2 if max(x.shape[1:3]) > LARGEST else 1)
        while max(x.shape[1:3]) > LARGEST:
            x = stem(x, 2)
        for width, stride in BLOCKS:
            x = Residual(width, stride)(x)
        return x


def _cnn(size: int) -> Network:
    def sized(x):
        return jax.image.resize(x, (len(x), size, size, x.shape[-1]), "cubic") if size else x

    return Network(
        "cnn",
        2e-3,
        lambda key, image: Trunk().init(key, sized(image))["params"],
        lambda params, x: Trunk().apply({"params": params}, sized(x)),
    )


def _efficientnet_lite0(size: int) -> Network:
    """ImageNet's weights, all of them trained.

    The batch norms are folded into the convolutions before them, so that their statistics stay those of ImageNet and
    their scales are trained within the kernels. With statistics of the batch an arm's mixture of real and synthetic
    images would set how real test images are normalised.
    """

    def trunk(params, x):
        return efficientnet_lite0.last_maps(params, efficientnet_lite0.normalised(rgb(x) / 2 + 0.5, size))

    return Network(
        "efficientnet_lite0",
        3e-4,
        lambda _key, _image: jax.tree.map(jnp.asarray, efficientnet_lite0.load_params()),
        trunk,
    )
