import json
from types import SimpleNamespace

import numpy as np
import pytest

from analysis import phantom_facts

MODULE = SimpleNamespace(CLASSES=("a", "b"), FACTORS=("drawn", "area"), DERIVED=("area",), MASKS=("left",))


def test_groups_have_exactly_their_labels():
    labels = np.float32([[1, 0], [1, 0], [1, 1], [0, 0]])
    factors = np.float32([[9, 2], [9, 4], [9, 50], [9, 70]])
    found = phantom_facts.facts(MODULE, labels, factors, np.array([[0.2], [np.nan], [0.5], [np.nan]]))
    assert {name: group["n"] for name, group in found.items()} == {"a": 2, "a, b": 1, "none": 1}
    area = found["a"]["factors"]["area"]
    assert (area["n"], area["mean"], area["std"]) == (2, 3.0, 1.0) and 2.0 < area["low"] < 2.1
    assert found["a"]["gray_levels"]["left"]["n"] == 1 and found["none"]["gray_levels"]["left"] is None
    assert "drawn" not in found["a"]["factors"]


def test_gray_levels_are_means_under_masks_that_are_large_enough():
    images, masks = np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 8, 1))
    images[:, :4] = 0.6
    masks[0, 2:6, :3] = 1  # 12 pixels, half of them bright
    masks[1, :1, :8] = masks[1, 1:2, :3] = 1  # 11 pixels
    found = phantom_facts.gray_levels(images, masks)
    np.testing.assert_allclose(found, [[0.3], [np.nan]])


@pytest.mark.parametrize("name", phantom_facts.PHANTOMS)
def test_the_command_writes_every_group(tmp_path, monkeypatch, name):
    monkeypatch.setattr(phantom_facts, "BATCH", 7)
    phantom_facts.main(["--phantom", name, "--n", "16", "--size", "32", "--out", str(tmp_path / "facts.json")])
    found = json.loads((tmp_path / "facts.json").read_text())
    assert sum(group["n"] for group in found["groups"].values()) == 16 and found["n"] == 16
