"""Flow matching against closed forms: paths, solvers, coupling, velocities and likelihoods of Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import linear_sum_assignment

from models import coupling, flow, guidance, ode, paths
from tests.models.gaussians import Gaussian
from tests.models.helpers import (
    LABELS,
    OVERFIT_RATE,
    SIZE,
    assert_close,
    assert_eight_images_are_reproduced,
    make_batch,
    make_flow,
    steps,
)

PATHS = {"linear": paths.Linear(), "sigma_min": paths.Linear(0.1), "cosine": paths.Cosine(), "vp": paths.VP()}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_rates_are_the_derivatives_of_the_coefficients(path):
    t, h = np.linspace(0.01, 0.99, 50), 1e-6
    up, down = (np.stack(path.coefficients(t + s)) for s in (h, -h))
    np.testing.assert_allclose(np.stack(path.rates(t)), (up - down) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "start", "end", "tolerance"), [
    ("linear", (0, 1), (1, 0), 1e-12), ("sigma_min", (0, 1), (1, 0.1), 1e-12), ("cosine", (0, 1), (1, 0), 1e-12),
    ("vp", (0, 1), (1, 0), 0.02),
])  # fmt: skip
def test_a_path_runs_from_noise_to_data(name, start, end, tolerance):
    ends = np.stack(PATHS[name].coefficients(np.array([0.0, 1.0])), -1)
    np.testing.assert_allclose(ends, [start, end], atol=tolerance)


def test_logit_normal_times():
    u = (jnp.arange(20_000) + 0.5) / 20_000
    t = np.asarray(paths.sample_time("logit_normal", u, 0.5, 0.8), np.float64)
    logit = np.log(t / (1 - t))
    assert logit.mean() == pytest.approx(0.5, abs=1e-3) and logit.std() == pytest.approx(0.8, abs=2e-3)


class GaussianFlow(Gaussian):
    """The velocity that training converges to, and where it carries noise."""

    def velocity_fn(self, path):
        values, vectors = np.linalg.eigh(self.covariance)

        def velocity(x, t):
            (alpha, sigma), (alpha_rate, sigma_rate) = path.coefficients(t), path.rates(t)
            mean = jnp.asarray(vectors.T @ self.mean, x.dtype)
            y = x.reshape(-1, 2) @ jnp.asarray(vectors, x.dtype) - alpha * mean
            gain = (alpha_rate * alpha * values + sigma_rate * sigma) / (alpha**2 * values + sigma**2)
            v = (alpha_rate * mean + gain * y) @ jnp.asarray(vectors.T, x.dtype)
            return v.reshape(x.shape).astype(x.dtype)

        return velocity

    def at_data(self, path):
        """Covariance and mean at t = 1, where a path may not have arrived quite."""
        alpha, sigma = path.coefficients(np.float64(1.0))
        arrived = GaussianFlow()
        arrived.mean, arrived.covariance = alpha * self.mean, alpha**2 * self.covariance + sigma**2 * np.eye(2)
        return arrived

    def endpoint(self, path, noise):
        arrived = self.at_data(path)
        values, vectors = np.linalg.eigh(arrived.covariance)
        start = np.sqrt(path.coefficients(np.float64(0.0))[0] ** 2 * np.linalg.eigvalsh(self.covariance) + 1.0)
        y = (np.asarray(noise).reshape(-1, 2) - path.coefficients(np.float64(0.0))[0] * self.mean) @ vectors
        return ((y * np.sqrt(values) / start) @ vectors.T + arrived.mean).reshape(noise.shape)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_the_exact_velocity_carries_noise_to_the_gaussian(path, x64):
    noise = np.random.default_rng(0).normal(size=(64, 2, 1, 1))
    got = ode.solve("adaptive", GaussianFlow().velocity_fn(path), jnp.asarray(noise), np.array([0.0, 1.0]), 1e-7)
    # vp begins with alpha^2 = 4e-5 of the data still there
    np.testing.assert_allclose(got, GaussianFlow().endpoint(path, noise), atol=1e-3 if path is PATHS["vp"] else 1e-5)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)])
def test_order_of_convergence(solver, order, x64):
    path, noise = paths.Cosine(), jnp.asarray(np.random.default_rng(0).normal(size=(32, 2, 1, 1)))
    exact = GaussianFlow().endpoint(path, noise)
    errors = [
        np.abs(ode.solve(solver, GaussianFlow().velocity_fn(path), noise, np.linspace(0, 1, n + 1)) - exact).max()
        for n in (32, 64)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3), errors


@pytest.mark.parametrize(("solver", "order"), [("heun", 2), ("rk4", 3)])
def test_order_of_convergence_with_an_open_end(solver, order, x64):
    """At least the last step's, which is one higher in that step alone."""
    path, noise = paths.Cosine(), jnp.asarray(np.random.default_rng(0).normal(size=(32, 2, 1, 1)))
    exact, velocity = GaussianFlow().endpoint(path, noise), GaussianFlow().velocity_fn(path)
    errors = [
        np.abs(ode.solve(solver, velocity, noise, np.linspace(0, 1, n + 1), open_end=True) - exact).max()
        for n in (32, 64)
    ]
    assert np.log2(errors[0] / errors[1]) > order - 0.3, errors


