"""A Gaussian prior over pixels: closed forms, and what an untrained network then draws."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import likelihood, paths, samplers, schedules
from models.denoiser import Denoised, Denoiser
from models.pixel_prior import PixelPrior, chosen_prior, pixel_prior
from models.pixels import PixelScale

SHAPE = (3, 2, 1)


def gaussian(seed=0, rank=2):
    """(prior, its covariance [6, 6])."""
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, rank)))[0].T
    variance, rest = np.array([2.0, 0.5])[:rank], 0.05
    covariance = basis.T @ np.diag(variance - rest) @ basis + rest * np.eye(6)
    return PixelPrior(rest, jnp.asarray(basis), jnp.asarray(variance)), covariance


def images(n, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(n, *SHAPE)))


def test_a_function_of_the_covariance_by_its_eigenvectors(x64):
    prior, covariance = gaussian()
    values, vectors = np.linalg.eigh(covariance)
    levels = jnp.asarray([0.3, 2.0])[:, None, None, None]
    x = images(2)
    found = prior.apply(lambda v: v / (v + levels**2), x)
    for i, level in enumerate((0.3, 2.0)):
        matrix = vectors @ np.diag(values / (values + level**2)) @ vectors.T
        np.testing.assert_allclose(found[i].ravel(), matrix @ np.ravel(x[i]), rtol=1e-6)
    average = prior.average(lambda v: v / (v + levels**2))
    np.testing.assert_allclose(average[1, 0, 0, 0], np.mean(values / (values + 4.0)), rtol=1e-6)
    assert float(prior.std) == pytest.approx(np.trace(covariance / 6) ** 0.5)


def test_an_isotropic_one_is_the_same_written_in_two_ways(x64):
    plain, basis = PixelPrior(0.25), np.linalg.qr(np.random.default_rng(0).normal(size=(6, 3)))[0].T
    split = PixelPrior(0.25, jnp.asarray(basis), jnp.full(3, 0.25))
    t = jnp.asarray([0.2, 0.7])
    x, net = images(2), lambda x, *_: jnp.tanh(x)
    a, b = (paths.preconditioned(paths.Linear(), prior, net, x, t) for prior in (plain, split))
    np.testing.assert_allclose(a, b, rtol=1e-6)
    a, b = (Denoiser(lambda p, x, *_: net(x), schedules.EDM(), prior=prior)({}, x, t, None) for prior in (plain, split))
    np.testing.assert_allclose(a.x0, b.x0, rtol=1e-6)


def shown(rank=2):
    prior, covariance = gaussian(rank=rank)
    return dataclasses.replace(prior, shown=True), covariance


@pytest.mark.parametrize("alpha, sigma", [(1.0, 0.1), (1.0, 40.0), (0.3, 0.7), (1.0, 0.0)])
def test_a_guess_is_the_posterior_mean_brought_to_unit_variance(alpha, sigma, x64):
    """For data from the prior, by the formula of the conditional normal distribution, and by drawing."""
    prior, covariance = shown()
    eps, white = images(40_000, 5), images(40_000, 6).reshape(-1, 6)
    z = (white @ np.linalg.cholesky(covariance).T).reshape(-1, *SHAPE)
    x = alpha * z + sigma * eps
    guess = prior.guess(x, jnp.float64(alpha), jnp.float64(sigma))
    mean = alpha * covariance @ np.linalg.inv(alpha**2 * covariance + sigma**2 * np.eye(6))
    expected = x.reshape(-1, 6) @ mean.T
    correlation = np.corrcoef(np.ravel(guess), np.ravel(expected))[0, 1]
    assert correlation == pytest.approx(1.0, abs=1e-9)
    assert float(jnp.mean(guess**2)) == pytest.approx(1.0, abs=0.02)


def test_where_the_image_is_all_noise_a_guess_is_still_a_number(x64):
    prior, covariance = shown()
    x = images(3)
    guess = prior.guess(x, jnp.float64(0.0), jnp.float64(1.0))
    expected = np.asarray(x.reshape(3, 6)) @ covariance / np.sqrt(np.mean(np.linalg.eigvalsh(covariance) ** 2))
    np.testing.assert_allclose(guess.reshape(3, 6), expected, rtol=1e-6)


def test_there_is_no_guess_where_it_is_the_image_itself_or_not_wanted():
    x = images(1)
    for prior in (gaussian()[0], dataclasses.replace(PixelPrior(0.25), shown=True)):
        assert not prior.guesses and prior.guess(x, jnp.float32(1.0), jnp.float32(1.0)) is None


def test_a_denoiser_and_a_flow_hand_the_guess_to_their_network(x64):
    prior, _ = shown()
    x, t = images(2), jnp.asarray([0.2, 0.7])
    seen = []
    Denoiser(lambda p, x, *rest: seen.append(rest[-1]) or x, schedules.EDM(), prior=prior)({}, x, t, None)
    paths.preconditioned(paths.Linear(), prior, lambda x, guess: seen.append(guess) or x, x, t)
    level, wide = t[:, None, None, None], t[:, None, None, None]
    np.testing.assert_allclose(seen[0], prior.guess(x, jnp.ones_like(level), level))
    np.testing.assert_allclose(seen[1], prior.guess(x, wide, 1.0 - wide))


def denoiser(prior, schedule):
    return Denoiser(lambda params, x, *_: jnp.zeros_like(x), schedule, prior=prior)


@pytest.mark.parametrize("schedule", [schedules.EDM(), schedules.build("cosine", {"num_steps": 100})])
def test_what_a_silent_network_leaves_is_what_the_scale_says(schedule, x64):
    """Of data from the prior, x_0 less the posterior mean has the deviation `left`, and F's target deviation 1."""
    prior, covariance = gaussian()
    z = jnp.asarray(np.random.default_rng(2).multivariate_normal(np.zeros(6), covariance, 40_000).reshape(-1, *SHAPE))
    eps, t = images(len(z), 3), jnp.full(len(z), 0.4)
    alpha, sigma = schedule.alpha_sigma(t[0])
    x, model = alpha * z + sigma * eps, denoiser(prior, schedule)
    error = z - model({}, x, t, None).x0
    assert float(jnp.std(error)) == pytest.approx(float(model.left(sigma / alpha)), rel=0.01)
    assert float(jnp.std(model.target_of(z, eps, x, t))) == pytest.approx(1.0, abs=0.01)
    assert abs(float(jnp.mean(error * x))) < 0.02  # nothing linear is left


