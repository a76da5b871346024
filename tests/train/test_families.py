"""What must hold for every family, through the loop: an interrupted run gives the same bits, samples follow."""

import numpy as np
import pytest

from analysis import sample
from tests.train.helpers import train
from tests.train.test_resume import assert_same_run


@pytest.mark.parametrize("config", ["flow_cxr"])
def test_resume_is_exact_and_samples_follow(config, tmp_path):
    cache = tmp_path / "cache"
    train(tmp_path / "whole", cache=cache, config=config)
    done = train(tmp_path / "restarted", "--config.train.restart_at=7 steps", cache=cache, config=config)
    assert "going on from step 7" in done.stderr
    assert_same_run(tmp_path / "whole", tmp_path / "restarted")
    sample.main(["--run", str(tmp_path / "whole"), "--n", "3", "--guidance", "2", "--out", str(tmp_path / "out")])
    assert np.load(tmp_path / "out" / "samples.npz")["images"].shape == (3, 16, 16, 1)
