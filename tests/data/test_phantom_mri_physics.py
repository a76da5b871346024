"""Brain MRI phantom: signal equations, noise, coil and display."""

import numpy as np

from data.phantom import mri_scanner, mri_tissues
from tests.data.test_phantom_mri import drawn, draws_and_factors


def test_order_of_tissues_in_every_subject():
    for index in range(300):
        _, f = draws_and_factors(index)
        mri_tissues.add_timing(f)
        s = mri_tissues.signals(f)
        if f["contrast"] == 0:
            assert s["white"] > s["gray"] > s["csf"] and s["gray"] > abs(s["csf"]) and s["white"] > s["edema"]
        elif f["contrast"] == 1:
            assert s["csf"] > s["edema"] > s["gray"] > s["white"]
        else:
            assert abs(s["csf"]) < 0.2 * s["white"] < 0.2 * s["gray"] and s["edema"] > s["gray"]


def test_signal_equations():
    echo = mri_tissues.spin_echo(1000.0, 100.0, 0.8, 1000 * np.log(2), 100 * np.log(4))
    np.testing.assert_allclose(echo, 0.8 * 0.5 * 0.25)
    inverted = mri_tissues.inversion_recovery(1000.0, 100.0, 0.8, 1000 * np.log(10), 100 * np.log(2), 1000 * np.log(4))
    np.testing.assert_allclose(inverted, 0.8 * (1 - 2 / 4 + 1 / 10) / 2)
    null = mri_tissues.null_time(4000.0, 9000.0)
    assert abs(mri_tissues.inversion_recovery(4000.0, 2000.0, 1.0, 9000.0, 100.0, null)) < 1e-9
    assert 2000 < null < 4000 * np.log(2)


def test_protocol_of_each_contrast():
    for index in range(60):
        _, f = draws_and_factors(index)
        mri_tissues.add_timing(f)
        flair = f["contrast"] == 2
        assert (f["ti"] > 0) == (flair or (f["contrast"] == 0 and f["tesla3"] == 1))
        assert (f["te"] < 20) == (f["contrast"] == 0)
        if flair:
            null = mri_tissues.null_time(mri_tissues.parameters(f, "csf")[0], f["tr"])
            assert 0.96 < f["ti"] / null < 1.03


def test_contrast_agent_brightens_the_rim_in_t1_alone():
    tumour = {"tumour": 1, "agent_draw": 1, "contrast": 0, "gadolinium": 0.5}
    for field in (0, 1):
        _, f = draws_and_factors(**tumour, tesla3=field, enhancing=1)
        mri_tissues.add_timing(f)
        with_agent, without = mri_tissues.signals(f), mri_tissues.signals(f | {"enhancing": np.float32(0)})
        assert with_agent["rim"] > 1.5 * without["rim"] and with_agent["rim"] > with_agent["white"]
        np.testing.assert_allclose(without["rim"], without["tumour_tissue"], rtol=1e-4)
    enhancing = [f for _, f in map(draws_and_factors, range(200)) if f["enhancing"]]
    assert enhancing and all(f["contrast"] == 0 and f["tumour"] for f in enhancing)


def test_background_is_rayleigh():
    """Before the display: mean sigma sqrt(pi/2), mean over standard deviation 1.913."""
    draws, f = draws_and_factors(size=256)
    empty = np.zeros((512, 512), np.float32)
    air = mri_scanner.acquire(empty, f, 0.1, draws.noise)
    assert abs(air.mean() / (0.1 * np.sqrt(np.pi / 2)) - 1) < 0.01
    assert abs(air.mean() / air.std() - np.sqrt(np.pi / 2) / np.sqrt(2 - np.pi / 2)) < 0.03


def test_noise_around_the_head_is_that_of_the_factors(monkeypatch):
    monkeypatch.setattr(mri_scanner, "display", lambda magnitude, f, signal, sigma: magnitude / sigma)
    corner = np.stack([drawn(i)[0][:6, :6] for i in range(60)])
    assert abs(corner.mean() / np.sqrt(np.pi / 2) - 1) < 0.04
    assert abs(corner.mean() / corner.std() - 1.913) < 0.12


def test_magnitude_is_rician_and_keeps_the_signal():
    draws, f = draws_and_factors(size=256, bias=0)
    level = np.full((512, 512), -2.0, np.float32)  # the sign of an inverted signal is lost
    image = mri_scanner.acquire(level, f, 0.5, draws.noise)
    assert abs((image**2).mean() - (4 + 2 * 0.25)) < 0.03  # E[M^2] = A^2 + 2 sigma^2
    np.testing.assert_allclose(mri_scanner.acquire(level, f, 0.0, draws.noise), 2, rtol=1e-4)


def test_noise_of_larger_pixels_is_lower():
    _, f = draws_and_factors(view=112)
    f["sigma"] = np.float32(0.02)
    np.testing.assert_allclose(mri_scanner.pixel_sigma(f, 128), 0.02, rtol=1e-5)
    np.testing.assert_allclose(mri_scanner.pixel_sigma(f, 64), 0.01, rtol=1e-5)


def test_coil_varies_as_much_as_the_factor_says():
    u, v = (np.linspace(-1, 1, 65)[:, None] * np.ones(65) for _ in range(2))
    spread = []
    for index in range(100):
        _, f = draws_and_factors(index, bias=0.1)
        spread.append(np.log(mri_scanner.coil(f, u, v.T)).std())
        assert mri_scanner.coil(f, u, v.T)[32, 32] == 1
    assert 0.07 < np.mean(spread) < 0.13


def test_display_puts_brain_where_the_contrast_asks():
    for index in range(30):
        _, f = draws_and_factors(index, black=0)
        mri_tissues.add_timing(f)
        signal = mri_tissues.signals(f)
        anchor, level = mri_tissues.reference(f, signal)
        gray = mri_scanner.display(np.array([0, anchor / 2, anchor, 99 * anchor]), f, signal, 0.01)
        np.testing.assert_allclose(gray[[0, 2, 3]], [0, level, 1], atol=1e-5)
        assert 0 < gray[1] < level