def test_a_silent_network_draws_from_the_prior(x64):
    prior, covariance = gaussian()
    schedule = schedules.EDM()
    model, noise = denoiser(prior, schedule), images(20_000, 4)
    denoise = lambda x, t: Denoised(model({}, x, jnp.broadcast_to(t, x.shape[:1]), None).x0)  # noqa: E731
    times = samplers.time_grid(schedule, 64)
    drawn = samplers.sample("heun", denoise, schedule, times, noise, jax.random.split(jax.random.key(0), len(noise)))
    np.testing.assert_allclose(np.cov(drawn.reshape(len(drawn), -1).T), covariance, atol=0.04)


def test_the_likelihood_of_a_silent_network_is_the_priors(x64):
    from scipy.stats import multivariate_normal

    prior, covariance = gaussian()
    schedule, z = schedules.EDM(), images(4, 5)
    model = denoiser(prior, schedule)
    denoise = lambda x, t: Denoised(model({}, x, jnp.broadcast_to(t, x.shape[:1]), None).x0)  # noqa: E731
    found = likelihood.ode_log_density(denoise, schedule, z, None, 1e-6)
    np.testing.assert_allclose(found, multivariate_normal(np.zeros(6), covariance).logpdf(z.reshape(4, -1)), atol=0.02)


def test_names_and_what_they_need():
    pixels, covariance = PixelScale((0.0,), (0.5,)), (np.eye(6)[:1], np.array([1.0]), 0.5)
    found = pixel_prior("gaussian", 1.0, covariance, pixels, "label")
    assert float(found.variance[0]) == 4.0 and found.rest == 2.0  # deviations are divided by the scale
    assert pixel_prior("none", 1.0, None, pixels, "label") is None
    assert pixel_prior("isotropic", 3.0, None, pixels, "pixels").rest == 9.0
    for name, known, center, message in (
        ("wiener", covariance, "label", "'wiener' is unknown"),
        ("gaussian", None, "label", "training split's covariance"),
        ("gaussian", covariance, "pixels", "model.center 'label'"),
    ):
        with pytest.raises(ValueError, match=message):
            pixel_prior(name, 1.0, known, pixels, center)
    with pytest.raises(ValueError, match="needs model.target 'edm', not 'eps'"):
        dataclasses.replace(denoiser(found, schedules.build("cosine", {"num_steps": 10})), target="eps")


@pytest.mark.parametrize(
    ("options", "name"),
    [({"prior": "auto", "center": "label", "target": "edm"}, "gaussian"),
     ({"prior": "auto", "center": "label"}, "gaussian"),  # of a flow, which has no targets to choose from
     ({"prior": "auto", "center": "label", "target": "eps"}, "isotropic"),
     ({"prior": "auto", "center": "pixels", "target": "edm"}, "isotropic"),
     ({"prior": "isotropic", "center": "label"}, "isotropic"), ({"family": "gan"}, None)],
)  # fmt: skip
def test_auto_is_the_gaussian_where_it_fits(options, name):
    assert chosen_prior(options) == name
