"""Spectra of noise and of waves, and their distance."""

import numpy as np
import pytest

from analysis.metrics import spectrum
from analysis.metrics.spectrum import radial_spectrum, spectrum_distance


@pytest.mark.parametrize("shape", [(32, 32, 1), (32, 48, 3), (31, 31, 1)])
def test_white_noise_is_flat(shape):
    found = radial_spectrum(np.random.default_rng(0).normal(5, 2, (400, *shape)))
    np.testing.assert_allclose(found.power, 4.0, rtol=0.12)
    assert found.power.mean() == pytest.approx(4, rel=0.01)
    assert found.n == 400
    np.testing.assert_allclose(found.frequency, np.arange(1, min(shape[:2]) // 2 + 1) / min(shape[:2]))


@pytest.mark.parametrize("cycles", [(0, 5), (3, 4), (4, -3)])
def test_a_wave_lies_in_its_ring(cycles):
    """Half the square of the amplitude, spread over the ring's places."""
    size = 32
    i, j = np.mgrid[:size, :size] / size
    found = radial_spectrum((3 * np.cos(2 * np.pi * (cycles[0] * i + cycles[1] * j)) + 7)[None, ..., None])
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(size, 1 / size), np.fft.fftfreq(size, 1 / size)))
    places = (np.rint(radius) == 5).sum()
    assert found.power[4] == pytest.approx(4.5 * size**2 / places)
    assert found.power.sum() == pytest.approx(found.power[4])


def test_frequency_is_in_cycles_a_pixel_of_oblong_images():
    """9 cycles over 48 columns are 6 over 32 rows."""
    wave = np.cos(2 * np.pi * 9 * np.arange(48) / 48)
    found = radial_spectrum(np.broadcast_to(wave[:, None], (1, 32, 48, 1)))
    assert found.frequency[found.power.argmax()] == 9 / 48


def test_batches_change_nothing(monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 1), np.uint8)
    whole = radial_spectrum(x).power
    monkeypatch.setattr(spectrum, "BATCH", 3)
    np.testing.assert_allclose(radial_spectrum(x).power, whole, rtol=1e-12)


def test_distance_in_decibels():
    x = np.random.default_rng(0).normal(size=(20, 16, 16, 1))
    a = radial_spectrum(x)
    assert spectrum_distance(a, a) == 0
    assert spectrum_distance(a, radial_spectrum(2 * x + 9)) == pytest.approx(20 * np.log10(2))
    smooth = (x + np.roll(x, 1, 1) + np.roll(x, 1, 2) + np.roll(x, (1, 1), (1, 2))) / 4
    assert spectrum_distance(a, radial_spectrum(smooth)) > 6
    assert spectrum_distance(radial_spectrum(smooth), a) == spectrum_distance(a, radial_spectrum(smooth))


def test_bad_input_is_named():
    noise = np.random.default_rng(0).normal(size=(2, 31, 31, 1))
    with pytest.raises(ValueError, match="of different size"):
        spectrum_distance(radial_spectrum(noise), radial_spectrum(noise[:, :8, :8]))
    flat = radial_spectrum(np.full((2, 31, 31, 1), 7))
    for pair in ((radial_spectrum(noise), flat), (flat, radial_spectrum(noise))):
        with pytest.raises(ValueError, match="images constant"):
            spectrum_distance(*pair)
    with pytest.raises(ValueError, match="of 4 pixels or more"):
        radial_spectrum(noise[..., 0])
