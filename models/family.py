"""What a family of generative models offers, and how the loop gets one."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any, Protocol

import flax.linen as nn
import jax

from models.lora import LowRank
from models.pixels import PixelScale
from models.state import State
from models.update import Updater

Batch = dict[str, jax.Array]
Scalars = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a family must know of the data and of the loop.

    Attributes:
      image_shape: (h, w, c).
      num_labels: entries k of the label vector; may be 0.
      mean, std: [c] of the training split's pixels in [-1, 1].
      bits: bits of a stored pixel.
      compute_dtype: dtype of the networks' arithmetic; parameters are float32.
      covariance: (basis, variance, rest) of data/covariance.py, or None.
      mask_channels: names of the masks' channels; none without masks.
      label_means: (maps, prevalence, std) of data/label_means.py, or None.
      adapters: (rank, alpha) of low-rank adapters on every network, or None.
    """

    image_shape: tuple[int, int, int]
    num_labels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bits: int = 8
    compute_dtype: Any = None
    label_means: Any = None
    mask_channels: tuple[str, ...] = ()
    adapters: tuple[int, float] | None = None
    covariance: Any = None

    def adapt(self, net: nn.Module) -> nn.Module | LowRank:
        """`net` as the family is to hold it: with adapters where there are any."""
        return net if self.adapters is None else LowRank(net, *self.adapters)


class Family(Protocol):
    """A frozen dataclass with these methods; the loop calls them and knows no more.

    `sample` gives images [b, h, w, c] in [-1, 1], clipped; its options are those of `config.sample`.
    `likelihoods` gives {kind: function of (state, batch, key) -> bits/dim [b]}, the least loose first; none without a
    density.
    `init` takes a batch for its shapes only. `warnings` says in words where a row of training scalars means trouble.
    """

    pixels: PixelScale

    def init(self, key: jax.Array, batch: Batch) -> State: ...

    def train_step(self, state: State, batch: Batch, key: jax.Array) -> tuple[State, Scalars]: ...

    def eval_step(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]: ...

    def sample(self, state: State, keys: jax.Array, label: jax.Array, **options) -> jax.Array: ...

    def likelihoods(self) -> dict[str, Callable]: ...

    def param_group(self, path: tuple[str, ...]) -> str: ...

    def warnings(self, scalars: dict[str, float]) -> list[str]: ...


class Segmenter(Protocol):
    """The same, but for `sample`: `predict` gives samples [b, n, h, w] like an SDF; the mask is where they are <= 0."""

    pixels: PixelScale

    def predict(self, state: State, image: jax.Array, keys: jax.Array, **options) -> jax.Array: ...


# Each module offers networks(options), the names that need an optimiser, and build(options, setting, updater).
FAMILIES = {name: f"models.{name}" for name in ("ddpm", "flow", "gan", "vae", "flow_seg", "unet_seg")}


def networks(name: str, options: dict[str, Any]) -> tuple[str, ...]:
    """Names of the networks of the family `name` with these options; each has its optimiser in the config."""
    return _module(name).networks(options)


def build(name: str, options: dict[str, Any], setting: Setting, updater: Updater) -> Family:
    """The family called `name` in `config.model.family`, from the rest of `config.model`.

    Raises:
      ValueError: an unknown family, or options that it does not take.
    """
    return _module(name).build(options, setting, updater)


def _module(name: str):
    if name not in FAMILIES:
        raise ValueError(f"config.model.family {name!r} is unknown; choose one of {', '.join(FAMILIES)}")
    return importlib.import_module(FAMILIES[name])