@pytest.mark.parametrize("solver", ode.TABLEAUS)
def test_an_open_end_takes_all_noise_off(solver, x64):
    """Data of deviation 0.01 by its exact velocity, in ten steps: a slope at t = 1 leaves noise on faint details."""
    asked, noise = [], jnp.asarray(np.random.default_rng(0).normal(size=(4000, 1, 1, 1)))

    def velocity(x, t):
        jax.debug.callback(lambda t: asked.append(float(t)), t)
        return (1e-4 * t - (1 - t)) / (1e-4 * t**2 + (1 - t) ** 2) * x

    times = np.linspace(0.0, 1.0, 11)
    clean = np.std(ode.solve(solver, velocity, noise, times, open_end=True))
    jax.effects_barrier()
    assert len(asked) == ode.evaluations(solver, 10) and max(asked) < 1.0
    grainy = np.std(ode.solve(solver, velocity, noise, times))
    assert clean < 0.011 and (grainy > 0.015 if solver in ode.LAST else grainy == clean)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_the_exact_trace_gives_the_log_density(path, x64):
    x = GaussianFlow().draw(16)
    got = flow.ode_log_density(GaussianFlow().velocity_fn(path), jnp.asarray(x), None, 1e-6)
    np.testing.assert_allclose(got, GaussianFlow().at_data(path).log_density(x), atol=1e-2)


def test_hutchinson_is_unbiased(x64):
    x = jnp.asarray(np.repeat(GaussianFlow().draw(1), 4000, 0))
    keys = jax.random.split(jax.random.key(0), 4000)
    got = np.asarray(flow.ode_log_density(GaussianFlow().velocity_fn(paths.Linear()), x, keys, 1e-4))
    truth = GaussianFlow().log_density(x[:1])[0]
    assert got.std() > 0.01 and got.mean() == pytest.approx(truth, abs=1e-2 + 4 * got.std() / 4000**0.5)


def test_the_coupling_is_the_optimal_one():
    rng = np.random.default_rng(0)
    eps, x = (jnp.asarray(rng.normal(size=(12, 3, 3, 1)), jnp.float32) for _ in range(2))
    got = coupling.couple(eps, x, jnp.zeros((12, 2)), 100.0)
    cost = ((np.asarray(x)[:, None] - np.asarray(eps)[None]) ** 2).sum((2, 3, 4))
    best = cost[linear_sum_assignment(cost)].sum()
    assert ((np.asarray(x) - np.asarray(got)) ** 2).sum() == pytest.approx(best, rel=1e-5)
    assert sorted(np.asarray(got).sum((1, 2, 3))) == pytest.approx(sorted(np.asarray(eps).sum((1, 2, 3))))


def test_with_its_label_cost_the_noise_of_a_condition_stays_unbiased():
    """Images of class 1 are bright. Without the cost of labels they get the bright noises, unlike at sampling."""
    rng, n = np.random.default_rng(0), 256
    label = jnp.asarray(np.arange(n) % 2, jnp.float32)[:, None]
    x = label[:, :, None, None] * 4.0 - 2.0 + jnp.asarray(rng.normal(size=(n, 1, 1, 1)) * 0.1)
    eps = jnp.asarray(rng.normal(size=(n, 1, 1, 1)))
    means = {cost: float(coupling.couple(eps, x, label, cost)[1::2].mean()) for cost in (0.0, 100.0)}
    assert means[0.0] > 0.6 and abs(means[100.0]) < 4 / (n / 2) ** 0.5


def test_the_loss_of_the_exact_velocity_is_least():
    """On Gaussian pixels the regression's minimum is the conditional expectation, and its residual is known."""
    family = make_flow(time="uniform", stratified=True, prior="none")
    variance, n = 0.3, 4000
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(n, 4, 4, 1)) * variance**0.5, jnp.float32)
    batch = {"t": (jnp.arange(n) + 0.5) / n, "z": z, "eps": jnp.asarray(rng.normal(size=z.shape), jnp.float32),
             "label": jnp.zeros((n, LABELS))}  # fmt: skip

    class Exact:
        def apply(self, _, x, condition, *__):
            t = (condition / 1000.0)[:, None, None, None]
            return (t * variance - (1 - t)) / (t**2 * variance + (1 - t) ** 2) * x

    loss, _ = flow.dataclasses.replace(family, net=Exact())._loss({}, batch)
    t = (np.arange(n) + 0.5) / n  # Var[x_1 - eps | x_t] of jointly Gaussian variables
    residual = variance + 1 - (t * variance - (1 - t)) ** 2 / (t**2 * variance + (1 - t) ** 2)
    assert float(loss.mean()) == pytest.approx(residual.mean(), rel=0.02)


