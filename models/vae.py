"""Variational autoencoder with one or several groups of latents, conditional on the label (Kingma and Welling 2014).

The bound is that of the stored pixels, in bits/dim, under a discretised likelihood whose scale is learned. The
objectives that the field compares with it are options: a plain autoencoder, a denoising one (Vincent et al. 2008), and
the bound with a discriminator (models/vae_gan.py).
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from models import draws
from models.discretised import discretised_gaussian, discretised_logistic
from models.family import Batch, Setting
from models.lora import LowRank
from models.pixels import PixelScale, pixel_scale
from models.state import State
from models.update import Updater, example_keys
from models.vae_nets import VAENet, divergence

CODES = 100  # drawn an image for the importance-weighted bound

POINTS = ("autoencoder", "denoising")
OBJECTIVES = ("elbo", *POINTS, "adversarial")
LIKELIHOODS = {"logistic": discretised_logistic, "gaussian": discretised_gaussian}
LOWEST, HIGHEST = -7.0, 2.0  # of the likelihood's log scale, in units of the pixels' deviation


@dataclasses.dataclass(frozen=True, eq=False)
class VAE:
    """The family; built by `build` from `config.model`.

    Attributes:
      net: the Flax module.
      pixels: scale of the pixels.
      updater: optimiser and moving average.
      image_shape: (h, w, c) of the images.
      objective: elbo, autoencoder (points for codes, no KL), denoising (the same, of a noisy image), adversarial.
      corruption: deviation of denoising's noise, images lying in [-1, 1].
      likelihood: of a stored pixel: logistic or gaussian, each with a learned mean and scale.
      beta: weight of the KL terms; 1 is the ELBO.
      warmup: steps over which beta rises from 0; at the finest of several levels it is whole from the start, so that
        the coarse codes, cheap at first, come to hold what can be told of the whole image.
      free_bits: nats of each group's KL, an image, that cost nothing more to use (Kingma et al. 2016, in each example).
    """

    net: VAENet
    pixels: PixelScale
    updater: Updater
    image_shape: tuple[int, int, int]
    likelihood: str
    beta: float
    warmup: int
    free_bits: float
    objective: str = "elbo"
    corruption: float = 0.0

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state; `batch` is read for its shapes."""
        return self.updater.init({"net": self.init_params(key, batch)}, averaged=("net",))

    def init_params(self, key: jax.Array, batch: Batch):
        """Fresh parameters of the encoder and the decoder."""
        image, label = jnp.zeros_like(batch["image"][:1]), jnp.zeros_like(batch["label"][:1])
        return self.net.init(key, image, label, [jnp.zeros((1, *shape)) for shape in self.net.noise_shapes()])["params"]

    def train_step(self, state: State, batch: Batch, key: jax.Array):
        """One optimiser step on the whole batch.

        Returns:
          (state, scalars []): loss (with beta and free bits), and in bits/dim: elbo, reconstruction and the KL of each
          group, kl_0 the coarsest; grad_norm. Of an autoencoder, without elbo, and with code_0 ... for kl_0 ...: the
          code's negative log density under the prior that is fitted to it.
        """
        return self.updater.step(state, "net", self._loss, self._draw(state, batch, key))

    def eval_step(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Per example [b], of the averaged weights, bits/dim: loss (the negative ELBO), reconstruction, kl_0 ...

        An autoencoder's loss is its reconstruction, given the code: it bounds no likelihood.
        """
        log_likelihood, costs, _ = self._terms(state.sampling_params("net"), self._draw(state, batch, key))
        return self._bits(log_likelihood, costs, "loss")

    def sample(self, state: State, keys: jax.Array, label: jax.Array, **options) -> jax.Array:
        """Images [b, h, w, c] in [-1, 1] of the averaged weights: the likelihood's mean for a code from the prior.

        Args:
          keys: [b] one key an image.
          label: [b, k]; -1 only where the training labels had unknown entries too.
          **options: fields of `SampleOptions`.
        """
        options = SampleOptions(**options)
        params = {"params": state.sampling_params("net")}
        out, _ = self.net.apply(
            params, label, self._noise(keys), None, options.temperature, method=self.net.decode
        )
        return self._mean_image(out)

    def reconstruct(self, state: State, batch: Batch) -> jax.Array:
        """Images [b, h, w, c] from the posterior's means."""
        noise = [jnp.zeros((len(batch["image"]), *shape)) for shape in self.net.noise_shapes()]
        out, _ = self._apply(state.sampling_params("net"), batch["image"], batch["label"], noise)
        return self._mean_image(out)

    def codes(self, state: State, batch: Batch) -> list[jax.Array]:
        """Posterior means of each group [b, h, w, latent], from the coarsest upwards."""
        noise = [jnp.zeros((len(batch["image"]), *shape)) for shape in self.net.noise_shapes()]
        _, groups = self._apply(state.sampling_params("net"), batch["image"], batch["label"], noise)
        return [posterior.mean for _, _, posterior in groups]

    def shifts(self, state: State, batch: Batch) -> list[jax.Array]:
        """What the image itself says in each group [b, h, w, latent]: its posterior's mean relative to the prior.

        In deviations of the prior, which the groups above move; of an autoencoder, the code.
        """
        noise = [jnp.zeros((len(batch["image"]), *shape)) for shape in self.net.noise_shapes()]
        _, groups = self._apply(state.sampling_params("net"), batch["image"], batch["label"], noise)
        if self.is_point:
            return [posterior.mean for _, _, posterior in groups]
        return [(posterior.mean - prior.mean) * jnp.exp(-prior.log_std) for _, prior, posterior in groups]

    def decode(self, state: State, codes: list[jax.Array], label: jax.Array) -> jax.Array:
        """Images [b, h, w, c] of codes as `codes` gives them."""
        return self._mean_image(self._decoded(state.sampling_params("net"), label, codes))

    def importance_bits_per_dim(self, state: State, batch: Batch, key: jax.Array, k: int) -> jax.Array:
        """Importance-weighted bound on the bits/dim [b] with k codes an image (Burda et al. 2016, eq. 8).

        Raises:
          ValueError: an autoencoder, which bounds no likelihood.
        """
        if self.is_point:
            raise ValueError(f"model.objective {self.objective!r} bounds no likelihood")
        params = state.sampling_params("net")

        def one(i):
            keys = example_keys(jax.random.fold_in(key, i), batch["id"])
            out, groups = self._apply(params, batch["image"], batch["label"], self._noise(keys))
            weight = self._log_likelihood(out, batch["image"])
            for z, prior, posterior in groups:
                weight += prior.log_density(z) - posterior.log_density(z)
            return weight

        weights = jax.lax.map(one, jnp.arange(k))
        return (math.log(k) - jax.nn.logsumexp(weights, axis=0)) / (self._dims * math.log(2.0))

    def likelihoods(self) -> dict[str, Callable]:
        """{kind: function of (state, batch, key) that gives bits/dim [b]}; none of an autoencoder."""
        if self.is_point:
            return {}
        return {f"IWAE, k = {CODES}": partial(self.importance_bits_per_dim, k=CODES)}

    def param_group(self, path: tuple[str, ...]) -> str:
        """Where a parameter stands: stem, label, head or body."""
        if "label_embedding" in path:
            return "label"
        if path and path[0] in ("conv_in",):
            return "stem"
        return "head" if path and path[0] in ("norm_out", "conv_out") else "body"

    def warnings(self, scalars: dict[str, float]) -> list[str]:
        """Says so where no group carries anything (posterior collapse)."""
        kls = [value for name, value in scalars.items() if name.startswith("kl_")]
        if not kls or sum(kls) * self._dims * math.log(2.0) > 1.0:
            return []
        return ["posterior collapse: the code holds less than one nat an image; raise config.model.warmup or free_bits"]

    @property
    def _dims(self) -> int:
        return math.prod(self.image_shape)

    @property
    def is_point(self) -> bool:
        """Whether codes are points, as in an autoencoder: then no likelihood is bounded."""
        return self.objective in POINTS

    def _draw(self, state: State, batch: Batch, key: jax.Array) -> Batch:
        """Adds each example's noise from its own key, what the encoder sees, and this step's beta."""
        keys = example_keys(key, batch["id"])
        beta = self._betas(state.step)
        batch = batch | {"noise": self._noise(keys), "seen": batch["image"]}
        if self.objective == "denoising":
            batch["seen"] += self.corruption * self._normal(keys, len(batch["noise"]), self.image_shape)
        return batch | {"beta": jnp.broadcast_to(beta, (len(keys), len(beta)))}

    def _betas(self, step: jax.Array) -> jax.Array:
        """Weight of each group's KL on this step, from the coarsest upwards."""
        sides = [shape[0] for shape in self.net.noise_shapes()]
        risen = jnp.minimum(1.0, (step + 1) / max(self.warmup, 1))
        whole = jnp.asarray([side == sides[-1] > sides[0] for side in sides])
        return self.beta * jnp.where(whole, 1.0, risen)

    def _normal(self, keys: jax.Array, stream: int, shape: tuple[int, ...]) -> jax.Array:
        """[b, *shape] standard normal numbers, other ones for each `stream`."""
        return draws.normal(draws.fold(keys, stream), shape)

    def _noise(self, keys: jax.Array) -> list[jax.Array]:
        """Standard normal numbers of each group [b, h, w, latent]."""
        return [self._normal(keys, i, shape) for i, shape in enumerate(self.net.noise_shapes())]

    def _apply(self, params, image: jax.Array, label: jax.Array, noise):
        return self.net.apply({"params": params}, self.pixels.to_network(image), label, noise)

    def _decoded(self, params, label: jax.Array, codes) -> jax.Array:
        """The decoder's output for codes as they are."""
        return self.net.apply({"params": params}, label, codes, None, 1.0, True, method=self.net.decode)[0]

    def _mean_image(self, out: jax.Array) -> jax.Array:
        return jnp.clip(self.pixels.to_pixels(self._likelihood(out)[0]), -1.0, 1.0)

    def _likelihood(self, out: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log scale [b, h, w, c] of the pixels' distribution, on the network's scale."""
        mean, raw = jnp.split(out, 2, axis=-1)
        middle, reach = (HIGHEST + LOWEST) / 2, (HIGHEST - LOWEST) / 2
        return mean, middle + reach * jnp.tanh((raw - middle) / reach)  # the identity near the middle, never beyond

    def _log_likelihood(self, out: jax.Array, image: jax.Array) -> jax.Array:
        """log P(image | code), nats [b]."""
        mean, log_scale = self._likelihood(out)
        log_probability = LIKELIHOODS[self.likelihood]
        return log_probability(self.pixels.to_network(image), mean, log_scale, self.pixels).sum((1, 2, 3))

    def _terms(self, params, batch: Batch):
        """(log P(image | code) [b], [cost of each group's code [b]], [codes]), nats, of a batch of `_draw`.

        The cost is the KL to the prior; of a point, its negative log density, which moves the prior alone.
        """
        out, groups = self._apply(params, batch["seen"], batch["label"], batch["noise"])
        if self.is_point:
            costs = [-p.log_density(jax.lax.stop_gradient(z)) for z, p, _ in groups]
        else:
            costs = [divergence(q, p) for _, p, q in groups]
        return self._log_likelihood(out, batch["image"]), costs, [z for z, _, _ in groups]

    def _bits(self, log_likelihood, costs, total: str) -> dict[str, jax.Array]:
        unit = self._dims * math.log(2.0)
        reconstruction, name = -log_likelihood / unit, "code" if self.is_point else "kl"
        scalars = {f"{name}_{i}": cost / unit for i, cost in enumerate(costs)} | {"reconstruction": reconstruction}
        if not self.is_point:
            return scalars | {total: sum(scalars.values())}
        return scalars | ({total: reconstruction} if total == "loss" else {})

    def _loss(self, params, batch: Batch):
        """Per-example loss in bits/dim [b], and scalars [b]."""
        return self._weigh(batch, *self._terms(params, batch)[:2])

    def _weigh(self, batch: Batch, log_likelihood: jax.Array, costs: list[jax.Array]):
        """The same, of what `_terms` gave."""
        scalars = self._bits(log_likelihood, costs, "elbo")
        if not self.is_point:
            costs = [batch["beta"][:, i] * jnp.maximum(c, self.free_bits) for i, c in enumerate(costs)]
        cost = sum(costs)
        loss = (cost - log_likelihood) / (self._dims * math.log(2.0))
        return loss, scalars


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """How an image is drawn; the fields of `config.sample`, see configs/vae_cxr.py."""

    temperature: float = 1.0


def networks(options: dict[str, Any]) -> tuple[str, ...]:
    """Names of the networks that need an optimiser, for `config.model`."""
    return ("net", "discriminator") if options["objective"] == "adversarial" else ("net",)


def build(options: dict[str, Any], setting: Setting, updater: Updater) -> VAE:
    """The family from `config.model` (a plain dict), see configs/vae_cxr.py for its fields.

    Raises:
      ValueError: a name or a combination that does not exist.
    """
    options = dict(options)
    for name, choices in (("likelihood", LIKELIHOODS), ("objective", OBJECTIVES)):
        if options[name] not in choices:
            raise ValueError(f"model.{name} {options[name]!r} is unknown; choose one of {', '.join(choices)}")
    judge, net = options.pop("discriminator"), _build_net(options, setting)
    pixels = pixel_scale("data", setting.mean, setting.std, setting.bits, 1.0)
    fields = ("likelihood", "beta", "warmup", "free_bits", "objective", "corruption")
    known = {name: options.pop(name) for name in fields}
    if options:
        raise ValueError(f"config.model.{next(iter(options))} is not a field of the vae family")
    shared = (net, pixels, updater, tuple(setting.image_shape))
    if known["objective"] != "adversarial":
        return VAE(*shared, **known)
    from models import vae_gan  # which is made of this module

    return vae_gan.build(judge, setting, shared, known)


def _build_net(options: dict[str, Any], setting: Setting) -> VAENet | LowRank:
    """The network, its fields taken out of `options`."""
    height, width, channels = setting.image_shape
    shape = {name: tuple(options.pop(name)) for name in ("channels", "groups", "latents")}
    patch = options.pop("patch")
    stride = patch * 2 ** (len(shape["channels"]) - 1)
    if height != width or height % stride:
        raise ValueError(f"the vae family makes square images whose side {stride} divides, not {height} x {width}")
    for name in ("groups", "latents"):
        if len(shape[name]) != len(shape["channels"]) or not any(shape[name]):
            raise ValueError(f"model.{name} needs a number for each of model.channels, and one above 0")
    if any(number and not size for number, size in zip(shape["groups"], shape["latents"], strict=True)):
        raise ValueError("model.latents must be above 0 wherever model.groups is")
    dtype = {} if setting.compute_dtype is None else {"dtype": setting.compute_dtype}
    net = VAENet(
        out_channels=2 * channels,
        image_size=height,
        patch=patch,
        blocks=options.pop("blocks"),
        embedding=options.pop("embedding"),
        norm_groups=options.pop("norm_groups"),
        point=options["objective"] in POINTS,
        **shape,
        **dtype,
    )
    return setting.adapt(net)
