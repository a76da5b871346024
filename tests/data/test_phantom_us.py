"""Breast ultrasound phantom: determinism, agreement of image, masks, labels and factors, the physics."""

import numpy as np
import pytest

from data.phantom import us, us_beam, us_fields, us_lesions, us_scan
from data.phantom.us_factors import CLASSES, LESIONS, TABLE, factors_from
from tests.data.layouts import opened

SEED = 3
SNR = np.sqrt(np.pi / (4 - np.pi))  # 1.91, mean over standard deviation of a Rayleigh variable


def column(batch, name):
    return batch["factors"][:, us.FACTORS.index(name)]


def draws_and_factors(index, name, **edits):
    """The random numbers of a phantom and its factors, of a class of your choice, with some of them set."""
    draws = us.Draws.of(SEED, index)
    uniform = draws.uniform.copy()
    uniform[0] = (CLASSES.index(name) + 0.5) / len(CLASSES)
    f = factors_from(draws.normal, uniform)
    f.update(edits)
    return draws, f


def white(n, seed=0):
    """Circular complex noise of unit power [n, DEPTHS, COLUMNS]."""
    shape = (n, us_scan.DEPTHS, 2 * us_scan.COLUMNS)
    noise = np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(np.sqrt(0.5))
    return noise.view(np.complex64)


def spread_of(field, step, axis):
    """Standard deviation of a Gaussian point spread from the correlation of neighbours, exp(-step^2 / 4 sigma^2)."""
    a, b = (np.take(field, range(i, field.shape[axis] - 1 + i), axis) for i in (0, 1))
    correlation = np.abs((a * b.conj()).mean()) / (np.abs(field) ** 2).mean()
    return step / np.sqrt(-4 * np.log(correlation))


@pytest.fixture(scope="module")
def batch():
    return us.generate(SEED, np.arange(120))


def test_shapes_ranges_and_names(batch):
    assert batch["image"].shape == (120, 64, 64, 1) and batch["image"].dtype == np.float32
    assert 0 <= batch["image"].min() and batch["image"].max() <= 1
    assert batch["label"].shape == (120, 4) and np.all(batch["label"].sum(1) == 1)
    assert batch["mask"].shape == (120, 64, 64, 1) and batch["mask"].dtype == np.uint8
    assert batch["factors"].shape == (120, len(us.FACTORS)) and np.isfinite(batch["factors"]).all()
    assert len(set(us.FACTORS)) == len(us.FACTORS)
    np.testing.assert_array_equal(batch["label"].argmax(1), np.floor(4 * column(batch, "class_draw")))


@pytest.mark.parametrize("indices", [[7], [100, 7, 3]])
def test_an_image_is_the_same_in_every_batch(batch, indices):
    np.random.seed(len(indices))  # the global generator must play no part
    part = us.generate(SEED, np.array(indices))
    for name, value in part.items():
        np.testing.assert_array_equal(value, batch[name][indices], err_msg=name)


def test_seed_and_index_change_the_image(batch):
    other = us.generate(SEED + 1, np.arange(4))["image"]
    assert np.abs(other - batch["image"][:4]).mean((1, 2, 3)).min() > 0.03
    assert len(np.unique(batch["image"].reshape(120, -1), axis=0)) == 120