def test_preconditioning_is_that_of_edm_and_leaves_what_no_line_explains(x64):
    """Linear path: x + (1 - t) v is Karras et al.'s D(x / t; (1 - t) / t), their table 1. Others: by regression."""
    t, std = np.linspace(0.05, 0.95, 7), 0.5
    skip, left = paths.linear_estimate(paths.Linear(), t)
    c_skip, c_out = skip(std**2), left(std**2) ** 0.5
    sigma = (1 - t) / t
    norm = np.sqrt(sigma**2 + std**2)
    np.testing.assert_allclose(1 + (1 - t) * c_skip, std**2 / norm**2 / t, rtol=1e-10)
    np.testing.assert_allclose((1 - t) * c_out, sigma * std / norm, rtol=1e-10)
    rng = np.random.default_rng(0)
    z, eps = std * rng.choice([-1.0, 1.0], 400_000), rng.normal(size=400_000)
    for path in (paths.Cosine(), paths.VP(), paths.Linear(0.1)):
        (alpha, sigma), (alpha_rate, sigma_rate) = path.coefficients(0.6), path.rates(0.6)
        x, velocity = alpha * z + sigma * eps, alpha_rate * z + sigma_rate * eps
        skip, left = paths.linear_estimate(path, np.asarray(0.6))
        c_skip, c_out = skip(std**2), left(std**2) ** 0.5
        assert float(c_skip) == pytest.approx((x @ velocity) / (x @ x), abs=0.02)
        assert float(c_out) == pytest.approx(np.std(velocity - c_skip * x), rel=0.01)


def test_accumulation_is_the_large_batch():
    batch, options = make_batch(8), dict(rate=0.1, optimizer=optax.sgd, unet__dropout=0.3, coupling="ot")
    (a, _), (b, _) = (steps(make_flow(accumulate=k, **options), 2, batch) for k in (1, 4))
    assert_close(a.params, b.params, atol=5e-6)


def test_guidance_applies_between_its_times():
    family = make_flow(center="pixels", prior="none")

    class Label:
        def apply(self, _, x, condition, label, keys, guess):
            return jnp.zeros_like(x) + label[:, :1, None, None]

    fn = flow.dataclasses.replace(family, net=Label()).velocity_fn
    options = flow.SampleOptions(guidance=3.0, guidance_low=0.2, guidance_high=0.8)
    x, label = jnp.zeros((1, 2, 2, 1)), jnp.ones((1, LABELS))
    inside, outside = (fn({}, label, options)(x, jnp.asarray(t)) for t in (0.5, 0.9))
    np.testing.assert_allclose(inside, guidance.NULL + 3.0 * (1 - guidance.NULL))
    np.testing.assert_allclose(outside, 1.0)


@pytest.mark.parametrize("sampler", ode.SOLVERS)
def test_every_solver_draws_finite_images(sampler):
    family = make_flow()
    state = jax.jit(family.init)(jax.random.key(0), make_batch(4))
    keys = jax.random.split(jax.random.key(0), 3)
    draw = jax.jit(lambda s, k: family.sample(s, k, jnp.zeros((3, LABELS)), sampler=sampler, steps=3, guidance=2.0))
    images = draw(state, keys)
    assert images.shape == (3, SIZE, SIZE, 1) and np.isfinite(images).all() and np.abs(images).max() <= 1


def test_samples_are_drawn_without_a_slope_where_the_noise_ends(monkeypatch):
    family = make_flow()
    state, keys = jax.jit(family.init)(jax.random.key(0), make_batch(4)), jax.random.split(jax.random.key(0), 3)
    monkeypatch.setattr(ode, "solve", lambda *args, open_end, **_: args[2] if open_end else None)
    assert family.sample(state, keys, jnp.zeros((3, LABELS))).shape == (3, SIZE, SIZE, 1)


def test_golden_values():
    """As in test_ddpm.py: a change of mathematics moves them."""
    _, scalars = steps(make_flow(time_mean=0.0, time_std=1.0), 3, make_batch(8))
    got = {name: float(value) for name, value in scalars.items()}
    assert got == pytest.approx({"loss": 3.26201, "grad_norm": 2.63395}, rel=2e-3), got


def test_mistakes_are_named():
    for changes, message in (
        ({"path": "straight"}, "config.model.path 'straight' is unknown"),
        ({"time": "beta"}, "config.model.time 'beta' is unknown"),
        ({"coupling": "sinkhorn"}, "config.model.coupling 'sinkhorn' is unknown"),
        ({"depth": 3}, "config.model.depth is not a field of the flow family"),
    ):
        with pytest.raises(ValueError, match=message):
            make_flow(**changes)


@pytest.mark.slow  # the DDPM's, of the same network, is not
def test_eight_images_are_reproduced():
    family = make_flow(rate=OVERFIT_RATE, unet__channels=64)
    assert_eight_images_are_reproduced(family, sampler="midpoint", steps=20)
