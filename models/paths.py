"""Probability paths of flow matching: x_t = alpha(t) x_1 + sigma(t) eps, eps ~ N(0, I).

In flow matching t = 0 is noise and t = 1 is data, as in Lipman et al. (2023) and opposite to models/schedules.py.
All functions take numpy (float64, on the host) or JAX arrays alike.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from models.pixel_prior import Gain, PixelPrior

TIMES = ("uniform", "logit_normal")


@dataclasses.dataclass(frozen=True)
class Linear:
    """Straight lines from noise to data (Lipman et al. 2023, eq. 20-23; rectified flow where sigma_min is 0)."""

    sigma_min: float = 0.0

    def coefficients(self, t):
        """(alpha, sigma) at t."""
        return t, 1.0 - (1.0 - self.sigma_min) * t

    def rates(self, t):
        """(d alpha / dt, d sigma / dt) at t."""
        one = _ones_like(t)
        return one, -(1.0 - self.sigma_min) * one


@dataclasses.dataclass(frozen=True)
class Cosine:
    """alpha = sin(pi t / 2), sigma = cos(pi t / 2) (Albergo and Vanden-Eijnden 2023, the trigonometric interpolant)."""

    def coefficients(self, t):
        xp = _array_module(t)
        return xp.sin(0.5 * math.pi * t), xp.cos(0.5 * math.pi * t)

    def rates(self, t):
        xp = _array_module(t)
        return 0.5 * math.pi * xp.cos(0.5 * math.pi * t), -0.5 * math.pi * xp.sin(0.5 * math.pi * t)


@dataclasses.dataclass(frozen=True)
class VP:
    """The variance-preserving diffusion run backwards (Lipman et al. 2023, eq. 19), beta linear in 1 - t.

    It ends at `t_end` < 1, where d sigma / dt is still finite: at t = 1 the velocity has a pole.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_end: float = 1.0 - 1e-3

    def coefficients(self, t):
        xp = _array_module(t)
        s, slope = 1.0 - t * self.t_end, self.beta_max - self.beta_min
        log_alpha_bar = -(self.beta_min * s + 0.5 * slope * s**2)
        return xp.exp(0.5 * log_alpha_bar), xp.sqrt(-xp.expm1(log_alpha_bar))

    def rates(self, t):
        alpha, sigma = self.coefficients(t)
        s = 1.0 - t * self.t_end
        beta = self.beta_min + (self.beta_max - self.beta_min) * s
        alpha_rate = 0.5 * beta * self.t_end * alpha
        return alpha_rate, -alpha * alpha_rate / sigma  # alpha^2 + sigma^2 = 1


Path = Linear | Cosine | VP
PATHS = {"linear": Linear, "cosine": Cosine, "vp": VP}


def build(name: str, sigma_min: float = 0.0) -> Path:
    """The path called `name`; sigma_min is the linear one's.

    Raises:
      ValueError: an unknown name.
    """
    if name not in PATHS:
        raise ValueError(f"config.model.path {name!r} is unknown; choose one of {', '.join(PATHS)}")
    return Linear(sigma_min) if name == "linear" else PATHS[name]()


def linear_estimate(path: Path, t) -> tuple[Gain, Gain]:
    """Two functions of a variance of the data: the best linear estimate of the velocity over x, the variance it leaves.

    Times t are of any shape, which that of the variance must go with.
    """
    (alpha, sigma), (alpha_rate, sigma_rate) = path.coefficients(t), path.rates(t)

    def skip(variance):
        return (alpha * alpha_rate * variance + sigma * sigma_rate) / (alpha**2 * variance + sigma**2)

    def left(variance):
        return variance * (alpha_rate * sigma - alpha * sigma_rate) ** 2 / (alpha**2 * variance + sigma**2)

    return skip, left


def preconditioned(path: Path, prior: PixelPrior | None, net: Callable, x: jax.Array, t: jax.Array) -> jax.Array:
    """Velocity [b, h, w, c] at times t [b]: the best linear estimate under the prior, and c_out net(c_in x, guess).

    What the estimate leaves has deviation c_out, so that the network's input and its target both have variance 1 at
    every t, and it need not pass the noise through itself. It is the preconditioning of Karras et al. (2022, appendix
    B.6) for any path and any Gaussian prior: of the linear one, whose D(x) is x + (1 - t) velocity, and an isotropic
    prior, it is theirs exactly. Without a prior the velocity is the network's. The guess is the prior's estimate of the
    data, None where it is not shown.
    """
    if prior is None:
        return net(x, None)
    wide = t[:, None, None, None]
    skip, left = linear_estimate(path, wide)
    alpha, sigma = path.coefficients(wide)
    c_in = jax.lax.rsqrt((alpha * prior.std) ** 2 + sigma**2)
    return prior.apply(skip, x) + jnp.sqrt(prior.average(left)) * net(c_in * x, prior.guess(x, alpha, sigma))


def sample_time(name: str, u: jax.Array, mean: float = 0.0, std: float = 1.0) -> jax.Array:
    """Uniform u in [0, 1) -> training times.

    Args:
      name: uniform, or logit_normal: logit(t) ~ N(mean, std^2) (Esser et al. 2024, eq. 19), which dwells on the middle.

    Raises:
      ValueError: an unknown name.
    """
    if name == "uniform":
        return u
    if name == "logit_normal":
        return jax.nn.sigmoid(mean + std * jax.scipy.special.ndtri(jnp.clip(u, 1e-6, 1.0 - 1e-6)))
    raise ValueError(f"config.model.time {name!r} is unknown; choose one of {', '.join(TIMES)}")


def _ones_like(t):
    return jnp.ones_like(t) if isinstance(t, jax.Array) else np.ones_like(t, np.float64)


def _array_module(t):
    return jnp if isinstance(t, jax.Array) else np
