"""Centring on the expected image changes what a network must learn, and not what the family says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.ddpm import SampleOptions
from models.denoiser import Denoiser
from models.flow import SampleOptions as FlowOptions
from models.label_mean import label_mean
from models.pixels import PixelScale
from models.schedules import EDM, linear
from tests.models.helpers import LABEL_MEANS, LABELS, SIZE, make_batch, make_family, make_flow

STD = 0.3  # of the invented data about its expected image, on the network's scale


def gaussian_denoiser(schedule):
    """E[z_0 | x_t] of z_0 ~ N(0, STD^2), as a network of target x0."""

    def network(params, x, condition, label, keys):
        return params(x)

    return Denoiser(network, schedule, "x0")


@pytest.mark.parametrize("schedule", [EDM(), linear(1000)], ids=["edm", "linear"])
def test_the_denoiser_of_shifted_data_is_exact(schedule):
    """Of N(m(label), STD^2), E[z_0 | x] = m + alpha STD^2 / (alpha^2 STD^2 + sigma^2) (x - alpha m)."""
    family, label, t = make_family(), make_batch(4)["label"], jnp.asarray(0.4)
    alpha, sigma = schedule.alpha_sigma(t)
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    denoiser = dataclasses.replace(gaussian_denoiser(schedule), network=lambda p, x, *_: gain * x * (
        1.0 if schedule.unit_variance else alpha * jnp.sqrt((sigma / alpha) ** 2 + 0.25)))  # fmt: skip
    family = dataclasses.replace(family, denoiser=denoiser)
    x = jax.random.normal(jax.random.key(0), (4, SIZE, SIZE, 1))
    mean = family.mean(label)
    got = family.denoise_fn(None, label, SampleOptions())(x, t).x0
    np.testing.assert_allclose(got, mean + gain * (x - alpha * mean), atol=1e-5)
    assert float(jnp.abs(mean).max()) > 0.05


@pytest.mark.parametrize("path", ["linear", "vp", "cosine"])
def test_the_velocity_of_shifted_data_is_exact(path, monkeypatch):
    """A flow whose network is the exact velocity of N(0, STD^2) carries noise to N(m(label), STD^2)."""
    family, label = make_flow(path=path), make_batch(4)["label"]

    def velocity(self, params, x, t, label, keys=None):
        (alpha, sigma), (da, ds) = self.path.coefficients(t), self.path.rates(t)
        return (alpha * da * STD**2 + sigma * ds) / (alpha**2 * STD**2 + sigma**2) * x

    monkeypatch.setattr(type(family), "_velocity", velocity)
    noise = jax.random.normal(jax.random.key(0), (4, SIZE, SIZE, 1))
    field, x = family.velocity_fn(None, label, FlowOptions()), noise
    times = np.linspace(0.0, 1.0, 401)
    for a, b in zip(times[:-1], times[1:], strict=True):  # midpoint
        middle = x + 0.5 * (b - a) * field(x, jnp.asarray(a))
        x = x + (b - a) * field(middle, jnp.asarray((a + b) / 2))
    mean = family.mean(label)
    np.testing.assert_allclose(x, mean + STD * noise, atol=2e-2)


def test_entries_and_nothing():
    pixels = PixelScale((0.1,), (0.5,))
    mean = label_mean("label", LABEL_MEANS, pixels)
    maps, prevalence, _ = LABEL_MEANS
    label = jnp.asarray([[1.0, 0.0, -1.0], [-1.0, -1.0, -1.0]])
    expected = maps[0] + (1 - prevalence[0]) * maps[1] - prevalence[1] * maps[2]
    np.testing.assert_allclose(pixels.to_pixels(mean(label))[0], expected, atol=1e-6)
    np.testing.assert_allclose(pixels.to_pixels(mean(label))[1], maps[0], atol=1e-6)
    assert float(jnp.abs(label_mean("pixels", None, pixels)(label)).max()) == 0.0
    with pytest.raises(ValueError, match="model.center 'class' is unknown"):
        label_mean("class", LABEL_MEANS, pixels)
    with pytest.raises(ValueError, match="needs the training split's label means"):
        label_mean("label", None, pixels)
    assert LABELS == 3
