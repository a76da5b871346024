"""A run whose network knows the covariance of the training pixels."""

import numpy as np
import pytest

import analysis
from data import UserError
from tests.train.helpers import train_here


def test_a_run_keeps_the_covariance_that_it_began_with(tmp_path):
    option = "--config.model.prior=gaussian"
    assert train_here(tmp_path / "run", option, cache=tmp_path / "cache", config="flow_cxr") == 0
    kept = np.load(tmp_path / "run" / "pixel_covariance.npz")
    run = analysis.load(tmp_path / "run")
    np.testing.assert_array_equal(run.family.prior.basis, kept["basis"])
    assert "conv_guess" in run.state.params["net"]  # which is shown what that covariance makes of a noisy image
    assert kept["basis"].shape == (12, 256) and run.family.prior.rest > 0  # 96 images: 48 a half, 4 a direction
    assert float(run.family.prior.std) == pytest.approx(1.0, abs=0.2)  # images are scaled to the deviation sigma_data
    (tmp_path / "run" / "pixel_covariance.npz").unlink()
    with pytest.raises(UserError, match="needs model.center 'label' and the training split's covariance"):
        analysis.load(tmp_path / "run")
