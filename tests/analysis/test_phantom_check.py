"""Statistics that tell phantoms from real images, on fields of which they are known."""

import json

import numpy as np
import pytest
from PIL import Image

from analysis import phantom_check
from data import UserError
from data.phantom import mri


def fields(seed, n, slope, size=64):
    """Gray images [n, s, s] in [0, 1] whose power falls as frequency to the `slope`."""
    k = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    k[0, 0] = 1
    noise = np.random.default_rng(seed).standard_normal((n, size, size))
    gray = np.fft.ifft2(np.fft.fft2(noise) * k ** (slope / 2)).real
    return np.clip(0.5 + 0.15 * gray / gray.std(), 0, 1).astype(np.float32)


@pytest.mark.parametrize("slope", [-1.0, -2.0, -3.0])
def test_the_slope_of_a_power_law(slope):
    found = phantom_check.spectrum_slope(phantom_check.radial_spectrum(fields(0, 60, slope)))
    assert abs(found - slope) < 0.15


def test_the_distance_of_histograms_is_how_far_gray_levels_move():
    images = np.random.default_rng(0).uniform(0.2, 0.6, (4, 32, 32))
    assert phantom_check.histogram_distance(images, images + 0.1) == pytest.approx(0.1, abs=0.01)
    assert phantom_check.histogram_distance(images, images) == 0


def test_what_is_alike_cannot_be_told_apart_and_what_differs_can():
    same = phantom_check.separability(fields(0, 60, -2), fields(1, 60, -2))
    other = phantom_check.separability(fields(0, 60, -1), fields(1, 60, -3))
    for name in ("gradient_histograms", "network"):
        low, high = same[name]["interval"]
        assert low < 0.5 < high and same[name]["n_real"] == same[name]["n_phantom"] == 30
        assert other[name]["auroc"] > 0.95


def test_phantoms_without_a_label_are_the_first_such():
    chosen = phantom_check.load_phantom("mri", 0, 5, 32, lacking="tumour")
    drawn = mri.generate(0, np.arange(20), 32)
    first = drawn["image"][drawn["label"][:, 3] == 0][:5]
    assert np.abs(chosen[..., :1] - first).max() <= 0.5 / 255 + 1e-6 and chosen.shape == (5, 32, 32, 3)
    with pytest.raises(UserError, match="--lacking cat: the phantom mri has T1, T2, FLAIR, tumour"):
        phantom_check.load_phantom("mri", 0, 5, 32, lacking="cat")


def test_the_command_chooses_what_is_in_colour(tmp_path, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "real").mkdir()
    for i in range(60):
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels if i < 24 else pixels[..., :1].repeat(3, -1)).save(tmp_path / "real" / f"{i}.png")
    options = ["--real", str(tmp_path / "real"), "--phantom", "tissue", "--size", "32", "--out", str(tmp_path / "out")]
    phantom_check.main([*options, "--coloured"])
    found = json.loads((tmp_path / "out" / "phantom_check.json").read_text())
    assert found["n"] == 24 and found["phantom"] == "tissue" and found == json.loads(capsys.readouterr().out)
    assert found["colours"]["real"]["mean"] == pytest.approx([0.5, 0.5, 0.5], abs=0.02)
    assert Image.open(tmp_path / "out" / "side_by_side_64.png").mode == "RGB"
    with pytest.raises(UserError, match="holds 1 images"):
        (tmp_path / "few").mkdir()
        Image.fromarray(pixels).save(tmp_path / "few" / "a.png")
        phantom_check.main(["--real", str(tmp_path / "few"), "--out", str(tmp_path / "none")])
    assert not (tmp_path / "none").exists()