def test_a_larger_image_shows_the_same_patient_and_speckle(batch):
    large = us.generate(SEED, np.arange(16), 128)
    small = large["image"][..., 0].reshape(16, 64, 2, 64, 2).mean((2, 4))
    for a, b in zip(small, batch["image"][:16, ..., 0], strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.98
    np.testing.assert_array_equal(large["label"], batch["label"][:16])
    np.testing.assert_array_equal(large["factors"], batch["factors"][:16])
    share = large["mask"].reshape(16, 64, 2, 64, 2, 1).mean((2, 4)) - batch["mask"][:16]
    assert np.abs(share).mean() < 0.01


def test_factors_keep_to_their_ranges():
    rng = np.random.default_rng(0)
    count = 2000
    drawn = [factors_from(rng.standard_normal(len(TABLE)), rng.random(len(TABLE))) for _ in range(count)]
    f = {name: np.array([d[name] for d in drawn]) for name in drawn[0]}
    for factor in TABLE:
        low, high = {
            "normal": (factor.a - 2.2 * factor.b, factor.a + 2.2 * factor.b),
            "uniform": (factor.a, factor.b),
            "bernoulli": (0, 1),
        }[factor.kind]
        values = f[factor.name]
        if factor.name not in ("gland", "depth", "lesion_x"):  # which make room for the lesion
            assert low - 1e-5 <= values.min() and values.max() <= high + 1e-5, factor.name  # they are float32
    for i, name in enumerate(CLASSES):
        these = f["class"] == i
        assert abs(these.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / count)
        low, high = LESIONS[name]["width"]
        assert low <= f["lesion_width"][these].min() and f["lesion_width"][these].max() <= high
    aspect = f["lesion_height"] / np.maximum(f["lesion_width"], 1e-9)
    assert aspect[f["class"] == 2].max() < 1 < np.median(aspect[f["class"] == 3])
    assert np.all(f["lesion_center_z"] + f["lesion_height"] / 2 + 0.89 < f["depth"])
    assert np.all(np.abs(f["lesion_center_x"]) + f["lesion_width"] / 2 < f["depth"] / 2)
    assert 3 < f["depth"].max() < 4.6


def test_masks_lie_on_the_lesions(batch):
    there = batch["mask"].any((1, 2, 3))
    np.testing.assert_array_equal(there, batch["label"][:, 0] == 0)
    depth = column(batch, "depth")
    area = batch["mask"].sum((1, 2, 3)) * (depth / 64) ** 2
    np.testing.assert_allclose(area[there], column(batch, "lesion_area")[there], rtol=0.12)
    rows, columns = (batch["mask"][..., 0].sum(axis) @ (np.arange(64) + 0.5) for axis in (2, 1))
    pixels = batch["mask"].sum((1, 2, 3))[there]
    x, z = columns[there] / pixels / 64 - 0.5, rows[there] / pixels / 64
    np.testing.assert_allclose(x * depth[there], column(batch, "lesion_center_x")[there], atol=0.12)
    np.testing.assert_allclose(z * depth[there], column(batch, "lesion_center_z")[there], atol=0.15)


def test_lesions_are_darker_than_what_surrounds_them(batch):
    gray = {}
    for image, mask, label in zip(batch["image"][..., 0], batch["mask"][..., 0], batch["label"], strict=True):
        if mask.any():
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            box = np.s_[max(rows[0] - 3, 0) : rows[-1] + 4, max(columns[0] - 3, 0) : columns[-1] + 4]
            difference = image[box][mask[box] == 1].mean() - image[box][mask[box] == 0].mean()
            gray.setdefault(CLASSES[label.argmax()], []).append(difference)
    assert np.max(gray["cyst"]) < -0.15
    assert np.mean(gray["malignant"]) < -0.1 and np.mean(gray["benign"]) < -0.1
    assert np.mean(gray["cyst"]) < np.mean(gray["malignant"])


@pytest.mark.parametrize(("name", "sign"), [("cyst", 1), ("malignant", -1)])
def test_enhancement_and_shadow_lie_behind_the_lesion(name, sign):
    behind, measured = [], []
    for index in range(12):
        draws, f = draws_and_factors(index, name, ribs=0.0, contact=-1.0, density=1.0, edge_shadow=0.0)
        gray, _ = us_scan.render(f, draws)
        grid = us_scan.grid_of(f)
        x = np.abs(grid.x[0, us_scan.MARGIN : -us_scan.MARGIN] - f["lesion_center_x"]) - f["lesion_width"] / 2
        z = grid.z[:, 0] - f["lesion_center_z"] - f["lesion_height"] / 2
        rows = (z > 0.2) & (z < 0.5)
        beside = gray[rows][:, (x > 0.3) & (x < 0.8)].mean()
        behind.append((gray[rows][:, x < -0.15].mean() - beside) * f["dynamic_range"])
        measured.append(f["posterior_gain"])
    assert np.all(sign * np.array(measured) > 0)
    assert sign * np.mean(behind) > 3  # dB
    assert 0.6 < np.mean(behind) / np.mean(measured) < 1.2  # the factor says how strong it is in the image


def test_envelope_of_fully_developed_speckle_is_rayleigh():
    _, f = draws_and_factors(0, "normal", compound=0.0)
    grid, pulse = us_scan.grid_of(f), us_beam.Pulse.of(f)
    width = us_beam.beam_width(grid.z[:, 0], np.full(us_scan.DEPTHS, pulse.centre), f)
    apart = int(4 * pulse.length / grid.dz) + 1, int(4 * width.max() / grid.dx) + 1  # correlation exp(-4) or less
    cells = []
    for noise in white(24):
        (look,) = us_beam.beams(noise, width, grid.dx, 0)
        cells.append(np.abs(us_beam.along_depth(look, pulse.length / grid.dz))[8 : -8 : apart[0], :: apart[1]])
    cells = np.concatenate(cells, None)
    # The variance of mean / std of n Rayleigh variables is 0.504 SNR^2 / n (delta method).
    assert abs(cells.mean() / cells.std() - SNR) < 4 * SNR * np.sqrt(0.504 / cells.size)
    assert abs((cells**2).mean() - 1) < 4 / np.sqrt(cells.size)  # and the power of the noise is kept


def test_compounding_reduces_speckle():
    width = np.full(us_scan.DEPTHS, 0.025, np.float32)
    looks = us_beam.beams(white(1)[0], width, 0.02, 1)
    mean = np.abs(np.stack(looks)).mean(0)
    assert 1.2 * SNR < mean.mean() / mean.std() < np.sqrt(2) * SNR


def test_the_beam_widens_away_from_the_focus():
    _, f = draws_and_factors(0, "normal", depth=3.6, focus=0.5, f_number=2.0, aperture=1.2)
    grid = us_scan.grid_of(f)
    width = us_beam.beam_width(grid.z[:, 0], np.full(us_scan.DEPTHS, 7.0), f)
    field = np.stack([us_beam.beams(noise, width, grid.dx, 0)[0] for noise in white(8)])
    bands = [slice(4, 24), slice(118, 138), slice(232, 252)]  # near, focus, far
    seen = [spread_of(field[:, band], grid.dx, 2) for band in bands]
    np.testing.assert_allclose(seen, [width[band].mean() for band in bands], rtol=0.05)
    assert seen[1] < 0.85 * seen[0] and seen[1] < 0.6 * seen[2]


def test_the_pulse_is_as_long_as_its_bandwidth_says():
    pulse = us_beam.Pulse(6.0, 0.35 * 6.0 / us_beam.FWHM)
    field = us_beam.along_depth(white(1)[0], pulse.length / 0.008)
    assert abs(spread_of(field[10:-10], 0.008, 0) / pulse.length - 1) < 0.05
    time = np.linspace(-2, 2, 4001)  # us; the echo from a depth z arrives at 2 z / SPEED
    envelope = np.exp(-0.5 * (time * us_beam.SPEED / 2 / pulse.length) ** 2)
    spectrum = np.abs(np.fft.rfft(envelope, 1 << 17))
    half = np.fft.rfftfreq(1 << 17, 0.001)[np.argmin(np.abs(spectrum / spectrum[0] - 0.5))]
    assert abs(2 * half / 6.0 - 0.35) < 0.01


@pytest.mark.parametrize("path", [0.1, 0.4, 0.8])
def test_loss_and_downshift_are_those_of_an_attenuated_gaussian_spectrum(path):
    pulse = us_beam.Pulse(8.0, 1.6)
    frequency = np.linspace(0, 16, 16001)
    spectrum = np.exp(-0.5 * ((frequency - 8) / 1.6) ** 2 - path * frequency)  # path in Np/MHz
    assert abs(pulse.frequency(path) - frequency[spectrum.argmax()]) < 0.002
    assert abs(pulse.loss(path) + 20 * np.log10(spectrum.max())) < 0.01


def test_homogeneous_tissue_attenuates_by_the_standard_formula():
    attenuation = np.full((64, 88), 0.5, np.float32)
    z = (np.arange(64) + 0.5) * 0.05
    cone = us_beam.path(attenuation, 0.05, 0.04, 2.0)
    expected = np.broadcast_to(2 * 0.5 * z[:, None] / us_beam.NEPER, cone.shape)  # there and back
    np.testing.assert_allclose(cone, expected, rtol=1e-4)
    np.testing.assert_allclose(us_beam.straight_path(attenuation, 0.05), expected, rtol=1e-4)
    narrow = us_beam.Pulse(5.0, 1e-3)
    np.testing.assert_allclose(narrow.loss(cone[-1]), 2 * 0.5 * 5 * z[-1], rtol=1e-3)  # dB = dB/cm/MHz cm MHz


def test_a_shadow_softens_with_depth():
    attenuation = np.zeros((64, 88), np.float32)
    attenuation[4:12, 34:54] = 2.0
    path = us_beam.path(attenuation, 0.05, 0.04, 2.0)
    straight = us_beam.straight_path(attenuation, 0.05)
    assert path[14, 44] > 0.99 * straight[14, 44]
    half_shade = [np.count_nonzero((row > 0.1 * row.max()) & (row < 0.9 * row.max())) for row in path[[16, 40, 63]]]
    assert half_shade[0] < half_shade[1] < half_shade[2]
    np.testing.assert_allclose(path[40].sum(), straight[40].sum(), rtol=1e-3)  # it is spread, not lost


def test_compression_maps_decibels_to_gray():
    gray = us_beam.compress(np.array([1.0, 10.0, 0.1, 1e9, 0.0]), 50.0, 0.4)
    np.testing.assert_allclose(gray, [0.4, 0.8, 0.0, 1.0, 0.0], atol=1e-6)


def test_gain_over_depth_makes_up_for_attenuation():
    bottom = {}
    for error in (0.0, 4.0):
        gray = []
        for index in range(4):
            draws, f = draws_and_factors(index, "normal", tgc_error=error, ribs=0.0, contact=-1.0, noise=-200.0)
            gray.append(us_scan.render(f, draws)[0] * f["dynamic_range"])
        gray = np.mean(gray, 0)
        bottom[error] = gray[90:110].mean() - gray[40:60].mean()
    depth = draws_and_factors(0, "normal")[1]["depth"]
    assert abs(bottom[0.0]) < 8  # dB: gland and fat differ, but not by the 25 dB lost from one to the other
    assert abs(bottom[4.0] - bottom[0.0] - 4 * 50 / us_scan.DEPTHS * depth) < 1.0


def test_fields_have_unit_variance_and_their_grain():
    z = np.linspace(0, 4, 200, dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal((20, 64, 64)).astype(np.float32)
    field = np.stack([us_fields.smooth(n, z, z, (0.2, 0.4)) for n in noise])
    assert abs(field.std() - 1) < 0.05
    down, across = (np.mean(np.diff(field, axis=axis) ** 2) for axis in (1, 2))
    assert 3.4 < down / across < 4.6  # twice the grain, a quarter of the squared gradient


def test_lobules_are_voronoi_cells():
    rng = np.random.default_rng(0)
    jitter = rng.random((3, us_fields.CELLS, us_fields.CELLS), np.float32)
    u, v = rng.uniform(2, 6, (2, 1, 300)).astype(np.float32)
    border, level = us_fields.lobules(u, v, jitter)
    row, col = np.mgrid[: us_fields.CELLS, : us_fields.CELLS]
    x, y = col - 0.5 + 0.42 * (2 * jitter[0] - 1), row - 0.5 + 0.42 * (2 * jitter[1] - 1)
    distance = np.hypot(u[0][:, None] - x.ravel(), v[0][:, None] - y.ravel())
    nearest = np.sort(distance, 1)
    np.testing.assert_allclose(level[0], 2 * jitter[2].ravel()[distance.argmin(1)] - 1, atol=1e-5)
    close = nearest[:, 1] < 0.9  # beyond, the second nearest may lie outside the nine cells looked at
    assert close.mean() > 0.8
    np.testing.assert_allclose(border[0][close], (nearest[:, 1] - nearest[:, 0])[close], atol=1e-4)


@pytest.mark.parametrize(("samples", "size"), [(256, 64), (160, 64), (64, 256), (160, 160)])
def test_resampling_keeps_a_ramp(samples, size):
    matrix = us_fields.resampling(samples, size)
    ramp = (np.arange(samples) + 0.5) / samples
    inner = slice(size // samples + 1, -(size // samples) - 1)  # the border has one-sided neighbours
    np.testing.assert_allclose((matrix @ ramp)[inner], ((np.arange(size) + 0.5) / size)[inner], atol=1e-4)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-5)


def test_malignant_outlines_are_rougher():
    rough = {}
    for name, spiculation in (("cyst", 0.0), ("benign", 0.0), ("malignant", 0.0), ("malignant", 0.4)):
        outlines = []
        for index in range(20):
            draws, f = draws_and_factors(index, name, spiculation=spiculation)
            outlines.append(us_lesions.outline(f, draws.outline, draws.spicules))
        rough[name, spiculation] = np.abs(np.diff(outlines, axis=1)).sum(1).mean()
    cyst, benign, irregular, spiculated = rough.values()
    assert cyst < benign < 0.4 * irregular and irregular < 0.7 * spiculated


def test_it_opens_as_a_dataset(tmp_path):
    dataset = opened(tmp_path, "phantom_us", num_images=20, image_size=32)
    assert dataset.info.exclusive and dataset.info.mask_channels == ("lesion",)
    assert dataset.info.classes == CLASSES and dataset.info.factors == us.FACTORS
