"""Grids: which labels they hold, what stands below an image."""

from types import SimpleNamespace

import numpy as np

from analysis.grid import CAPTION, make_grid
from analysis.labels import caption, draw_labels, fill_open, grid_labels

INFO = SimpleNamespace(classes=("effusion", "mass"), attributes=("view",))


def train_labels():
    rows = [[0, 0, 1]] * 50 + [[1, 0, 0]] * 30 + [[0, 1, -1]] * 10 + [[1, 1, 0]] * 10
    return np.asarray(rows, np.float32)


def test_drawn_labels_follow_the_training_split():
    labels = draw_labels(train_labels(), 4000, seed=0)
    np.testing.assert_allclose(labels.mean(0), train_labels().mean(0), atol=0.05)
    np.testing.assert_array_equal(labels, draw_labels(train_labels(), 4000, seed=0))
    assert labels.dtype == np.float32 and not np.array_equal(labels, draw_labels(train_labels(), 4000, seed=1))


def test_a_grid_begins_with_a_row_of_each_single_finding():
    labels = grid_labels(train_labels(), INFO, 64, 8, seed=0)
    assert [caption(label, INFO) for label in labels[:24:8]] == ["normal", "effusion", "mass"]
    assert (labels[:8, :2] == 0).all() and (labels[8:16, :2] == [1, 0]).all() and (labels[16:24, :2] == [0, 1]).all()
    np.testing.assert_array_equal(labels[24:], draw_labels(train_labels(), 64, seed=0)[24:])
    none = SimpleNamespace(classes=(), attributes=())
    assert grid_labels(np.zeros((5, 0), np.float32), none, 4, 2, seed=0).shape == (4, 0)


def test_open_entries_are_filled_as_in_training():
    """With a mass and without effusion the view is always unknown there; with an effusion alone it is always 0."""
    asked = np.repeat(np.asarray([[0, 1, -1], [1, 0, -1], [-1, -1, 1]], np.float32), 300, axis=0)
    filled = fill_open(asked, train_labels(), seed=0)
    assert (filled[:300] == [0, 1, -1]).all() and (filled[300:600] == [1, 0, 0]).all()
    assert (filled[600:] == [0, 0, 1]).all() and (asked[600:, :2] == -1).all()
    nobody = fill_open(np.full((400, 3), [1, -1, 1], np.float32), train_labels(), seed=0)
    assert (nobody[:, [0, 2]] == 1).all() and 0.1 < nobody[:, 1].mean() < 0.3


def test_captions_are_words():
    words = {(0, 0, 1): "normal", (1, 1, 0): "effusion, mass", (-1, -1, 1): ""}
    assert {label: caption(np.asarray(label), INFO) for label in words} == words


def test_a_caption_that_is_too_long_is_broken_after_a_comma_and_not_cut():
    images, findings = np.full((2, 64, 64, 1), 7, np.uint8), "pneumonia, pneumothorax, effusion, cardiomegaly"
    grid = make_grid(images, 2, captions=[findings, "normal"])
    assert grid.shape == (128 + 3 * CAPTION, 258)
    parts = [grid[128 + i * CAPTION : 128 + (i + 1) * CAPTION, :128] < 100 for i in range(3)]
    for part in parts:  # each has its line
        assert part.any() and not part[:, 0].any() and not part[:, -1].any()
    assert (grid[128 : 128 + CAPTION, 130:] < 100).any() and (grid[128 + CAPTION :, 130:] == 255).all()
    assert make_grid(images, 2, captions=["effusion, mass", ""]).shape == (128 + CAPTION, 258)


def test_captions_stand_below_their_images_and_cost_room_only_where_there_are_any():
    images = np.full((3, 64, 64, 1), 7, np.uint8)
    assert make_grid(images, 2, captions=["", "", ""]).shape == make_grid(images, 2).shape == (258, 258)
    grid = make_grid(images, 2, captions=["normal", "", "mass"])
    assert grid.shape == (258 + 2 * CAPTION, 258)
    assert (grid[:128, :128] == 7).all() and (grid[144:272, :128] == 7).all()
    assert (grid[128:142, :128] < 100).any() and (grid[128:142, 130:] == 255).all() and (grid[272:, :128] < 100).any()
