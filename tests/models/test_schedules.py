"""Schedules against the formulas of their papers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import schedules

DISCRETE = [schedules.linear(1000), schedules.linear(500), schedules.cosine(1000), schedules.sigmoid(500)]
ALL = [*DISCRETE, schedules.VPSDE(), schedules.EDM()]


def test_linear_betas_are_those_of_ho_et_al():
    betas = np.linspace(1e-4, 0.02, 1000)
    t = (np.arange(1000) + 1) / 1000
    alpha, sigma = schedules.linear(1000).alpha_sigma(t)
    np.testing.assert_allclose(alpha**2, np.cumprod(1 - betas), rtol=1e-10)
    np.testing.assert_allclose(alpha**2 + sigma**2, 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("rescale", "alpha_bar_end"), [(False, 0.0064), (True, 3.8e-5)], ids=["published", "rescaled"]
)
def test_end_of_the_short_linear_chain(rescale, alpha_bar_end):
    alpha, _ = schedules.linear(500, rescale=rescale).alpha_sigma(np.float64(1.0))
    assert alpha**2 == pytest.approx(alpha_bar_end, rel=0.05)


def test_cosine_is_clipped_and_alpha_bar_follows_the_clipped_betas():
    schedule = schedules.cosine(1000)
    betas = -np.expm1(np.diff(schedule.log_alpha_bar))
    assert betas.max() == pytest.approx(0.999)
    t = 0.37
    expected = math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert float(schedule.alpha_sigma(np.float64(t))[0]) ** 2 == pytest.approx(expected, rel=1e-9)


def test_sigmoid_by_hand():
    alpha, _ = schedules.sigmoid(500).alpha_sigma(np.float64(0.5))
    assert float(alpha) ** 2 == pytest.approx(0.5, abs=1e-9)  # the sigmoid from -3 to 3 is odd about its middle


def test_vp_sde_rate_is_the_derivative_of_log_alpha(x64):
    schedule = schedules.VPSDE()
    log_alpha = lambda t: jnp.log(schedule.alpha_sigma(t)[0])  # noqa: E731
    t = jnp.float64(0.4)
    assert float(jax.grad(log_alpha)(t)) == pytest.approx(-0.5 * (0.1 + 19.9 * 0.4), rel=1e-10)


@pytest.mark.parametrize("schedule", ALL)
def test_time_of_noise_level_inverts_the_schedule(schedule):
    t = np.linspace(schedule.t_min, schedule.t_max, 37)
    alpha, sigma = schedule.alpha_sigma(t)
    np.testing.assert_allclose(schedule.time_of_noise_level(sigma / alpha), t, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("schedule", ALL)
def test_host_and_device_agree(schedule):
    t = np.linspace(schedule.t_min, schedule.t_max, 9)
    for host, device in zip(schedule.alpha_sigma(t), schedule.alpha_sigma(jnp.asarray(t)), strict=True):
        np.testing.assert_allclose(host, device, rtol=2e-4, atol=1e-6)


def test_training_times():
    u = jnp.asarray([0.0, 0.5, 0.9999])
    np.testing.assert_allclose(schedules.linear(1000).sample_time(u) * 1000, [1, 501, 1000], rtol=1e-5)
    np.testing.assert_allclose(jnp.log(schedules.EDM().sample_time(jnp.asarray([0.5]))), [-1.2], rtol=1e-5)


def test_the_network_is_told_the_published_step():
    """Step i = 0..T-1, scaled to a chain of 1000."""
    np.testing.assert_allclose(schedules.linear(1000).noise_condition(np.array([1, 1000]) / 1000), [0, 999], atol=1e-9)
    np.testing.assert_allclose(schedules.linear(500).noise_condition(np.array([1, 500]) / 500), [0, 998], atol=1e-9)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="'cosin' is unknown; choose one of cosine"):
        schedules.build("cosin", {})
    with pytest.raises(ValueError, match="every beta"):
        schedules.linear(10)  # rescaled to a chain of ten, betas pass 1
