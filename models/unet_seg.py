"""The deterministic segmenter that the flow segmenter must be measured against: the same network, one pass.

x_t and t are zero, so that network and number of parameters are those of models/flow_seg.py. Dice and cross-entropy.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from models.augment import dihedral
from models.family import Batch, Setting
from models.flow_seg import AUGMENTATIONS, build_net, mask_channel, network_image
from models.overlap import dice, dice_cross_entropy
from models.pixels import PixelScale, pixel_scale
from models.seg_net import SegNet, param_group
from models.state import State
from models.update import Updater, example_keys


@dataclasses.dataclass(frozen=True, eq=False)
class UNetSeg:
    """The family; built by `build` from `config.model`. Attributes as of `models.flow_seg.FlowSeg`."""

    net: SegNet
    pixels: PixelScale
    updater: Updater
    channel: int
    augmentation: str
    standardise: bool
    auxiliary: float

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state; `batch` is read for its shapes."""
        image = jnp.zeros_like(batch["image"][:1])
        params = self.net.init(key, image[..., :1], jnp.zeros((1,)), image)["params"]
        return self.updater.init({"net": params}, averaged=("net",))

    def train_step(self, state: State, batch: Batch, key: jax.Array):
        """One optimiser step on the whole batch; (state, scalars [])."""
        batch = self._draw(batch, key, training=True)
        return self.updater.step(state, "net", self._loss, batch)

    def eval_step(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Per example [b], of the averaged weights: loss and dice."""
        drawn = self._draw(batch, key, training=False)
        loss = self._loss(state.sampling_params("net"), drawn)[0]
        sdf = self.predict(state, batch["image"], None)[:, 0]
        return {"loss": loss, "dice": dice(sdf <= 0, batch["mask"][..., self.channel] > 0.5)}

    def predict(self, state: State, image: jax.Array, keys: jax.Array | None, **options) -> jax.Array:
        """1 - 2 p(mask) [b, 1, h, w]: like an SDF, the mask is where it is not above 0. Nothing is drawn."""
        SampleOptions(**options)
        logits, _ = self._logits(state.sampling_params("net"), network_image(self.pixels, image, self.standardise))
        return -jnp.tanh(0.5 * logits)[:, None, ..., 0]

    def param_group(self, path: tuple[str, ...]) -> str:
        """Where a parameter stands: stem, head or body."""
        return param_group(path)

    def warnings(self, scalars: dict[str, float]) -> list[str]:
        """None: its loss says all."""
        return []

    def _logits(self, params, z: jax.Array, keys=None) -> tuple[jax.Array, jax.Array]:
        """Of the mask, and of the guess that it refines."""
        apply, nothing = partial(self.net.apply, {"params": params}), jnp.zeros_like(z[..., :1])
        code = apply(z, keys, method=self.net.encode)
        return apply(nothing, jnp.zeros(z.shape[0]), z, code, keys, method=self.net.decode), code.logits

    def _draw(self, batch: Batch, key: jax.Array, training: bool) -> Batch:
        keys = jax.vmap(lambda k: jax.random.split(k, 2))(example_keys(key, batch["id"]))
        image = network_image(self.pixels, batch["image"], self.standardise)
        mask = batch["mask"][..., self.channel : self.channel + 1]
        if training and self.augmentation == "dihedral":
            image, mask = jax.vmap(dihedral)((image, mask), keys[:, 0])
        return batch | {"z": image, "target": mask} | ({"dropout": keys[:, 1]} if training else {})

    def _loss(self, params, batch: Batch):
        """1 - soft Dice + mean cross-entropy of the mask and, weighted, of the guess, [b]; parts to log."""
        logits, guessed = self._logits(params, batch["z"], batch.get("dropout"))
        loss, parts = dice_cross_entropy(logits, batch["target"])
        if not self.auxiliary:
            return loss, parts
        guess, _ = dice_cross_entropy(guessed, batch["target"])
        return loss + self.auxiliary * guess, parts | {"auxiliary": guess}


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """Nothing to choose."""


def networks(options: dict[str, Any]) -> tuple[str, ...]:
    """Names of the networks that need an optimiser, for `config.model`."""
    return ("net",)


def build(options: dict[str, Any], setting: Setting, updater: Updater) -> UNetSeg:
    """The family from `config.model` (a plain dict), see configs/unet_seg.py for its fields.

    Raises:
      ValueError: a name or a combination that does not exist.
    """
    options = dict(options)
    channel, net = mask_channel(options, setting), build_net(options, setting)
    pixels = pixel_scale("data", setting.mean, setting.std, setting.bits, 1.0)
    augmentation, standardise, auxiliary = (options.pop(n) for n in ("augmentation", "standardise", "auxiliary"))
    if options:
        raise ValueError(f"config.model.{next(iter(options))} is not a field of the unet_seg family")
    if augmentation not in AUGMENTATIONS:
        raise ValueError(f"config.model.augmentation {augmentation!r} is unknown; choose one of none, dihedral")
    return UNetSeg(net, pixels, updater, channel, augmentation, standardise, auxiliary)
