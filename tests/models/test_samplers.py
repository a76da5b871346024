"""Samplers on Gaussian data, where the best denoiser and the ODE's flow are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import samplers, schedules
from models.denoiser import Denoised
from tests.models.gaussians import Gaussian
from tests.models.helpers import FAST

SCHEDULES = {
    "linear": schedules.linear(1000),
    "cosine": schedules.cosine(1000),
    "vp_sde": schedules.VPSDE(),
    "edm": schedules.EDM(),
}


def draw(name, schedule, steps, n, spacing="auto", seed=0, **options):
    gaussian = Gaussian()
    keys = jax.random.split(jax.random.key(seed), n)
    noise = jax.vmap(lambda k: jax.random.normal(k, (2, 1, 1)))(keys)
    times = samplers.time_grid(schedule, steps, spacing)
    sample = lambda x, k: samplers.sample(  # noqa: E731
        name, gaussian.denoise_fn(schedule), schedule, times, x, k, **options
    )
    return np.asarray(jax.jit(sample, compiler_options=FAST)(noise, keys)).reshape(n, 2), noise


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_mean_and_covariance_are_reproduced(name, schedule, x64):
    spacing = "uniform" if isinstance(schedule, schedules.DiscreteVP) and name in ("ddpm", "ddim") else "karras"
    steps = 2000 if name == "em" else 500  # of weak order 1 on a range of levels up to 2e4 (cosine)
    n = 20_000
    x, _ = draw(name, schedule, steps, n, spacing)
    # 5 standard errors of a mean and of a covariance, and what the steps leave
    np.testing.assert_allclose(x.mean(0), Gaussian.mean, atol=5 * np.sqrt(0.3 / n) + 2e-3)
    np.testing.assert_allclose(np.cov(x.T), Gaussian.covariance, atol=5 * 0.3 * np.sqrt(2 / n) + 4e-3)


@pytest.mark.parametrize(
    ("name", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp", 2)], ids=lambda v: str(v)
)
@pytest.mark.parametrize("schedule_name", ["vp_sde", "edm"])
def test_order_of_convergence(name, order, schedule_name, x64):
    """The slope of log error on log step against the exact end of the probability-flow ODE."""
    schedule = {"vp_sde": schedules.VPSDE(t_min=1e-7), "edm": schedules.EDM(sigma_min=1e-4, sigma_max=20.0)}
    schedule = schedule[schedule_name]
    steps, errors = np.array([80, 160, 320]), []
    for n in steps:
        x, noise = draw(name, schedule, n, 64, "logsnr")
        start = noise * (1.0 if schedule.unit_variance else schedule.sigma_max)
        exact = Gaussian().flow_endpoint(schedule, start)
        errors.append(np.abs(x - exact.reshape(-1, 2)).max())
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert order - 0.2 < slope < order + 0.5, (slope, errors)


def end_variance(name: str, steps: int) -> float:
    """Of one Gaussian pixel of variance 1/4, whose best denoiser is linear: no draw is needed."""
    schedule, own = schedules.EDM(sigma_min=1e-4, sigma_max=20.0), 0.25
    alpha, sigma = schedule.alpha_sigma(samplers.time_grid(schedule, steps, "logsnr"))
    rows = samplers.LINEAR[name](alpha, sigma)
    joint = np.diag([own + sigma[0] ** 2, 0.0])  # of x and the denoised image before
    for a, b, c, d, level in zip(rows.a, rows.b, rows.c, rows.d, sigma, strict=False):
        denoised = own / (own + level**2)
        step = np.array([[a + b * denoised, c], [denoised, 0.0]])
        joint = step @ joint @ step.T + np.diag([d**2, 0.0])
    return joint[0, 0]


@pytest.mark.parametrize(("name", "order"), [("ddpm", 1), ("em", 1), ("dpmpp_sde", 2), ("dpmpp", 2)])
def test_order_of_the_variance(name, order):
    """What is drawn of a Gaussian has the right variance but for an error that falls with the steps."""
    steps = np.array([80, 160, 320, 640])
    errors = [abs(end_variance(name, n) - 0.25) for n in steps]
    assert -np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(order, abs=0.1)


def test_first_and_last_step_of_the_stochastic_solver_are_ancestral():
    alpha, sigma = schedules.EDM().alpha_sigma(samplers.time_grid(schedules.EDM(), 8))
    for row, expected in zip(samplers.dpmpp_sde(alpha, sigma)[:4], samplers.ddpm(alpha, sigma)[:4], strict=True):
        assert row[0] == expected[0] and row[-1] == expected[-1]


def test_ancestral_step_is_the_posterior():
    """Coefficients against the posterior mean and variance of Ho et al. eq. 6-7, from the betas."""
    betas = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - betas)
    schedule = schedules.linear(1000)
    alpha, sigma = schedule.alpha_sigma(samplers.time_grid(schedule, 1000))
    got = samplers.ddpm(alpha, sigma)
    for t in (1, 10, 500, 999):  # step index of the literature; the grid runs backwards
        row = 999 - t
        before = alpha_bar[t - 1]
        weight_x = np.sqrt(1 - betas[t]) * (1 - before) / (1 - alpha_bar[t])
        weight_0 = np.sqrt(before) * betas[t] / (1 - alpha_bar[t])
        variance = betas[t] * (1 - before) / (1 - alpha_bar[t])
        np.testing.assert_allclose([got.a[row], got.b[row], got.d[row] ** 2], [weight_x, weight_0, variance], rtol=1e-8)
    assert samplers.ddpm(alpha, sigma, "large").d[500] ** 2 == pytest.approx(betas[499], rel=1e-8)


def test_ddim_with_eta_one_is_ancestral():
    schedule = schedules.cosine(1000)
    alpha, sigma = schedule.alpha_sigma(samplers.time_grid(schedule, 50))
    for a, b in zip(samplers.ddim(alpha, sigma, eta=1.0)[:4], samplers.ddpm(alpha, sigma)[:4], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-12)


def test_dpmpp_is_exact_for_a_constant_denoiser(x64):
    schedule = schedules.VPSDE()
    times = samplers.time_grid(schedule, 7, "logsnr")
    x = jnp.full((1, 2, 1, 1), 3.0)
    keys = jax.random.split(jax.random.key(0), 1)
    constant = lambda x, t: Denoised(jnp.full_like(x, 0.7))  # noqa: E731
    out = samplers.sample("dpmpp", constant, schedule, times[:-1], x, keys)
    (a0, s0), (a1, s1) = (schedule.alpha_sigma(times[i]) for i in (0, -2))
    np.testing.assert_allclose(out, s1 / s0 * 3.0 + (a1 - s1 * a0 / s0) * 0.7, rtol=1e-10)


def test_learned_variance_lies_between_posterior_and_beta(x64):
    """With the fraction at 0 the noise is the posterior's, at 1 beta's."""
    schedule, n = schedules.linear(1000), 4
    keys = jax.random.split(jax.random.key(0), n)
    x = jnp.ones((n, 2, 1, 1))
    times = samplers.time_grid(schedule, 20)
    draws = {}
    for fraction, fixed in ((0.0, "small"), (1.0, "large")):
        inner = Gaussian().denoise_fn(schedule)
        learned = lambda x, t, f=fraction: Denoised(inner(x, t).x0, jnp.full_like(x, f))  # noqa: B023, E731
        draws[fixed] = (
            samplers.sample("ddpm", learned, schedule, times, x, keys, variance="learned"),
            samplers.sample("ddpm", inner, schedule, times, x, keys, variance=fixed),
        )
    for a, b in draws.values():
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert not np.allclose(draws["small"][0], draws["large"][0])


def test_an_image_does_not_depend_on_its_batch():
    schedule = schedules.EDM()
    gaussian, times = Gaussian(), samplers.time_grid(schedules.EDM(), 6)
    keys = jax.random.split(jax.random.key(3), 8)
    noise = jax.vmap(lambda k: jax.random.normal(k, (2, 1, 1)))(keys)
    run = lambda x, k: samplers.sample("ddpm", gaussian.denoise_fn(schedule), schedule, times, x, k)  # noqa: E731
    np.testing.assert_allclose(run(noise, keys)[5:], run(noise[5:], keys[5:]), rtol=1e-5, atol=1e-6)


def test_grids_visit_the_end_and_finish_at_data():
    for schedule in SCHEDULES.values():
        for spacing in ("auto", "uniform", "karras", "logsnr"):
            times = samplers.time_grid(schedule, 10, spacing)
            assert times[0] == schedule.t_max and times[-1] == 0.0 and len(times) == 11
            assert np.all(np.diff(times) < 0)


def test_karras_grid_is_that_of_edm():
    i, n = np.arange(18), 18
    expected = (80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(samplers.time_grid(schedules.EDM(), 18)[:-1], expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"name": "plms"}, "sampler 'plms' is unknown"), ({"spacing": "lin"}, "spacing 'lin' is unknown"),
     ({"steps": 2000}, "more than the schedule's 1000"), ({"steps": 0}, "at least 1")],
)  # fmt: skip
def test_mistakes_are_named(change, message):
    arguments = {"name": "ddim", "steps": 5, "spacing": "uniform"} | change
    with pytest.raises(ValueError, match=message):
        draw(arguments["name"], schedules.linear(1000), arguments["steps"], 2, arguments["spacing"])
