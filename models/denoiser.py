"""From the network's output to the denoised image: what F predicts (Salimans and Ho 2022; Karras et al. 2022).

One place turns (network output, x_t, t) into x_0, so that samplers and likelihoods know neither the target nor the
network. EDM's preconditioning is applied to x_t / alpha, so it serves the variance-preserving schedules as well.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from models.pixel_prior import PixelPrior
from models.schedules import Schedule

TARGETS = ("eps", "x0", "v", "edm")


class Denoised(NamedTuple):
    """What a denoiser says of x_t.

    Attributes:
      x0: [b, h, w, c] the expected clean image.
      fraction: [b, h, w, c] or None; where the variance is learned, the place of log variance between the posterior's
        (0) and beta (1).
    """

    x0: jax.Array
    fraction: jax.Array | None = None


DenoiseFn = Callable[[jax.Array, jax.Array], Denoised]


@dataclasses.dataclass(frozen=True, eq=False)
class Denoiser:
    """D(x_t; t), built around a network F.

    Attributes:
      network: (params, x, noise condition [b], label, keys, guess) -> [b, h, w, c], or 2 c channels with a learned
        variance; guess [b, h, w, c] is the prior's linear estimate of x_0, None where it shows none.
      schedule: gives alpha and sigma.
      target: what F predicts: eps, x0, v = alpha eps - sigma x_0, or edm.
      sigma_data: standard deviation of the data that EDM's preconditioning assumes.
      prior: of the data, whose posterior mean F adds to where the target is edm; None is N(0, sigma_data^2), EDM's own.
      learned_variance: the second half of F's channels is the variance fraction.
    """

    network: Callable
    schedule: Schedule
    target: str = "edm"
    sigma_data: float = 0.5
    learned_variance: bool = False
    prior: PixelPrior | None = None

    def __post_init__(self):
        if self.prior is None:
            object.__setattr__(self, "prior", PixelPrior(self.sigma_data**2))
        if self.prior.basis is not None and self.target != "edm":
            raise ValueError(f"model.prior 'gaussian' needs model.target 'edm', not {self.target!r}")
        if self.target not in TARGETS:
            raise ValueError(f"model.target {self.target!r} is unknown; choose one of {', '.join(TARGETS)}")
        if self.target == "v" and not self.schedule.unit_variance:
            raise ValueError("model.target 'v' needs a variance-preserving schedule; use 'edm' with the edm schedule")

    def raw(self, params, x, t, label, keys=None) -> tuple[jax.Array, jax.Array | None]:
        """F's two outputs (prediction, fraction) for x_t [b, h, w, c] at times t [b]."""
        condition = jnp.broadcast_to(self.schedule.noise_condition(t), x.shape[:1])
        guess = self.prior.guess(x, *self._coefficients(t))
        out = self.network(params, self._input_scale(t) * x, condition, label, keys, guess).astype(jnp.float32)
        if not self.learned_variance:
            return out, None
        prediction, value = jnp.split(out, 2, axis=-1)
        return prediction, 0.5 * (value + 1.0)

    def __call__(self, params, x, t, label, keys=None) -> Denoised:
        prediction, fraction = self.raw(params, x, t, label, keys)
        return Denoised(self.to_x0(prediction, x, t), fraction)

    def to_x0(self, prediction: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        """x_0 from F's prediction."""
        alpha, sigma = self._coefficients(t)
        if self.target == "x0":
            return prediction
        if self.target == "eps":
            return (x - sigma * prediction) / alpha
        if self.target == "v":
            return alpha * x - sigma * prediction
        return self._linear(x, alpha, sigma) + self.left(sigma / alpha) * prediction

    def target_of(self, x0: jax.Array, eps: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        """What F should have said of x_t = alpha x_0 + sigma eps."""
        alpha, sigma = self._coefficients(t)
        if self.target == "x0":
            return x0
        if self.target == "eps":
            return eps
        if self.target == "v":
            return alpha * eps - sigma * x0
        return (x0 - self._linear(x, alpha, sigma)) / self.left(sigma / alpha)

    def _coefficients(self, t):
        alpha, sigma = self.schedule.alpha_sigma(t)
        return per_image(alpha), per_image(sigma)

    def _linear(self, x, alpha, sigma):
        """The prior's posterior mean of x_0; EDM's c_skip x_t / alpha where it is isotropic."""
        level2 = (sigma / alpha) ** 2
        return self.prior.apply(lambda variance: variance / (variance + level2), x / alpha)

    def left(self, level):
        """Root mean square of what that mean leaves at noise levels sigma / alpha; EDM's c_out."""
        return jnp.sqrt(self.prior.average(lambda variance: variance * level**2 / (variance + level**2)))

    def _input_scale(self, t):
        """c_in: 1 where x_t already has unit scale, unless F is EDM's."""
        alpha, sigma = self._coefficients(t)
        if self.schedule.unit_variance and self.target != "edm":
            return 1.0
        return 1.0 / (alpha * jnp.sqrt((sigma / alpha) ** 2 + self.sigma_data**2))


def per_image(t: jax.Array) -> jax.Array:
    """[b] -> [b, 1, 1, 1]; a scalar stays one."""
    return t[:, None, None, None] if jnp.ndim(t) == 1 else t
