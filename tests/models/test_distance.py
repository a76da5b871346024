"""Distances on the device against SciPy's exact transform."""

import jax.numpy as jnp
import numpy as np
import pytest

from data.sdf import sdf_of_mask
from models.distance import signed_distance
from tests.data.test_sdf import blob


@pytest.mark.parametrize("truncation", [1.0, 3.5, 15.0, 40.0])
def test_same_numbers_as_on_the_host(truncation):
    masks = np.stack([blob(seed, 24) for seed in range(6)] + [np.zeros((24, 24)), np.ones((24, 24))])
    exact = np.stack([sdf_of_mask(mask, truncation) for mask in masks])
    got = signed_distance(jnp.asarray(masks[..., None], jnp.float32), truncation)
    np.testing.assert_allclose(got[..., 0], exact, atol=1e-6)
