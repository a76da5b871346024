"""Noise schedules: how much of the image and how much noise x_t holds.

x_t = alpha(t) x_0 + sigma(t) eps, eps ~ N(0, I). In this package t = 0 is data and the largest t is noise.
For the variance-preserving schedules t lies in [0, 1]; for EDM t is the noise level sigma itself.
All functions take numpy (float64, on the host) or JAX arrays alike, so that a sampler's time grid and the
training loss read the same formulas.
"""

import dataclasses
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class DiscreteVP:
    """A variance-preserving chain of T steps, extended to real t in [0, 1].

    Step i = 0..T-1 of the literature is t = (i + 1) / T. Between the steps log alpha_bar is linear in t, which is
    the VP-SDE whose rate is constant between them, so that ODE and SDE solvers may stop anywhere.

    Attributes:
      log_alpha_bar: float64 [T + 1], the first entry is 0 (t = 0, data).
    """

    log_alpha_bar: np.ndarray
    continuous = False
    unit_variance = True

    @property
    def num_steps(self) -> int:
        return len(self.log_alpha_bar) - 1

    @property
    def t_min(self) -> float:
        return 1.0 / self.num_steps

    @property
    def t_max(self) -> float:
        return 1.0

    def alpha_sigma(self, t):
        """(alpha, sigma) at times t; float64 for numpy input, float32 for JAX."""
        xp = _array_module(t)
        knots = np.linspace(0.0, 1.0, self.num_steps + 1)
        log_alpha_bar = xp.interp(t, knots, self.log_alpha_bar)
        return xp.exp(0.5 * log_alpha_bar), xp.sqrt(-xp.expm1(log_alpha_bar))

    def noise_condition(self, t):
        """What the network is told: the step's index, scaled to a chain of 1000 (numerics: DDPM's t = 0..999)."""
        xp = _array_module(t)
        return xp.maximum(t * self.num_steps - 1.0, 0.0) * (1000.0 / self.num_steps)

    def sample_time(self, u: jax.Array) -> jax.Array:
        """Uniform u in [0, 1) -> a step's time, uniform over the T steps."""
        return (jnp.floor(u * self.num_steps) + 1.0) / self.num_steps

    def previous(self, t):
        """The step before t on the chain."""
        return t - 1.0 / self.num_steps

    def time_of_noise_level(self, level: np.ndarray) -> np.ndarray:
        """The time at which sigma / alpha equals `level` (float64, host)."""
        log_alpha_bar = -np.log1p(np.asarray(level, np.float64) ** 2)
        knots = np.linspace(0.0, 1.0, self.num_steps + 1)
        return np.interp(-log_alpha_bar, -self.log_alpha_bar, knots)


@dataclasses.dataclass(frozen=True, eq=False)
class VPSDE:
    """The continuous variance-preserving SDE with a rate linear in t (Song et al. 2021, appendix C)."""

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: float = 1e-3
    t_max: float = 1.0
    continuous = True
    unit_variance = True

    def alpha_sigma(self, t):
        xp = _array_module(t)
        log_alpha_bar = -(self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t**2)
        return xp.exp(0.5 * log_alpha_bar), xp.sqrt(-xp.expm1(log_alpha_bar))

    def noise_condition(self, t):
        return 1000.0 * t

    def sample_time(self, u: jax.Array) -> jax.Array:
        return self.t_min + (self.t_max - self.t_min) * u

    def likelihood_weight(self, t: jax.Array) -> jax.Array:
        """0.5 |d SNR / dt| / p(t), the weight of the squared x_0 error in the continuous VLB (Kingma 2021, eq. 17)."""
        alpha, sigma = self.alpha_sigma(t)
        snr = (alpha / sigma) ** 2
        beta = self.beta_min + (self.beta_max - self.beta_min) * t
        return 0.5 * snr * beta / sigma**2 * (self.t_max - self.t_min)

    def time_of_noise_level(self, level: np.ndarray) -> np.ndarray:
        c = np.log1p(np.asarray(level, np.float64) ** 2)
        slope = self.beta_max - self.beta_min
        return (np.sqrt(self.beta_min**2 + 2.0 * slope * c) - self.beta_min) / slope


