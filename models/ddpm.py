"""Denoising diffusion: a conditional U-Net trained to denoise (Ho et al. 2020; Karras et al. 2022).

t = 0 is data, see `models/schedules.py`. The network works on z, the pixels centred and scaled by `pixels`.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from models import draws, guidance, likelihood, samplers, schedules
from models.denoiser import Denoised, DenoiseFn, Denoiser, per_image
from models.family import Batch, Setting
from models.label_mean import LabelMean, label_mean, residual_std
from models.networks import build_network, group_of
from models.pixel_prior import chosen_prior, pixel_prior
from models.pixels import PixelScale, pixel_scale
from models.state import State
from models.update import Updater, even_draws, example_keys, strata
from models.weights import WEIGHTS, loss_weight


@dataclasses.dataclass(frozen=True, eq=False)
class DDPM:
    """The family; built by `build` from `config.model`.

    Attributes:
      denoiser: network, schedule and target.
      mean: what images are centred on before they are noised.
      net: the Flax module behind the denoiser.
      pixels: scale of the pixels.
      updater: optimiser and moving average.
      image_shape: (h, w, c) of the images.
      weight: the loss weight's name (models/weights.py).
      min_snr_gamma: cap of the min-SNR weight.
      label_drop: probability that an example's label is hidden, for classifier-free guidance.
      stratified: draw the times of a batch one from each of b equal parts of [0, 1).
    """

    denoiser: Denoiser
    mean: LabelMean
    net: Any
    pixels: PixelScale
    updater: Updater
    image_shape: tuple[int, int, int]
    weight: str
    min_snr_gamma: float
    label_drop: float
    stratified: bool

    @property
    def fitted(self) -> int:
        """Numbers that were fitted to the training split before any step, beside the network's parameters."""
        return self.mean.numbers + self.denoiser.prior.numbers

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state; `batch` is read for its shapes."""
        image, label = jnp.zeros_like(batch["image"][:1]), jnp.zeros_like(batch["label"][:1])
        guess = jnp.zeros_like(image) if self.denoiser.prior.guesses else None
        params = self.net.init(key, image, jnp.zeros((1,)), label, None, guess)["params"]
        return self.updater.init({"net": params}, averaged=("net",))

    def train_step(self, state: State, batch: Batch, key: jax.Array):
        """One optimiser step on the whole batch.

        Returns:
          (state, scalars []: loss, grad_norm, and vlb_step where the variance is learned).
        """
        batch = self._draw(batch, key, training=True)
        return self.updater.step(state, "net", self._loss, batch)

    def eval_step(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """{"loss": [b]} of the averaged weights, without dropout or hidden labels."""
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
        schedule = self.denoiser.schedule
        times = samplers.time_grid(schedule, options.steps, options.spacing)
        if (options.sampler, options.variance) == ("ddpm", "learned") and not self.denoiser.learned_variance:
            raise ValueError("sample.variance=learned is of models that were trained with model.learned_variance=True")
        noise = draws.normal(draws.fold(keys, 0), self.image_shape)
        denoise = self.denoise_fn(state.sampling_params("net"), label, options)
        step_keys = draws.fold(keys, 1)
        z = samplers.sample(
            options.sampler, denoise, schedule, times, noise, step_keys, **options.of_sampler(self.denoiser)
        )
        return jnp.clip(self.pixels.to_pixels(z), -1.0, 1.0)

    def denoise_fn(self, params, label: jax.Array, options: "SampleOptions") -> DenoiseFn:
        """D(x, t) for these labels, with guidance and thresholding."""
        if options.guidance == 1.0 or not label.shape[-1]:  # without labels there is nothing to be guided by
            denoise = self._given(params, label)
        else:
            guidance.check(options.guidance, self.label_drop)
            both = guidance.given_and_free(partial(self._given, params), label)
            interval = (options.guidance_low, options.guidance_high)
            denoise = guidance.guided(both, self.denoiser.schedule, options.guidance, interval)
        return guidance.thresholded(denoise, options.threshold, self.pixels)

    def bits_per_dim(
        self, state: State, batch: Batch, key: jax.Array, method: str = "vlb", steps: int = 0, variance: str = "large"
    ) -> jax.Array:
        """Likelihood of stored images, bits/dim [b]: an upper bound (vlb) or the probability-flow ODE's (ode).

        Args:
          steps: steps of the bound; 0 takes the whole chain, or 256 of a continuous schedule.
          variance: of the bound's reverse steps, small or large; a learned one is used where there is one.
        """
        denoise = self.denoise_fn(state.sampling_params("net"), batch["label"], SampleOptions())
        z, schedule = self.pixels.to_network(batch["image"]), self.denoiser.schedule
        keys = example_keys(key, batch["id"])
        if method == "ode":
            return likelihood.ode_bits_per_dim(denoise, schedule, z, keys, self.pixels)
        steps = steps or getattr(schedule, "num_steps", 256)
        variance = "learned" if self.denoiser.learned_variance else variance
        return likelihood.vlb_bits_per_dim(denoise, schedule, z, keys, self.pixels, steps, variance)

    def likelihoods(self) -> dict[str, Callable]:
        """{kind: function of (state, batch, key) that gives bits/dim [b]}, the least loose first."""
        steps = getattr(self.denoiser.schedule, "num_steps", 256)
        return {"ODE": partial(self.bits_per_dim, method="ode"), f"VLB, {steps} steps": self.bits_per_dim}

    def _given(self, params, label: jax.Array) -> DenoiseFn:
        """The conditional denoiser of images that are not centred."""
        mean = self.mean(label)

        def denoise(x, t):
            alpha = per_image(self.denoiser.schedule.alpha_sigma(t)[0])
            out = self.denoiser(params, x - alpha * mean, t, label)
            return Denoised(out.x0 + mean, out.fraction)

        return denoise

    def param_group(self, path: tuple[str, ...]) -> str:
        """Where a parameter stands: stem, label, head or body; fine-tuning treats them apart."""
        return group_of(path)

    def warnings(self, scalars: dict[str, float]) -> list[str]:
        """None: its loss says all."""
        return []

    def _draw(self, batch: Batch, key: jax.Array, training: bool) -> Batch:
        """Adds each example's noise, time, keys and hidden label, from its own key."""
        keys = jax.vmap(lambda k: jax.random.split(k, 4))(example_keys(key, batch["id"]))
        u = jax.vmap(jax.random.uniform)(keys[:, 0]) if training else even_draws(batch["id"])
        if training and self.stratified:
            u = strata(u, key)
        eps = draws.normal(keys[:, 1], batch["image"].shape[1:])
        label = batch["label"]
        if training:
            hidden = jax.vmap(jax.random.uniform)(keys[:, 2]) < self.label_drop
            label = guidance.drop_labels(label, hidden)
        z = self.pixels.to_network(batch["image"]) - self.mean(label)
        drawn = {"z": z, "eps": eps, "t": self.denoiser.schedule.sample_time(u), "label": label}
        if training:
            drawn["dropout"] = keys[:, 3]
        return batch | drawn

    def _loss(self, params, batch: Batch):
        """Per-example loss [b], and scalars [b] to log."""
        t, x0, eps = batch["t"], batch["z"], batch["eps"]
        alpha, sigma = (a[:, None, None, None] for a in self.denoiser.schedule.alpha_sigma(t))
        x = alpha * x0 + sigma * eps
        prediction, fraction = self.denoiser.raw(params, x, t, batch["label"], batch.get("dropout"))
        error = jnp.square(prediction - self.denoiser.target_of(x0, eps, x, t))
        loss = loss_weight(self.weight, self.denoiser, t, self.min_snr_gamma) * jnp.mean(error, (1, 2, 3))
        scalars = {}
        if fraction is not None:
            mean = self.mean(batch["label"])
            denoised = Denoised(jax.lax.stop_gradient(self.denoiser.to_x0(prediction, x, t)) + mean, fraction)
            schedule = self.denoiser.schedule
            bound = likelihood.step_bits(denoised, schedule, x0 + mean, x + alpha * mean, t, self.pixels)
            # OpenAI's lambda: 0.001 on the sum over a chain of 1000, T / 1000 on one step's term.
            loss += bound * (self.denoiser.schedule.num_steps / 1000.0)
            scalars["vlb_step"] = bound
        return loss, scalars


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """How an image is drawn; the fields of `config.sample`, see configs/ddpm_cxr.py."""

    sampler: str = "dpmpp_sde"
    steps: int = 20
    guidance: float = 1.0
    guidance_low: float = 0.0
    guidance_high: float = float("inf")
    spacing: str = "auto"
    threshold: str = "none"
    eta: float = 0.0
    variance: str = "auto"

    def of_sampler(self, denoiser: Denoiser) -> dict[str, Any]:
        """The options that only one sampler takes."""
        if self.sampler == "ddim":
            return {"eta": self.eta}
        if self.sampler == "ddpm":
            auto = "learned" if denoiser.learned_variance else "small"
            return {"variance": auto if self.variance == "auto" else self.variance}
        return {}


