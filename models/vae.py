"""Variational autoencoder with one or several groups of latents, conditional on the label (Kingma and Welling 2014).

The bound is that of the stored pixels, in bits/dim, under a discretised likelihood whose scale is learned.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from models.discretised import discretised_gaussian, discretised_logistic
from models.family import Batch, Setting
from models.pixels import PixelScale, pixel_scale
from models.state import State
from models.update import Updater, example_keys
from models.vae_nets import VAENet, divergence

NETWORKS = ("net",)
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
      likelihood: of a stored pixel: logistic or gaussian, each with a learned mean and scale.
      beta: weight of the KL terms; 1 is the ELBO.
      warmup: steps over which beta rises from 0.
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

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state; `batch` is read for its shapes."""
        image, label = jnp.zeros_like(batch["image"][:1]), jnp.zeros_like(batch["label"][:1])
        noise = [jnp.zeros((1, *shape)) for shape in self.net.noise_shapes()]
        params = self.net.init(key, image, label, noise)["params"]
        return self.updater.init({"net": params}, averaged=("net",))

    def train_step(self, state: State, batch: Batch, key: jax.Array):
        """One optimiser step on the whole batch.

        Returns:
          (state, scalars []): loss (with beta and free bits), and in bits/dim: elbo, reconstruction and the KL of each
          group, kl_0 the coarsest; grad_norm.
        """
        noise = self._noise(example_keys(key, batch["id"]))
        beta = self.beta * jnp.minimum(1.0, (state.step + 1) / max(self.warmup, 1))
        beta = jnp.broadcast_to(beta, batch["weight"].shape)
        return self.updater.step(state, "net", self._loss, batch | {"noise": noise, "beta": beta})

    def eval_step(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Per example [b], of the averaged weights, bits/dim: loss (the negative ELBO), reconstruction, kl_0 ..."""
        noise = self._noise(example_keys(key, batch["id"]))
        log_likelihood, kls = self._terms(state.sampling_params("net"), batch, noise)
        return self._bits(log_likelihood, kls, "loss")

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
        out, _ = self._apply(state.sampling_params("net"), batch, noise)
        return self._mean_image(out)

    def codes(self, state: State, batch: Batch) -> list[jax.Array]:
        """Posterior means of each group [b, h, w, latent], from the coarsest upwards."""
        noise = [jnp.zeros((len(batch["image"]), *shape)) for shape in self.net.noise_shapes()]
        _, groups = self._apply(state.sampling_params("net"), batch, noise)
        return [posterior.mean for _, _, posterior in groups]

    def decode(self, state: State, codes: list[jax.Array], label: jax.Array) -> jax.Array:
        """Images [b, h, w, c] of codes as `codes` gives them."""
        params = {"params": state.sampling_params("net")}
        out, _ = self.net.apply(params, label, codes, None, 1.0, True, method=self.net.decode)
        return self._mean_image(out)

    def importance_bits_per_dim(self, state: State, batch: Batch, key: jax.Array, k: int) -> jax.Array:
        """Importance-weighted bound on the bits/dim [b] with k codes an image (Burda et al. 2016, eq. 8)."""
        params = state.sampling_params("net")

        def one(i):
            keys = example_keys(jax.random.fold_in(key, i), batch["id"])
            out, groups = self._apply(params, batch, self._noise(keys))
            weight = self._log_likelihood(out, batch["image"])
            for z, prior, posterior in groups:
                weight += prior.log_density(z) - posterior.log_density(z)
            return weight

        weights = jax.lax.map(one, jnp.arange(k))
        return (math.log(k) - jax.nn.logsumexp(weights, axis=0)) / (self._dims * math.log(2.0))

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

    def _noise(self, keys: jax.Array) -> list[jax.Array]:
        """Standard normal numbers of each group [b, h, w, latent]."""
        draw = lambda i, shape: jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, i), shape))(keys)  # noqa: E731
        return [draw(i, shape) for i, shape in enumerate(self.net.noise_shapes())]

    def _apply(self, params, batch: Batch, noise):
        return self.net.apply({"params": params}, self.pixels.to_network(batch["image"]), batch["label"], noise)

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

    def _terms(self, params, batch: Batch, noise):
        """(log P(image | code) [b], [KL of each group [b]]), nats."""
        out, groups = self._apply(params, batch, noise)
        return self._log_likelihood(out, batch["image"]), [divergence(q, p) for _, p, q in groups]

    def _bits(self, log_likelihood, kls, total: str) -> dict[str, jax.Array]:
        unit = self._dims * math.log(2.0)
        scalars = {f"kl_{i}": kl / unit for i, kl in enumerate(kls)}
        reconstruction = -log_likelihood / unit
        return {total: reconstruction + sum(scalars.values()), "reconstruction": reconstruction} | scalars

    def _loss(self, params, batch: Batch):
        """Per-example loss in bits/dim [b], and scalars [b]."""
        log_likelihood, kls = self._terms(params, batch, batch["noise"])
        cost = sum(jnp.maximum(kl, self.free_bits) for kl in kls)
        loss = (batch["beta"] * cost - log_likelihood) / (self._dims * math.log(2.0))
        return loss, self._bits(log_likelihood, kls, "elbo")


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """How an image is drawn; the fields of `config.sample`, see configs/vae_cxr.py."""

    temperature: float = 1.0


def build(options: dict[str, Any], setting: Setting, updater: Updater) -> VAE:
    """The family from `config.model` (a plain dict), see configs/vae_cxr.py for its fields.

    Raises:
      ValueError: a combination that does not exist.
    """
    options = dict(options)
    height, width, channels = setting.image_shape
    shape = {name: tuple(options.pop(name)) for name in ("channels", "latents")}
    patch = options.pop("patch")
    stride = patch * 2 ** (len(shape["channels"]) - 1)
    if height != width or height % stride:
        raise ValueError(f"the vae family makes square images whose side {stride} divides, not {height} x {width}")
    if len(shape["latents"]) != len(shape["channels"]) or not any(shape["latents"]):
        raise ValueError("model.latents needs a number for each of model.channels, and one above 0")
    likelihood = options["likelihood"]
    if likelihood not in LIKELIHOODS:
        raise ValueError(f"model.likelihood {likelihood!r} is unknown; choose one of {', '.join(LIKELIHOODS)}")
    dtype = {} if setting.compute_dtype is None else {"dtype": setting.compute_dtype}
    net = VAENet(
        out_channels=2 * channels,
        image_size=height,
        patch=patch,
        blocks=options.pop("blocks"),
        embedding=options.pop("embedding"),
        **shape,
        **dtype,
    )
    pixels = pixel_scale("data", setting.mean, setting.std, setting.bits, 1.0)
    known = {name: options.pop(name) for name in ("likelihood", "beta", "warmup", "free_bits")}
    if options:
        raise ValueError(f"config.model.{next(iter(options))} is not a field of the vae family")
    return VAE(net, pixels, updater, tuple(setting.image_shape), **known)
