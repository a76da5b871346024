"""Likelihoods of stored pixels against SciPy's distributions, bin by bin."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from models.discretised import discretised_gaussian, discretised_logistic
from models.pixels import PixelScale

KINDS = {"gaussian": (discretised_gaussian, stats.norm), "logistic": (discretised_logistic, stats.logistic)}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_mass_of_every_bin(kind, bits, x64):
    """Against the exact difference of distribution functions; together the bins hold 1."""
    log_mass, exact = KINDS[kind]
    side, top = 2 ** (bits // 2), 2**bits - 1
    x = jnp.asarray(2 * np.arange(2**bits) / top - 1).reshape(1, side, side, 1)
    pixels = PixelScale((0.1,), (0.4,), bits)
    mean, scale = 0.3, 0.02
    z = pixels.to_network(x)
    center = pixels.to_network(jnp.asarray([mean]))[0]
    got = log_mass(z, jnp.full_like(z, center), jnp.full_like(z, np.log(scale / 0.4)), pixels)
    assert float(jnp.exp(got).sum()) == pytest.approx(1.0, abs=1e-9)
    edges = np.concatenate([[-np.inf], (2 * np.arange(1, 2**bits) - 1) / top - 1, [np.inf]])
    below, above = exact.cdf(edges, mean, scale), exact.sf(edges, mean, scale)
    mass = np.where(edges[1:] < mean, np.diff(below), -np.diff(above))  # from the nearer tail
    seen = mass > 1e-300
    # rtol: a far tail's mass is a difference of two numbers that SciPy rounds as well
    np.testing.assert_allclose(np.asarray(got).ravel()[seen], np.log(mass[seen]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_stay_finite_far_away(kind):
    import jax

    log_mass, _ = KINDS[kind]
    pixels, z = PixelScale((0.0,), (1.0,)), jnp.asarray([-1.0, -0.5, 0.0, 1.0]).reshape(1, 2, 2, 1)
    for log_scale in (-7.0, 2.0):
        run = lambda m: log_mass(z, m, jnp.full_like(z, log_scale), pixels).sum()  # noqa: B023, E731
        for mean in (-3.0, 0.0, 3.0):
            assert np.isfinite(jax.grad(run)(jnp.full_like(z, mean))).all()