@dataclasses.dataclass(frozen=True, eq=False)
class EDM:
    """Variance-exploding in sigma, training noise log-normal (Karras et al. 2022, table 1)."""

    p_mean: float = -1.2
    p_std: float = 1.2
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    continuous = True
    unit_variance = False

    @property
    def t_min(self) -> float:
        return self.sigma_min

    @property
    def t_max(self) -> float:
        return self.sigma_max

    def alpha_sigma(self, t):
        xp = _array_module(t)
        return xp.ones_like(t), t

    def noise_condition(self, t):
        """c_noise = ln(sigma) / 4, scaled by 1000 like every other time that the embedding sees."""
        xp = _array_module(t)
        return 250.0 * xp.log(xp.maximum(t, 1e-20))

    def sample_time(self, u: jax.Array) -> jax.Array:
        u = jnp.clip(u, 1e-6, 1.0 - 1e-6)
        return jnp.exp(self.p_mean + self.p_std * jax.scipy.special.ndtri(u))

    def likelihood_weight(self, t: jax.Array) -> jax.Array:
        """0.5 |d SNR / d ln sigma| / p(ln sigma), see `VPSDE.likelihood_weight`."""
        z = (jnp.log(t) - self.p_mean) / self.p_std
        log_density = -0.5 * z**2 - math.log(self.p_std * math.sqrt(2.0 * math.pi))
        return jnp.exp(-2.0 * jnp.log(t) - log_density)

    def time_of_noise_level(self, level: np.ndarray) -> np.ndarray:
        return np.asarray(level, np.float64)


Schedule = DiscreteVP | VPSDE | EDM


def linear(num_steps: int, beta_start: float = 1e-4, beta_end: float = 0.02, rescale: bool = True) -> DiscreteVP:
    """Linear betas (Ho et al. 2020). `rescale` multiplies them by 1000 / T, so that a shorter chain ends in noise.

    Without it a chain of 500 keeps 8 % of the amplitude at its end, and sampling from N(0, I) is biased.
    """
    scale = 1000.0 / num_steps if rescale else 1.0
    return from_betas(np.linspace(scale * beta_start, scale * beta_end, num_steps))


def scaled_linear(num_steps: int, beta_start: float = 0.0015, beta_end: float = 0.0205) -> DiscreteVP:
    """Betas linear in their square root (latent diffusion)."""
    return from_betas(np.linspace(beta_start**0.5, beta_end**0.5, num_steps) ** 2)


def cosine(num_steps: int, offset: float = 0.008, max_beta: float = 0.999) -> DiscreteVP:
    """alpha_bar(t) = cos^2 (Nichol and Dhariwal 2021, eq. 17); alpha_bar is taken from the clipped betas."""
    t = np.linspace(0.0, 1.0, num_steps + 1)
    alpha_bar = np.cos((t + offset) / (1.0 + offset) * math.pi / 2.0) ** 2
    return from_betas(np.clip(1.0 - alpha_bar[1:] / alpha_bar[:-1], 0.0, max_beta))


def sigmoid(
    num_steps: int, start: float = -3.0, end: float = 3.0, tau: float = 1.0, max_beta: float = 0.999
) -> DiscreteVP:
    """alpha_bar(t) a falling sigmoid, normalised to run from 1 to 0 (Jabri et al. 2022, algorithm 1)."""
    t = np.linspace(0.0, 1.0, num_steps + 1)
    s = 1.0 / (1.0 + np.exp(-(t * (end - start) + start) / tau))
    alpha_bar = (s[-1] - s) / (s[-1] - s[0])
    return from_betas(np.clip(1.0 - alpha_bar[1:] / alpha_bar[:-1], 0.0, max_beta))


def from_betas(betas: np.ndarray) -> DiscreteVP:
    """A chain from its betas, float64 [T], each in (0, 1)."""
    betas = np.asarray(betas, np.float64)
    if betas.ndim != 1 or not np.all((betas > 0) & (betas < 1)):
        raise ValueError("every beta of a schedule must lie in (0, 1)")
    return DiscreteVP(np.concatenate([[0.0], np.cumsum(np.log1p(-betas))]))


BUILDERS = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
    "sigmoid": sigmoid,
    "vp_sde": VPSDE,
    "edm": EDM,
}


def build(name: str, options: dict) -> Schedule:
    """The schedule called `name` in a config, with those of `options` that it takes.

    Raises:
      ValueError: no such schedule, or a value that it cannot have.
    """
    if name not in BUILDERS:
        raise ValueError(f"config.model.schedule {name!r} is unknown; choose one of {', '.join(sorted(BUILDERS))}")
    taken = inspect.signature(BUILDERS[name]).parameters
    return BUILDERS[name](**{key: value for key, value in options.items() if key in taken})


def _array_module(t):
    """jnp for JAX arrays, and numpy (float64) for all else."""
    return jnp if isinstance(t, jax.Array) else np
