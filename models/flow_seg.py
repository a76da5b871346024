"""Flow matching as a segmenter: the distribution of masks given an image, on signed distance functions.

t = 0 is noise and t = 1 the SDF, truncated and scaled to [-1, 1] (models/distance.py), as in FlowSDF (Bogensperger et
al. 2024). Inference integrates the ODE that was trained; FlowSDF's published sampler, which feeds the network another
point than the state, is kept as `flowsdf` to measure the difference.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import draws, ode, paths
from models.augment import dihedral
from models.distance import signed_distance
from models.family import Batch, Setting
from models.lora import LowRank
from models.ode import VelocityFn
from models.overlap import dice, dice_cross_entropy
from models.paths import Path
from models.pixel_prior import PixelPrior
from models.pixels import PixelScale, pixel_scale
from models.seg_net import SegNet, param_group
from models.state import State
from models.update import Updater, even_draws, example_keys

FAINT = 0.02  # deviation, in units of the dataset's own, below which an image is not amplified further
WEIGHTINGS = ("velocity", "edm")
AUGMENTATIONS = ("none", "dihedral")


@dataclasses.dataclass(frozen=True, eq=False)
class FlowSeg:
    """The family; built by `build` from `config.model`.

    Attributes:
      net: the Flax module of the velocity.
      path: between noise and SDF.
      prior: of what the guess leaves of the SDF, for which the network is preconditioned, see `models.paths`; or None.
      pixels: scale of the image's pixels.
      updater: optimiser and moving average.
      channel: of the batch's masks.
      truncation: pixels of distance that become 1.
      time, time_mean, time_std: how training times are drawn, see models/paths.py.
      augmentation: none, or dihedral (flips and 90 degree turns of image and mask together).
      standardise: bring each image to mean 0 and deviation 1, after `pixels`.
      weighting: of the squared error at t: velocity (1), or edm (1 / c_out^2: the error of the network's target).
      auxiliary: weight of the loss of the mask that is guessed from the image alone; 0: none.
    """

    net: SegNet
    path: Path
    prior: PixelPrior | None
    pixels: PixelScale
    updater: Updater
    channel: int
    truncation: float
    time: str
    time_mean: float
    time_std: float
    augmentation: str
    standardise: bool
    weighting: str
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
        """Per example [b], of the averaged weights: loss, and dice of one sample by four Euler steps."""
        drawn = self._draw(batch, key, training=False)
        loss = self._loss(state.sampling_params("net"), drawn)[0]
        keys = draws.fold(example_keys(key, batch["id"]), 5)
        sdf = self.predict(state, batch["image"], keys, sampler="euler", steps=4)[:, 0]
        return {"loss": loss, "dice": dice(sdf <= 0, batch["mask"][..., self.channel] > 0.5)}

    def predict(self, state: State, image: jax.Array, keys: jax.Array, **options) -> jax.Array:
        """Samples of the SDF [b, n, h, w] in about [-1, 1]; the mask is where one is not above 0.

        Args:
          image: [b, h, w, c] in [-1, 1].
          keys: [b] one key an image.
          **options: fields of `SampleOptions`.
        """
        options = SampleOptions(**options)
        if options.steps < 1 or options.ensemble < 1:
            raise ValueError(f"sample.steps={options.steps} and sample.ensemble={options.ensemble} must be at least 1")
        b, h, w, _ = image.shape
        noise = draws.normal(keys, (options.ensemble, h, w, 1))
        noise = noise.reshape(b * options.ensemble, h, w, 1)
        velocity = self.velocity_fn(state.sampling_params("net"), image, options.ensemble)
        times = np.linspace(0.0, 1.0, options.steps + 1)
        if options.sampler == "flowsdf":
            velocity, options = self._published(velocity, noise), dataclasses.replace(options, sampler="euler")
        sdf = ode.solve(options.sampler, velocity, noise, times, options.tolerance, open_end=True)
        return sdf.reshape(b, options.ensemble, h, w)

    def velocity_fn(self, params, image: jax.Array, repeat: int = 1) -> VelocityFn:
        """v(x, t) for these images, each `repeat` times; they are encoded once."""
        z = network_image(self.pixels, image, self.standardise)
        code = self.net.apply({"params": params}, z, method=self.net.encode)
        z, code = jax.tree.map(lambda a: jnp.repeat(a, repeat, axis=0), (z, code))
        return lambda x, t: self._velocity(params, x, jnp.broadcast_to(t, x.shape[:1]), z, code, None)

    def _velocity(self, params, x, t, z, code, keys) -> jax.Array:
        """The network's velocity. It says what its guess of the SDF leaves, so that it begins as a good segmenter.

        With m the guess, x - alpha m is on the path to SDF - m, whose velocity lacks alpha' m.
        """
        wide = t[:, None, None, None]
        alpha, alpha_rate = self.path.coefficients(wide)[0], self.path.rates(wide)[0]
        net = lambda x, _: self.net.apply({"params": params}, x, 1000.0 * t, z, code, keys, method=self.net.decode)  # noqa: E731
        left = paths.preconditioned(self.path, self.prior, net, x - alpha * code.guess, t)
        return left + alpha_rate * code.guess

    def param_group(self, path: tuple[str, ...]) -> str:
        """Where a parameter stands: stem, head or body."""
        return param_group(path)

    def warnings(self, scalars: dict[str, float]) -> list[str]:
        """None: its loss says all."""
        return []

    def _published(self, velocity: VelocityFn, noise: jax.Array) -> VelocityFn:
        """The field that FlowSDF's code integrates: the network sees t x + (1 - t) noise where it was trained on x."""

        def field(x, t):
            alpha, sigma = self.path.coefficients(t)
            return velocity(alpha * x + sigma * noise, t)

        return field

    def _draw(self, batch: Batch, key: jax.Array, training: bool) -> Batch:
        """Adds each example's SDF, noise and time, from its own key.

        Of several raters' masks it takes one at random, so that samples cover the raters' disagreement.
        """
        root = example_keys(key, batch["id"])
        keys = jax.vmap(lambda k: jax.random.split(k, 4))(root)
        image, mask = network_image(self.pixels, batch["image"], self.standardise), one_rater(batch, root)
        mask = mask[..., self.channel : self.channel + 1]
        if training and self.augmentation == "dihedral":
            image, mask = jax.vmap(dihedral)((image, mask), keys[:, 2])
        u = jax.vmap(jax.random.uniform)(keys[:, 0]) if training else even_draws(batch["id"])
        sdf = signed_distance(mask, self.truncation)
        eps = draws.normal(keys[:, 1], sdf.shape[1:])
        t = paths.sample_time(self.time, u, self.time_mean, self.time_std)
        drawn = {"z": image, "target": mask, "sdf": sdf, "eps": eps, "t": t}
        return batch | drawn | ({"dropout": keys[:, 3]} if training else {})

    def _loss(self, params, batch: Batch):
        """Per-example squared error of the velocity, weighted, and the auxiliary loss, [b]; and the latter to log."""
        t, sdf, eps = batch["t"], batch["sdf"], batch["eps"]
        wide = t[:, None, None, None]
        (alpha, sigma), (alpha_rate, sigma_rate) = self.path.coefficients(wide), self.path.rates(wide)
        x = alpha * sdf + sigma * eps
        keys = batch.get("dropout")
        code = self.net.apply({"params": params}, batch["z"], keys, method=self.net.encode)
        velocity = self._velocity(params, x, t, batch["z"], code, keys)
        error = jnp.square(velocity - (alpha_rate * sdf + sigma_rate * eps))
        if self.weighting == "edm":
            error /= self.prior.average(paths.linear_estimate(self.path, wide)[1])
        error = jnp.mean(error, (1, 2, 3))
        if not self.auxiliary:
            return error, {}
        guess, _ = dice_cross_entropy(code.logits, batch["target"])
        return error + self.auxiliary * guess, {"velocity_error": error, "auxiliary": guess}


def network_image(pixels: PixelScale, image: jax.Array, standardise: bool) -> jax.Array:
    """Images [b, h, w, c] for the network; standardised, each has mean 0 and deviation 1 over all its numbers.

    Faint images then look like bright ones. What is nearly uniform is not blown up to its noise.
    """
    z = pixels.to_network(image)
    if not standardise:
        return z
    z = z - z.mean((1, 2, 3), keepdims=True)
    return z / jnp.maximum(jnp.std(z, (1, 2, 3), keepdims=True), FAINT)


def one_rater(batch: Batch, keys: jax.Array) -> jax.Array:
    """Masks [b, h, w, m], each of a rater drawn by its key; where only one drew, that one's."""
    if "masks" not in batch:
        return batch["mask"]
    count = batch["masks"].shape[1]
    which = jax.vmap(lambda k: jax.random.randint(k, (), 0, count))(draws.fold(keys, 4))
    return jax.vmap(lambda masks, i: masks[i])(batch["masks"], which)


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """How masks are drawn; the fields of `config.sample`, see configs/flow_seg.py."""

    sampler: str = "euler"
    steps: int = 4
    ensemble: int = 1
    tolerance: float = 1e-4


def mask_channel(options: dict[str, Any], setting: Setting) -> int:
    """Index of `config.model.mask` among the data's masks; "" is the first.

    Raises:
      ValueError: no masks, or none of that name.
    """
    name = options.pop("mask")
    if not setting.mask_channels:
        raise ValueError("a segmenter needs masks and the dataset has none; see config.data in configs/flow_seg.py")
    if name and name not in setting.mask_channels:
        raise ValueError(f"model.mask {name!r} is unknown; the dataset has {', '.join(setting.mask_channels)}")
    return setting.mask_channels.index(name) if name else 0


def build_net(options: dict[str, Any], setting: Setting) -> SegNet | LowRank:
    """The network from `config.model`; its fields are taken out of `options`."""
    names = ("blocks", "patch", "concatenate", "norm_groups", "dropout", "detail")
    fields = {name: options.pop(name) for name in names}
    dtype = {} if setting.compute_dtype is None else {"dtype": setting.compute_dtype}
    net = SegNet(out_channels=1, channels=tuple(options.pop("channels")), **fields, **dtype)
    height, width, _ = setting.image_shape
    if options["auxiliary"] and net.concatenate:
        raise ValueError("config.model.auxiliary teaches a guess, and config.model.concatenate makes none; set it to 0")
    if options["augmentation"] == "dihedral" and height != width:
        raise ValueError(f"model.augmentation 'dihedral' turns images, which must be square, not {height} x {width}")
    if height % net.stride or width % net.stride:
        raise ValueError(f"image of {height} x {width} px: the network needs multiples of {net.stride}")
    return setting.adapt(net)


def networks(options: dict[str, Any]) -> tuple[str, ...]:
    """Names of the networks that need an optimiser, for `config.model`."""
    return ("net",)


def build(options: dict[str, Any], setting: Setting, updater: Updater) -> FlowSeg:
    """The family from `config.model` (a plain dict), see configs/flow_seg.py for its fields.

    Raises:
      ValueError: a name or a combination that does not exist.
    """
    options = dict(options)
    channel, net = mask_channel(options, setting), build_net(options, setting)
    path, sdf_std = paths.build(options.pop("path"), options.pop("sigma_min")), options.pop("sdf_std")
    pixels = pixel_scale("data", setting.mean, setting.std, setting.bits, 1.0)
    fields = ("truncation", "time", "time_mean", "time_std", "augmentation", "standardise", "weighting", "auxiliary")
    known = {name: options.pop(name) for name in fields}
    if options:
        raise ValueError(f"config.model.{next(iter(options))} is not a field of the flow_seg family")
    if known["truncation"] <= 0:
        raise ValueError(f"config.model.truncation={known['truncation']} must be above 0 pixels")
    if known["weighting"] == "edm" and not sdf_std:
        raise ValueError("config.model.weighting 'edm' needs config.model.sdf_std above 0")
    for name, choices in (("time", paths.TIMES), ("augmentation", AUGMENTATIONS), ("weighting", WEIGHTINGS)):
        if known[name] not in choices:
            raise ValueError(f"config.model.{name} {known[name]!r} is unknown; choose one of {', '.join(choices)}")
    return FlowSeg(net, path, PixelPrior(sdf_std**2) if sdf_std else None, pixels, updater, channel, **known)
