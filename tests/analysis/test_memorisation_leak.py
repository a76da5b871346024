"""The parts of the planted leak that need no training."""

import numpy as np
import pytest

from analysis.memorisation import leak_check


def test_the_planted_leak_is_of_the_size_it_says():
    rng = np.random.default_rng(0)
    samples, train = (rng.integers(0, 256, (n, 8, 8, 1), np.uint8) for n in (200, 50))
    changed = (leak_check.plant(samples, train, 0) != samples).any((1, 2, 3))
    assert changed.sum() == 10


def test_the_summary_adds_up():
    def one(suspected, rejected):
        return {"samples": 500, "suspected": suspected, "rejected": {"pixels, ratio": {"value": rejected}}}

    found = leak_check.summarise([one(["hash"], 0.5), one([], 0.1), one(["hash"], 0.0)])
    assert (found["suspected"], found["of"]) == (2, 3)
    assert found["rejected"]["pixels, ratio"]["value"] == pytest.approx(0.2)
    assert found["rejected"]["pixels, ratio"]["n"] == (1500,)
