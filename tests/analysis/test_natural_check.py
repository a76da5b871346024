import json

import numpy as np

from analysis import natural_check


def test_kurtosis_of_known_distributions():
    rng = np.random.default_rng(0)
    for steps, expected in ((rng.standard_normal((4, 64, 500)), 3), (rng.laplace(size=(4, 64, 500)), 6)):
        found = natural_check.kurtosis(np.cumsum(steps, axis=2))
        np.testing.assert_allclose(found, expected, rtol=0.1)


def test_spectrum_and_colour_of_known_fields():
    rng = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None])
    k[0, 0] = 1
    gray = np.fft.ifft2(np.fft.fft2(rng.standard_normal((100, 64, 64))) / k).real  # amplitude 1/f, power 1/f^2
    gray = 0.1 * gray / gray.std()
    other = 0.02 * rng.standard_normal((100, 1, 1))  # red against blue
    found = natural_check.statistics(np.float32(np.stack([gray + other, gray, gray - other], -1)))
    assert abs(found["spectrum_slope"][0] + 2) < 0.15
    assert found["n"] == 100 and found["size"] == 64
    np.testing.assert_allclose(found["colour_variance"], [0.974, 0.026, 0], atol=0.01)  # 3 x 0.01, 2 x 0.0004


def test_it_measures_both_and_draws_a_sheet(tmp_path):
    photographs = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "real.npz", train_images=photographs)
    natural_check.main(["--real", str(tmp_path / "real.npz"), "--out", str(tmp_path / "out"), "--n", "40"])
    found = json.loads((tmp_path / "out" / "natural_check.json").read_text())
    assert (found["real"]["size"], found["drawn_at_the_same_size"]["size"], found["drawn"]["size"]) == (32, 32, 64)
    assert found["drawn"]["derivative_kurtosis"][0] > found["real"]["derivative_kurtosis"][0]
    assert (tmp_path / "out" / "natural.png").stat().st_size > 1000
