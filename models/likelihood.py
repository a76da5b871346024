"""Likelihood of stored images under a denoiser: the variational bound, and the probability-flow ODE.

Both speak of the stored integers (8 or 16 bits), so bits/dim can be compared across families.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from models import draws, samplers
from models.denoiser import Denoised, DenoiseFn
from models.discretised import discretised_gaussian
from models.divergence import exact_divergence, hutchinson
from models.ode import solve_adaptive
from models.pixels import PixelScale, dequantise
from models.schedules import DiscreteVP, Schedule


def vlb_bits_per_dim(
    denoise: DenoiseFn,
    schedule: Schedule,
    z: jax.Array,
    keys: jax.Array,
    pixels: PixelScale,
    steps: int,
    variance: str = "small",
) -> jax.Array:
    """The variational upper bound of -log2 p(image) / dimensions, [b] (Ho et al. 2020, eq. 5).

    Any grid of times defines a chain of its own, so the bound holds for each; more steps make it tighter.

    Args:
      z: [b, h, w, c] images on the network's scale.
      keys: [b] one key an image.
      steps: steps of the grid.
      variance: of the model's reverse steps: small (the posterior's), large, or learned.
    """
    times = samplers.time_grid(schedule, steps)
    alpha, sigma = schedule.alpha_sigma(times)
    total = _prior_kl(z, float(alpha[0]), float(sigma[0]), _prior_variance(schedule, sigma[0]))
    rows = {
        "t": times[:-1], "alpha_t": alpha[:-1], "sigma_t": sigma[:-1], "alpha_s": alpha[1:], "sigma_s": sigma[1:],
    }  # fmt: skip
    low = _posterior_variances(alpha, sigma)
    rows |= {"posterior": low, "floor": samplers.clip_first(low[::-1])[::-1]}
    rows = {name: jnp.asarray(value, z.dtype) for name, value in rows.items()}
    rows["index"] = jnp.arange(steps)

    def add(total, row):
        eps = samplers.unit_noise(keys, row["index"], z)
        x = row["alpha_t"] * z + row["sigma_t"] * eps
        nats = _step_nats(denoise(x, row["t"]), z, x, row, pixels, variance)
        return total + nats, None

    total, _ = jax.lax.scan(add, total, rows)
    return total / (math.log(2.0) * np.prod(z.shape[1:]))


def step_bits(
    denoised: Denoised, schedule: DiscreteVP, z: jax.Array, x: jax.Array, t: jax.Array, pixels: PixelScale
) -> jax.Array:
    """One step's term of the bound with a learned variance, bits/dim [b] (Nichol and Dhariwal 2021, eq. 4 and 15).

    Args:
      t: [b] times on the chain.
    """
    before = jnp.maximum(schedule.previous(t), 0.0)
    # A step's index is rounded back onto the chain: t - 1/T in float32 need not be the knot.
    before = jnp.round(before * schedule.num_steps) / schedule.num_steps
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.alpha_sigma(t), schedule.alpha_sigma(before)
    posterior = _posterior_variance(alpha_t, sigma_t, alpha_s, sigma_s)
    knots = np.arange(3) / schedule.num_steps
    first = _posterior_variances(*(a[::-1] for a in schedule.alpha_sigma(knots)))[0]
    row = {"alpha_t": alpha_t, "sigma_t": sigma_t, "alpha_s": alpha_s, "sigma_s": sigma_s, "posterior": posterior}
    row = {name: value[:, None, None, None] for name, value in row.items()}
    row["floor"] = jnp.maximum(row["posterior"], first)
    nats = _step_nats(denoised, z, x, row, pixels, "learned")
    return nats / (math.log(2.0) * np.prod(z.shape[1:]))


def _step_nats(denoised: Denoised, z, x, row, pixels: PixelScale, variance: str) -> jax.Array:
    """KL of the true against the model's reverse step, or the decoder's cost where the step ends in data; [b]."""
    ratio = row["alpha_t"] / row["alpha_s"]
    beta = row["sigma_t"] ** 2 - ratio**2 * row["sigma_s"] ** 2
    log_low, log_high = jnp.log(row["floor"]), jnp.log(beta)
    if variance == "learned":
        log_model = log_low + denoised.fraction * (log_high - log_low)
    else:
        log_model = jnp.broadcast_to(log_high if variance == "large" else log_low, z.shape)
    last = row["sigma_s"] == 0
    weight = row["alpha_s"] * beta / row["sigma_t"] ** 2
    gap = jnp.square(weight * (z - denoised.x0))
    kl = 0.5 * (log_model - log_low + (row["posterior"] + gap) * jnp.exp(-log_model) - 1.0)
    # The decoder is free to have beta's variance, which is about that of x_0 given x_1; a learned one keeps its own.
    log_decoder = log_model if variance == "learned" else jnp.broadcast_to(log_high, z.shape)
    decoder = -discretised_gaussian(z, denoised.x0, 0.5 * log_decoder, pixels)
    return jnp.sum(jnp.where(last, decoder, kl), axis=(1, 2, 3))


def ode_bits_per_dim(
    denoise: DenoiseFn, schedule: Schedule, z: jax.Array, keys: jax.Array, pixels: PixelScale, tolerance: float = 1e-4
) -> jax.Array:
    """-log2 p / dimensions [b] by the probability-flow ODE, on uniformly dequantised pixels (Song et al. 2021, 4.3)."""
    shift_keys, probe_keys = (draws.fold(keys, i) for i in (0, 1))
    z, log_volume = dequantise(pixels, z, shift_keys)
    log_density = ode_log_density(denoise, schedule, z, probe_keys, tolerance)
    return -(log_density + log_volume) / (math.log(2.0) * np.prod(z.shape[1:]))


def ode_log_density(
    denoise: DenoiseFn, schedule: Schedule, z: jax.Array, keys: jax.Array | None, tolerance: float = 1e-4
) -> jax.Array:
    """log p(z) [b] in nats by the instantaneous change of variables (Chen et al. 2018; Song et al. 2021, eq. 39).

    Integrates y = x / alpha over tau = ln(sigma / alpha), dy / dtau = y - D, from the lowest noise level to the end.

    Args:
      keys: [b] for Hutchinson's probes (Rademacher); None takes the exact trace, dimensions times dearer.
    """
    ends = np.asarray([schedule.t_min, schedule.t_max], np.float64)
    alpha, sigma = schedule.alpha_sigma(ends)
    start, end = np.log(sigma / alpha)
    knots = np.linspace(start, end, 4097)
    knot_times = schedule.time_of_noise_level(np.exp(knots))

    def velocity(tau, y):
        level = jnp.exp(tau)
        t = jnp.interp(tau, knots, knot_times) if schedule.unit_variance else level
        scale = 1.0 / jnp.sqrt(1.0 + level**2) if schedule.unit_variance else jnp.ones_like(level)
        return y - denoise(y * scale.astype(y.dtype), t.astype(y.dtype)).x0

    divergence = exact_divergence if keys is None else hutchinson(keys, z)

    def field(state, tau):
        return divergence(lambda y: velocity(tau, y), state[0])

    y, gain = solve_adaptive(field, (z, jnp.zeros(z.shape[0], z.dtype)), float(start), float(end), tolerance)
    variance = _prior_variance(schedule, sigma[1]) / float(alpha[1]) ** 2
    dimensions = float(np.prod(z.shape[1:]))
    prior = -0.5 * (jnp.sum(y**2, (1, 2, 3)) / variance + dimensions * math.log(2.0 * math.pi * variance))
    return prior + gain


def _prior_variance(schedule: Schedule, sigma_end: float) -> float:
    return 1.0 if schedule.unit_variance else float(sigma_end) ** 2


def _prior_kl(z, alpha: float, sigma: float, variance: float) -> jax.Array:
    """KL(q(x_T | x_0) || N(0, variance)), nats [b]."""
    per_pixel = 0.5 * ((sigma**2 + (alpha * z) ** 2) / variance - 1.0 + math.log(variance / sigma**2))
    return jnp.sum(per_pixel, axis=(1, 2, 3))


def _posterior_variances(alpha, sigma):
    """Posterior variance of every step of a falling grid [n + 1] -> [n]."""
    return _posterior_variance(alpha[:-1], sigma[:-1], alpha[1:], sigma[1:])


def _posterior_variance(alpha_t, sigma_t, alpha_s, sigma_s):
    beta = sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2
    return beta * sigma_s**2 / sigma_t**2
