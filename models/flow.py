"""Flow matching: a velocity that carries noise to data along a chosen path (Lipman et al. 2023; Liu et al. 2023).

t = 0 is noise and t = 1 data, see models/paths.py. The network works on z, the pixels centred and scaled by `pixels`.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import coupling, draws, guidance, ode, paths
from models.denoiser import per_image
from models.divergence import exact_divergence, hutchinson
from models.family import Batch, Setting
from models.label_mean import LabelMean, label_mean, residual_std
from models.networks import build_network, group_of
from models.ode import VelocityFn
from models.paths import Path
from models.pixel_prior import PixelPrior, chosen_prior, pixel_prior
from models.pixels import PixelScale, dequantise, pixel_scale
from models.state import State
from models.update import Updater, even_draws, example_keys, strata


@dataclasses.dataclass(frozen=True, eq=False)
class Flow:
    """The family; built by `build` from `config.model`.

    Attributes:
      net: the Flax module of the velocity, (x, condition [b], label [b, k], keys, guess) -> [b, h, w, c]; guess is the
        prior's linear estimate of z, None where it shows none.
      path: between noise and data.
      prior: of z, for which the network is preconditioned, see `models.paths.preconditioned`; or None.
      mean: what images are centred on.
      pixels: scale of the pixels.
      updater: optimiser and moving average.
      image_shape: (h, w, c) of the images.
      time: how training times are drawn: uniform or logit_normal.
      time_mean, time_std: of the logit-normal.
      coupling: of noise and images: independent or ot.
      label_cost: of the ot coupling, see `models.coupling.couple`.
      label_drop: probability that an example's label is hidden, for classifier-free guidance.
      stratified: draw the times of a batch one from each of b equal parts of [0, 1).
    """

    net: Any
    path: Path
    prior: PixelPrior | None
    mean: LabelMean
    pixels: PixelScale
    updater: Updater
    image_shape: tuple[int, int, int]
    time: str
    time_mean: float
    time_std: float
    coupling: str
    label_cost: float
    label_drop: float
    stratified: bool

    @property
    def fitted(self) -> int:
        """Numbers that were fitted to the training split before any step, beside the network's parameters."""
        return self.mean.numbers + (self.prior.numbers if self.prior else 0)

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state; `batch` is read for its shapes."""
        image, label = jnp.zeros_like(batch["image"][:1]), jnp.zeros_like(batch["label"][:1])
        guess = jnp.zeros_like(image) if self.prior and self.prior.guesses else None
        params = self.net.init(key, image, jnp.zeros((1,)), label, None, guess)["params"]
        return self.updater.init({"net": params}, averaged=("net",))

    def train_step(self, state: State, batch: Batch, key: jax.Array):
        """One optimiser step on the whole batch; (state, scalars [])."""
        batch = self._draw(batch, key, training=True)
        return self.updater.step(state, "net", self._loss, batch)

    def eval_step(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """{"loss": [b]} of the averaged weights, without dropout, hidden labels or coupling."""
        batch = self._draw(batch, key, training=False)
        return {"loss": self._loss(state.sampling_params("net"), batch)[0]}

    def sample(self, state: State, keys: jax.Array, label: jax.Array, **options) -> jax.Array:
        """Images [b, h, w, c] in [-1, 1] of the averaged weights.

        Args:
          keys: [b] one key an image.
          label: [b, k]; -1 in an entry leaves it open.
          **options: fields of `SampleOptions`.
        """
        options = SampleOptions(**options)
        if options.steps < 1:
            raise ValueError(f"sample.steps must be at least 1, not {options.steps}")
        noise = draws.normal(keys, self.image_shape)
        velocity = self.velocity_fn(state.sampling_params("net"), label, options)
        times = np.linspace(0.0, 1.0, options.steps + 1)
        z = ode.solve(options.sampler, velocity, noise, times, options.tolerance, open_end=True)
        return jnp.clip(self.pixels.to_pixels(z), -1.0, 1.0)

    def velocity_fn(self, params, label: jax.Array, options: "SampleOptions") -> VelocityFn:
        """v(x, t) for these labels; with guidance u + s (c - u) where guidance_low <= t <= guidance_high."""
        if options.guidance == 1.0 or not label.shape[-1]:
            return self._given(params, label)
        guidance.check(options.guidance, self.label_drop)
        both = guidance.given_and_free(partial(self._given, params), label)

        def velocity(x, t):
            given, free = both(x, t)
            inside = per_image((t >= options.guidance_low) & (t <= options.guidance_high))
            return given + jnp.where(inside, options.guidance - 1.0, 0.0) * (given - free)

        return velocity

    def bits_per_dim(self, state: State, batch: Batch, key: jax.Array, tolerance: float = 1e-4) -> jax.Array:
        """-log2 p(image) / dimensions [b] by the flow's own ODE, on uniformly dequantised pixels."""
        velocity = self.velocity_fn(state.sampling_params("net"), batch["label"], SampleOptions())
        keys = jax.vmap(lambda k: jax.random.split(k, 2))(example_keys(key, batch["id"]))
        z, log_volume = dequantise(self.pixels, self.pixels.to_network(batch["image"]), keys[:, 0])
        log_density = ode_log_density(velocity, z, keys[:, 1], tolerance)
        return -(log_density + log_volume) / (math.log(2.0) * np.prod(z.shape[1:]))

    def likelihoods(self) -> dict[str, Callable]:
        """{kind: function of (state, batch, key) that gives bits/dim [b]}."""
        return {"ODE": self.bits_per_dim}

    def param_group(self, path: tuple[str, ...]) -> str:
        """Where a parameter stands: stem, label, head or body; fine-tuning treats them apart."""
        return group_of(path)

    def warnings(self, scalars: dict[str, float]) -> list[str]:
        """None: its loss says all."""
        return []

    def _given(self, params, label: jax.Array) -> VelocityFn:
        """The conditional velocity of images that are not centred."""
        mean = self.mean(label)

        def velocity(x, t):
            alpha, rate = self.path.coefficients(t)[0], self.path.rates(t)[0]
            return self._velocity(params, x - alpha * mean, t, label) + rate * mean

        return velocity

    def _velocity(self, params, x, t, label, keys=None) -> jax.Array:
        """The network sees t scaled by 1000."""
        t = jnp.broadcast_to(t, x.shape[:1])

        def apply(x, guess):
            return self.net.apply({"params": params}, x, 1000.0 * t, label, keys, guess).astype(jnp.float32)

        return paths.preconditioned(self.path, self.prior, apply, x, t)

    def _draw(self, batch: Batch, key: jax.Array, training: bool) -> Batch:
        """Adds each example's noise, time, keys and hidden label, from its own key."""
        keys = jax.vmap(lambda k: jax.random.split(k, 4))(example_keys(key, batch["id"]))
        u = jax.vmap(jax.random.uniform)(keys[:, 0]) if training else even_draws(batch["id"])
        if training and self.stratified:
            u = strata(u, key)
        eps = draws.normal(keys[:, 1], batch["image"].shape[1:])
        label, drawn = batch["label"], {"t": paths.sample_time(self.time, u, self.time_mean, self.time_std)}
        if training:
            hidden = jax.vmap(jax.random.uniform)(keys[:, 2]) < self.label_drop
            label = guidance.drop_labels(label, hidden)
            drawn["dropout"] = keys[:, 3]
        z = self.pixels.to_network(batch["image"]) - self.mean(label)
        if training and self.coupling == "ot":
            eps = coupling.couple(eps, z, batch["label"], self.label_cost)
        return batch | drawn | {"z": z, "eps": eps, "label": label}

    def _loss(self, params, batch: Batch):
        """Per-example squared error of the velocity, [b], and nothing more to log (Lipman et al. 2023, eq. 9)."""
        t, z, eps = batch["t"], batch["z"], batch["eps"]
        wide = t[:, None, None, None]
        (alpha, sigma), (alpha_rate, sigma_rate) = self.path.coefficients(wide), self.path.rates(wide)
        velocity = self._velocity(params, alpha * z + sigma * eps, t, batch["label"], batch.get("dropout"))
        return jnp.mean(jnp.square(velocity - (alpha_rate * z + sigma_rate * eps)), (1, 2, 3)), {}


