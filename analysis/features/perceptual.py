"""A perceptual distance of two images: how far apart they are in several layers of a network.

d = sum over layers of the mean over places of |x / |x| - y / |y||^2, x and y being the channels of a layer at a place
(Zhang et al. 2018, eq. 1, every weight 1). It is not LPIPS, which is of other networks and weighs the channels by what
people said of pairs of photographs: compare within this project, and for one network.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from analysis.features.file_hash import sha256
from analysis.features.images import in_batches, rgb
from data import UserError
from models.cpu import jit

TINY = 1e-10  # added to lengths, as in the authors' code: channels that are all 0 stay 0
STAGES = (0, 1, 2, 4, 6)  # of EfficientNet-Lite0: the last ones of 112, 56, 28, 14 and 7 places along a side
CONVOLUTIONS = ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c")  # of Inception: 147 to 8 along it

Array = jax.Array
Maps = Callable[[dict, Array], list[Array]]


@dataclasses.dataclass(frozen=True)
class PerceptualDistance:
    """A function of two stacks of stored images [n, h, w, 1 or 3] that gives their distances, float32 [n]."""

    name: str  # one of NETWORKS
    weights: str  # SHA-256 of the file of weights
    resize: str  # how images come to the network's size
    layers: tuple[str, ...]
    measure: Callable[[np.ndarray], np.ndarray]  # of pairs [n, 2, h, w, c]

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if x.shape != y.shape or x.dtype != y.dtype:
            raise ValueError(f"images {x.dtype} {x.shape} and {y.dtype} {y.shape}: two of one shape are needed")
        return self.measure(np.stack([x, y], 1))

    def describe(self) -> dict:
        """For result files."""
        return {"name": self.name, "weights_sha256": self.weights, "resize": self.resize, "layers": list(self.layers)}


def build(
    name: str = "efficientnet_lite0", weights: str | Path | None = None, batch_size: int = 16
) -> PerceptualDistance:
    """The distance in a network's layers.

    Args:
      name: one of NETWORKS.
      weights: file of Inception's weights, where it is not to be looked for.
      batch_size: pairs at a time; the distances do not depend on it.

    Raises:
      UserError: an unknown name; weights that cannot be had.
    """
    if name not in NETWORKS:
        raise UserError(f"no perceptual distance in {name!r}; there is one in {', '.join(NETWORKS)}")
    digest, resize, layers, params, prepare, maps = NETWORKS[name](weights)
    run = jit(lambda params, x: distance(maps(params, x)))
    of_pairs = lambda pairs: run(params, prepare(pairs.reshape(-1, *pairs.shape[2:])))  # noqa: E731
    return PerceptualDistance(name, digest, resize, layers, lambda pairs: in_batches(of_pairs, pairs, batch_size))


def distance(layers: list[Array]) -> Array:
    """The module's formula, [b], of layers [2 b, h, w, c] of images each followed by its partner."""
    return sum(_of_layer(layer.reshape(-1, 2, *layer.shape[1:])) for layer in layers)


def _of_layer(pairs: Array) -> Array:
    unit = pairs / (jnp.sqrt(jnp.square(pairs).sum(-1, keepdims=True)) + TINY)
    return jnp.square(unit[:, 0] - unit[:, 1]).sum(-1).mean((1, 2))


def _efficientnet_lite0(_weights):
    from analysis.features import efficientnet_lite0 as network

    def maps(params: dict, images: Array) -> list[Array]:
        outputs = network.stages(params, network.prepare(images))
        return [outputs[i] for i in STAGES]

    layers = tuple(f"stage {i + 1}" for i in STAGES)
    params = network.load_params()
    return sha256(network.weights_path()), network.RESIZE, layers, params, lambda images: images, maps


def _inception(weights):
    from analysis.features import inception, inception_weights
    from analysis.features.inception_net import Inception

    def maps(params: dict, x: Array) -> list[Array]:
        kept = lambda module, _: module.name in CONVOLUTIONS  # noqa: E731
        _, state = Inception().apply({"params": params}, rgb(x), capture_intermediates=kept, mutable=["intermediates"])
        # A convolution is kept before its rectifier; the blocks' outputs are rectified already.
        return [jax.nn.relu(state["intermediates"][name]["__call__"][0]) for name in CONVOLUTIONS]

    params = jax.device_put(inception_weights.load(inception_weights.find(weights)))
    prepare = lambda images: inception.prepare(images, "clean")  # noqa: E731
    return inception_weights.SHA256, "clean", CONVOLUTIONS, params, prepare, maps


NETWORKS = {"efficientnet_lite0": _efficientnet_lite0, "inception": _inception}
