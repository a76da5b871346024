"""From the network's output to the denoised image: what F predicts (Salimans and Ho 2022; Karras et al. 2022).

One place turns (network output, x_t, t) into x_0, so that samplers and likelihoods know neither the target nor the
network. EDM's preconditioning is applied to x_t / alpha, so it serves the variance-preserving schedules as well.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

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
      network: (params, x, noise condition [b], label, keys) -> [b, h, w, c], or 2 c channels with a learned variance.
      schedule: gives alpha and sigma.
      target: what F predicts: eps, x0, v = alpha eps - sigma x_0, or edm.
      sigma_data: standard deviation of the data that EDM's preconditioning assumes.
      learned_variance: the second half of F's channels is the variance fraction.
    """

    network: Callable
    schedule: Schedule
    target: str = "edm"
    sigma_data: float = 0.5
    learned_variance: bool = False

    def __post_init__(self):
        if self.target not in TARGETS:
            raise ValueError(f"model.target {self.target!r} is unknown; choose one of {', '.join(TARGETS)}")
        if self.target == "v" and not self.schedule.unit_variance:
            raise ValueError("model.target 'v' needs a variance-preserving schedule; use 'edm' with the edm schedule")

    def raw(self, params, x, t, label, keys=None) -> tuple[jax.Array, jax.Array | None]:
        """F's two outputs (prediction, fraction) for x_t [b, h, w, c] at times t [b]."""
        condition = jnp.broadcast_to(self.schedule.noise_condition(t), x.shape[:1])
        out = self.network(params, self._input_scale(t) * x, condition, label, keys).astype(jnp.float32)
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
        skip, out = self._edm_scales(alpha, sigma)
        return skip * (x / alpha) + out * prediction

    def target_of(self, x0: jax.Array, eps: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        """What F should have said of x_t = alpha x_0 + sigma eps."""
        alpha, sigma = self._coefficients(t)
        if self.target == "x0":
            return x0
        if self.target == "eps":
            return eps
        if self.target == "v":
            return alpha * eps - sigma * x0
        skip, out = self._edm_scales(alpha, sigma)
        return (x0 - skip * (x / alpha)) / out

    def _coefficients(self, t):
        alpha, sigma = self.schedule.alpha_sigma(t)
        return per_image(alpha), per_image(sigma)

    def _edm_scales(self, alpha, sigma):
        """(c_skip, c_out) at the noise level sigma / alpha."""
        level, data = sigma / alpha, self.sigma_data
        total = level**2 + data**2
        return data**2 / total, level * data * jax.lax.rsqrt(total)

    def _input_scale(self, t):
        """c_in: 1 where x_t already has unit scale, unless F is EDM's."""
        alpha, sigma = self._coefficients(t)
        if self.schedule.unit_variance and self.target != "edm":
            return 1.0
        return 1.0 / (alpha * jnp.sqrt((sigma / alpha) ** 2 + self.sigma_data**2))


def per_image(t: jax.Array) -> jax.Array:
    """[b] -> [b, 1, 1, 1]; a scalar stays one."""
    return t[:, None, None, None] if jnp.ndim(t) == 1 else t
