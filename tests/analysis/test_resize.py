"""The published rules of resizing, on pictures whose answer is known."""

import numpy as np
import pytest

from analysis.features.resize import MODES, resize
from data import UserError


@pytest.mark.parametrize("mode", MODES)
def test_same_size_is_the_same_picture(mode):
    images = np.random.default_rng(0).uniform(0, 255, (2, 9, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(resize(images, 9, mode), images, atol=1e-4)


def test_where_pixels_stand():
    """A ramp doubled: TensorFlow 1 puts new pixels at 0, 1/2, 1 ...; PyTorch at -1/4, 1/4, 3/4 ..., held inside."""
    ramp = np.broadcast_to(np.float32([0, 10, 20, 30]), (1, 4, 4))[..., None]
    tensorflow, pytorch = (resize(ramp, 8, mode)[0, 3, :, 0] for mode in ("legacy-tensorflow", "legacy-pytorch"))
    np.testing.assert_allclose(tensorflow, [0, 5, 10, 15, 20, 25, 30, 30], atol=1e-5)
    np.testing.assert_allclose(pytorch, [0, 2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 30], atol=1e-5)


def test_only_clean_is_antialiased_and_stays_in_range():
    stripes = np.zeros((1, 64, 64, 1), np.float32)
    stripes[:, :, ::4] = 255.0
    spread = {mode: resize(stripes, 16, mode).std() for mode in MODES}
    assert spread["clean"] < 25 and spread["legacy-tensorflow"] < 1  # which meets bright columns only
    assert resize(stripes, 16, "legacy-tensorflow").mean() == 255.0
    assert abs(resize(stripes, 16, "clean").mean() - 255 / 4) < 5
    checks = resize(stripes, 99, "clean")  # bicubic overshoots
    assert checks.min() == 0.0 and checks.max() <= 255.0


def test_sides_and_channels_are_kept_apart():
    images = np.random.default_rng(0).uniform(0, 255, (2, 6, 10, 3)).astype(np.float32)
    for mode in MODES:
        whole = resize(images, 13, mode)
        assert whole.shape == (2, 13, 13, 3) and whole.dtype == np.float32
        np.testing.assert_allclose(whole[1:, ..., 2:], resize(images[1:, ..., 2:], 13, mode), atol=1e-4)
        turned = resize(images.swapaxes(1, 2), 13, mode)
        np.testing.assert_allclose(turned.swapaxes(1, 2), whole, atol=1e-2)


def test_unknown_mode():
    with pytest.raises(UserError, match="resize mode 'legacy_pytorch' is none of clean, "):
        resize(np.zeros((1, 4, 4, 1), np.float32), 8, "legacy_pytorch")
