"""Likelihoods against the densities and masses of Gaussians."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from models import likelihood, schedules
from models.denoiser import Denoised
from models.pixels import PixelScale
from tests.models.gaussians import Gaussian
from tests.models.helpers import FAST

SCHEDULES = {"linear": schedules.linear(1000), "vp_sde": schedules.VPSDE(t_min=1e-5), "edm": schedules.EDM()}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_ode_with_the_exact_trace_is_the_log_density(schedule, x64):
    gaussian = Gaussian()
    x = gaussian.draw(16)
    got = likelihood.ode_log_density(gaussian.denoise_fn(schedule), schedule, jnp.asarray(x), None, 1e-6)
    alpha, sigma = schedule.alpha_sigma(np.float64(schedule.t_min))
    # The ODE starts at the lowest noise level, whose density is a little wider than the data's.
    wide = Gaussian()
    wide.covariance = gaussian.covariance + (sigma / alpha) ** 2 * np.eye(2)
    np.testing.assert_allclose(got, wide.log_density(x), atol=1e-2)


def test_hutchinson_is_unbiased(x64):
    schedule, gaussian = schedules.EDM(), Gaussian()
    x = jnp.asarray(np.repeat(gaussian.draw(1), 4000, 0))
    keys = jax.random.split(jax.random.key(0), 4000)
    got = np.asarray(likelihood.ode_log_density(gaussian.denoise_fn(schedule), schedule, x, keys, 1e-3))
    assert got.std() > 0.01  # it is an estimate: the Jacobian is not diagonal
    assert got.mean() == pytest.approx(gaussian.log_density(x[:1])[0], abs=1e-2 + 4 * got.std() / math.sqrt(4000))


def gray_images(bits, n=8_000, mean=-0.1, std=0.25):
    """1x1 images of a Gaussian rounded to `bits`, and the mean number of bits that the best code takes for them."""
    top = 2**bits - 1
    levels = np.round((np.clip(np.random.default_rng(0).normal(mean, std, n), -1, 1) + 1) * top / 2)
    cost = -np.log2(level_masses(bits, mean, std))
    return (2 * levels / top - 1).reshape(-1, 1, 1, 1), cost[levels.astype(int)].mean(), mean, std


def level_masses(bits, mean, std):
    """Probability of each of the 2^bits values, the two at the ends with all beyond them."""
    edges = (2 * np.arange(2**bits - 1) + 1) / (2**bits - 1) - 1
    return np.diff(norm.cdf(np.concatenate([[-np.inf], edges, [np.inf]]), mean, std))


def continuous_denoiser(schedule, mean, variance):
    """E[z_0 | z_t] of the Gaussian before rounding."""

    def denoise(z, t):
        alpha, sigma = schedule.alpha_sigma(t)
        return Denoised(mean + alpha * variance / (alpha**2 * variance + sigma**2) * (z - alpha * mean))

    return denoise


def discrete_denoiser(schedule, pixels, mean, std):
    """E[z_0 | z_t] of the rounded Gaussian, by summing over its values."""
    x = 2 * np.arange(2**pixels.bits) / (2**pixels.bits - 1) - 1
    log_p = jnp.asarray(np.log(level_masses(pixels.bits, mean, std)))
    values = pixels.to_network(jnp.asarray(x)[:, None])[:, 0]

    def denoise(z, t):
        alpha, sigma = schedule.alpha_sigma(t)
        log_weight = log_p - 0.5 * ((z - alpha * values) / sigma) ** 2
        return Denoised((jax.nn.softmax(log_weight, -1) * values).sum(-1, keepdims=True))

    return denoise


@pytest.mark.parametrize(
    ("method", "name"),
    [("vlb", "linear"), ("vlb", "vp_sde"), pytest.param("vlb", "edm", marks=pytest.mark.slow),
     ("ode", "linear"), ("ode", "vp_sde"), ("ode", "edm")],
)  # fmt: skip
def test_bits_per_dim_of_a_gaussian(method, name, x64):
    """To 1e-2. EDM ends below a gray level's width, where only a denoiser that knows the levels can code them."""
    knows_levels = (method, name) == ("vlb", "edm")
    bits = 3 if knows_levels else 8
    x, expected, mean, std = gray_images(bits, 12_000 if knows_levels else 8_000)
    edm = schedules.EDM(sigma_min=0.03, sigma_max=8.0) if knows_levels else schedules.EDM()
    schedule = {"linear": schedules.linear(1000), "vp_sde": schedules.VPSDE(), "edm": edm}[name]
    pixels = PixelScale((0.1,), (0.8,), bits)  # not trivial, so that the change of variables is tested too
    z = pixels.to_network(jnp.asarray(x))
    denoise = continuous_denoiser(schedule, (mean - 0.1) / 0.8, (std / 0.8) ** 2)
    if knows_levels:
        denoise = discrete_denoiser(schedule, pixels, mean, std)
    keys = jax.random.split(jax.random.key(1), len(x))
    if method == "vlb":
        # beta is the reverse variance of data that are wide against the noise; the posterior's, that of a point
        steps = {"linear": 1000, "vp_sde": 2000, "edm": 4000}[name]  # the gap falls as 1 / steps

        def bound(z, k):
            return likelihood.vlb_bits_per_dim(denoise, schedule, z, k, pixels, steps, "large")

        got = jax.jit(bound, compiler_options=FAST)(z, keys)
    else:
        got = likelihood.ode_bits_per_dim(denoise, schedule, z, keys, pixels, 1e-5)
    assert float(got.mean()) == pytest.approx(expected, abs=1e-2)


def test_one_step_of_the_learned_bound_is_zero_where_the_model_is_the_posterior(x64):
    """KL of a Gaussian with itself; with beta in place of the posterior variance, the KL of two widths."""
    schedule = schedules.linear(1000)
    z = jnp.asarray(np.random.default_rng(0).normal(0, 0.3, (3, 2, 2, 1)))
    t = jnp.asarray([0.2, 0.5, 0.9])
    alpha, sigma = (a[:, None, None, None] for a in schedule.alpha_sigma(t))
    x = alpha * z + sigma
    pixels = PixelScale((0.0,), (1.0,))
    exact = likelihood.step_bits(Denoised(z, jnp.zeros_like(z)), schedule, z, x, t, pixels)
    np.testing.assert_allclose(exact, 0.0, atol=1e-9)
    wide = likelihood.step_bits(Denoised(z, jnp.ones_like(z)), schedule, z, x, t, pixels)
    (a_t, s_t), (a_s, s_s) = (schedule.alpha_sigma(np.asarray(v)) for v in (t, t - 1e-3))
    ratio = s_s**2 / s_t**2  # posterior variance over beta
    np.testing.assert_allclose(wide, 0.5 * (ratio - 1 - np.log(ratio)) / math.log(2), rtol=1e-4)