def ode_log_density(
    velocity: VelocityFn, z: jax.Array, keys: jax.Array | None, tolerance: float = 1e-4
) -> jax.Array:
    """log p(z) [b] in nats by the instantaneous change of variables (Chen et al. 2018, eq. 8), from t = 1 to 0.

    Args:
      keys: [b] for Hutchinson's probes (Rademacher); None takes the exact trace, dimensions times dearer.
    """
    divergence = exact_divergence if keys is None else hutchinson(keys, z)

    def field(state, t):
        return divergence(lambda x: velocity(x, t.astype(z.dtype)), state[0])

    noise, change = ode.solve_adaptive(field, (z, jnp.zeros(z.shape[0], z.dtype)), 1.0, 0.0, tolerance)
    axes = tuple(range(1, z.ndim))
    dimensions = float(np.prod(z.shape[1:]))
    return -0.5 * (jnp.sum(noise**2, axes) + dimensions * math.log(2.0 * math.pi)) + change


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """How an image is drawn; the fields of `config.sample`, see configs/flow_cxr.py."""

    sampler: str = "midpoint"
    steps: int = 10
    guidance: float = 1.0
    guidance_low: float = 0.0
    guidance_high: float = 1.0
    tolerance: float = 1e-4


def networks(options: dict[str, Any]) -> tuple[str, ...]:
    """Names of the networks that need an optimiser, for `config.model`."""
    return ("net",)


def build(options: dict[str, Any], setting: Setting, updater: Updater) -> Flow:
    """The family from `config.model` (a plain dict), see configs/flow_cxr.py for its fields.

    Raises:
      ValueError: a name or a combination that does not exist.
    """
    options = dict(options) | {"prior": chosen_prior(options)}
    net = build_network(options, setting.image_shape[-1], setting)
    path = paths.build(options.pop("path"), options.pop("sigma_min"))
    center, sigma_data = options.pop("center"), options.pop("sigma_data")
    std = residual_std(center, setting.label_means, setting.std)
    pixels = pixel_scale(options.pop("normalise"), setting.mean, std, setting.bits, sigma_data)
    options.pop("prior_rank")  # of the covariance that is here already
    shown = options.pop("prior_shown")
    prior = pixel_prior(options.pop("prior"), sigma_data, setting.covariance, pixels, center, shown)
    mean = label_mean(center, setting.label_means, pixels)
    fields = ("time", "time_mean", "time_std", "coupling", "label_cost", "label_drop", "stratified")
    known = {name: options.pop(name) for name in fields}
    if options:
        raise ValueError(f"config.model.{next(iter(options))} is not a field of the flow family")
    for name, choices in (("time", paths.TIMES), ("coupling", coupling.COUPLINGS)):
        if known[name] not in choices:
            raise ValueError(f"config.model.{name} {known[name]!r} is unknown; choose one of {', '.join(choices)}")
    return Flow(net, path, prior, mean, pixels, updater, tuple(setting.image_shape), **known)
