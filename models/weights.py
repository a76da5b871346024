"""Loss weights over noise levels, on the squared error of what the network predicts.

Every function takes alpha, sigma [b] and returns [b]. Sources: simple (Ho et al. 2020, eq. 14), min-SNR (Hang et al.
2023, section 3.4), EDM (Karras et al. 2022, table 1), likelihood (Kingma et al. 2021, eq. 14 and 17).
"""

import jax
import jax.numpy as jnp

from models.denoiser import Denoiser
from models.schedules import DiscreteVP

WEIGHTS = ("simple", "min_snr", "edm", "likelihood")


def loss_weight(name: str, denoiser: Denoiser, t: jax.Array, min_snr_gamma: float = 5.0) -> jax.Array:
    """[b] weight of the squared error of F at times t [b].

    Raises:
      ValueError: an unknown weight's name.
    """
    alpha, sigma = denoiser.schedule.alpha_sigma(t)
    if name == "simple":
        return jnp.ones_like(t)
    to_target = _x0_error_of_target_error(denoiser, alpha, sigma)
    if name == "min_snr":
        return jnp.minimum((alpha / sigma) ** 2, min_snr_gamma) * to_target
    if name == "edm":
        return to_target / jnp.square(denoiser.left(sigma / alpha))
    if name == "likelihood":
        return _likelihood(denoiser, t) * to_target
    raise ValueError(f"model.weight {name!r} is unknown; choose one of {', '.join(WEIGHTS)}")


def _x0_error_of_target_error(denoiser: Denoiser, alpha, sigma):
    """|x_0 error|^2 / |F error|^2: the factor between a weight on x_0 and the same weight on F."""
    level = sigma / alpha
    if denoiser.target == "x0":
        return jnp.ones_like(alpha)
    if denoiser.target == "eps":
        return level**2
    if denoiser.target == "v":
        return sigma**2
    return jnp.square(denoiser.left(level))


def _likelihood(denoiser: Denoiser, t):
    """Weight of the squared x_0 error in the variational bound, in nats an image, t drawn as the schedule draws it."""
    schedule = denoiser.schedule
    if not isinstance(schedule, DiscreteVP):
        return schedule.likelihood_weight(t)
    alpha, sigma = schedule.alpha_sigma(t)
    snr = (alpha / sigma) ** 2
    # At the first step the bound holds a decoder, not a KL: a Gaussian of the width of x_1's noise has weight SNR / 2.
    before = schedule.previous(t)
    first = before < 0.5 / schedule.num_steps
    alpha_s, sigma_s = schedule.alpha_sigma(jnp.where(first, t, before))
    snr_before = jnp.where(first, 2.0 * snr, (alpha_s / sigma_s) ** 2)
    return 0.5 * schedule.num_steps * (snr_before - snr)
