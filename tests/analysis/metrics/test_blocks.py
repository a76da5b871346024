"""Nearest neighbours against all distances, whatever the blocks."""

import numpy as np
import pytest

from analysis.metrics import blocks
from analysis.metrics.blocks import nearest


@pytest.mark.parametrize("block", [(1024, 8192), (7, 5), (16, 3)])
@pytest.mark.parametrize("own", [False, True])
def test_neighbours_are_those_of_all_distances(block, own, monkeypatch):
    monkeypatch.setattr(blocks, "ROWS", block[0])
    monkeypatch.setattr(blocks, "COLUMNS", block[1])
    rng = np.random.default_rng(0)
    y = rng.normal(50, 1, (40, 4))
    x = y if own else rng.normal(50, 1, (33, 4))
    far = np.square(x[:, None] - y[None]).sum(2)
    if own:
        np.fill_diagonal(far, np.inf)
    distance, index = nearest(x, y, 6, own)
    np.testing.assert_array_equal(index, far.argsort(1)[:, :6])
    np.testing.assert_allclose(distance, np.sort(far, 1)[:, :6], rtol=1e-10)


def test_copies_are_at_no_distance_and_bad_input_is_named():
    x = np.random.default_rng(0).normal(100, 1, (20, 8)).astype(np.float32)
    assert (nearest(x, x, 1)[0] == 0).all() and (nearest(x, x, 1)[1][:, 0] == np.arange(20)).all()
    assert (nearest(x, x, 1, own=True)[0] > 0).all()
    for other, message in ((np.zeros((20, 3)), "of one length"), (x[:1], "2 neighbours"), (x + np.nan, "not finite")):
        with pytest.raises(ValueError, match=message):
            nearest(x, other, 2)