def networks(options: dict[str, Any]) -> tuple[str, ...]:
    """Names of the networks that need an optimiser, for `config.model`."""
    return ("net",)


def build(options: dict[str, Any], setting: Setting, updater: Updater) -> DDPM:
    """The family from `config.model` (a plain dict), see configs/ddpm_cxr.py for its fields.

    Raises:
      ValueError: a name or a combination that does not exist.
    """
    options = dict(options) | {"prior": chosen_prior(options)}
    schedule = schedules.build(options.pop("schedule"), options.pop("schedule_options"))
    learned, weight = options.pop("learned_variance"), options["weight"]
    if learned and not isinstance(schedule, schedules.DiscreteVP):
        raise ValueError("model.learned_variance needs a discrete schedule (linear, cosine, sigmoid)")
    if weight not in WEIGHTS:
        raise ValueError(f"model.weight {weight!r} is unknown; choose one of {', '.join(WEIGHTS)}")
    channels = setting.image_shape[-1]
    net = build_network(options, channels * (2 if learned else 1), setting)
    sigma_data, center = options.pop("sigma_data"), options.pop("center")
    std = residual_std(center, setting.label_means, setting.std)
    pixels = pixel_scale(options.pop("normalise"), setting.mean, std, setting.bits, sigma_data)
    mean = label_mean(center, setting.label_means, pixels)
    options.pop("prior_rank")  # of the covariance that is here already
    shown = options.pop("prior_shown")
    prior = pixel_prior(options.pop("prior"), sigma_data, setting.covariance, pixels, center, shown)
    if prior is None:
        raise ValueError("model.prior 'none' is the flow's; a denoiser takes isotropic or gaussian")
    denoiser = Denoiser(
        lambda params, *inputs: net.apply({"params": params}, *inputs),
        schedule,
        options.pop("target"),
        sigma_data,
        learned,
        prior,
    )
    fields = ("weight", "min_snr_gamma", "label_drop", "stratified")
    known = {name: options.pop(name) for name in fields}
    if options:
        raise ValueError(f"config.model.{next(iter(options))} is not a field of the ddpm family")
    return DDPM(denoiser, mean, net, pixels, updater, tuple(setting.image_shape), **known)
