"""Chest radiograph phantom: determinism, agreement of image, masks, labels and factors, the physics."""

import numpy as np
import pytest

from data.phantom import cxr, cxr_anatomy, cxr_devices, cxr_findings, cxr_projection, raster
from data.phantom.cxr_factors import factors_from

SEED = 3


def column(batch, name):
    return batch["factors"][:, cxr.FACTORS.index(name)]


def extent(mask):
    """Width in pixels between the outermost columns of [h, w]."""
    columns = np.flatnonzero(mask.any(0))
    return columns[-1] - columns[0] + 1


def draws_and_factors(n=24, size=64, **edits):
    """The random numbers of a batch and its factors with some of them set."""
    draws = cxr.Draws.of(SEED, np.arange(n), size)
    f = factors_from(draws.normal, draws.uniform)
    f.update({k: np.full_like(f[k], v) for k, v in edits.items()})
    return draws, f


@pytest.fixture(scope="module")
def batch():
    return cxr.generate(SEED, np.arange(400))


def test_shapes_ranges_and_names(batch):
    assert batch["image"].shape == (400, 64, 64, 1) and batch["image"].dtype == np.float32
    assert 0 <= batch["image"].min() and batch["image"].max() <= 1
    assert batch["label"].shape == (400, 4) and set(np.unique(batch["label"])) == {0.0, 1.0}
    assert batch["mask"].shape == (400, 64, 64, 2) and set(np.unique(batch["mask"])) == {0, 1}
    assert batch["factors"].shape == (400, len(cxr.FACTORS)) and np.isfinite(batch["factors"]).all()
    assert len(set(cxr.FACTORS)) == len(cxr.FACTORS)
    for i, name in enumerate(cxr.CLASSES):
        np.testing.assert_array_equal(batch["label"][:, i], column(batch, name))


@pytest.mark.parametrize("indices", [[7], [200, 7, 3], list(range(5, 40))])
def test_an_image_is_the_same_in_every_batch(batch, indices):
    np.random.seed(len(indices))  # the global generator must play no part
    part = cxr.generate(SEED, np.array(indices))
    for name, value in part.items():
        np.testing.assert_array_equal(value, batch[name][indices], err_msg=name)


def test_seed_and_index_change_the_image(batch):
    other = cxr.generate(SEED + 1, np.arange(4))["image"]
    assert np.abs(other - batch["image"][:4]).mean((1, 2, 3)).min() > 0.01
    flat = batch["image"].reshape(400, -1)
    assert len(np.unique(flat, axis=0)) == 400


def test_a_larger_image_shows_the_same_patient(batch):
    large = cxr.generate(SEED, np.arange(40), 128)
    small = large["image"][..., 0].reshape(40, 64, 2, 64, 2).mean((2, 4))
    for a, b in zip(small, batch["image"][:40, ..., 0], strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(large["label"], batch["label"][:40])
    np.testing.assert_allclose(large["factors"], batch["factors"][:40], rtol=1e-5, atol=1e-4)
    share = large["mask"].reshape(40, 64, 2, 64, 2, 2).mean((2, 4)) - batch["mask"][:40]
    assert np.abs(share).mean() < 0.02


def test_prevalences():
    label = cxr.generate(SEED, np.arange(1500), 8)["label"]
    assert np.all((label.mean(0) > 0.15) & (label.mean(0) < 0.25))  # 0.2 with a standard error of 0.01
    assert 0.35 < (label.sum(1) == 0).mean() < 0.47
    assert np.abs(np.corrcoef(label.T) - np.eye(4)).max() < 0.12


@pytest.mark.parametrize("size", [64, 128])
def test_cardiomegaly_is_a_ratio_above_one_half_on_the_masks(size):
    batch = cxr.generate(SEED + 2, np.arange(400 if size == 64 else 80), size)
    ratio = np.array([extent(m[..., 1]) / extent(m[..., 0]) for m in batch["mask"]])
    np.testing.assert_array_equal(ratio > 0.5, batch["label"][:, 3] == 1)
    np.testing.assert_allclose(ratio, column(batch, "cardiothoracic_ratio"), atol=0.06)


def test_masks_lie_inside_the_image_and_apart(batch):
    mask = batch["mask"]
    border = np.ones((64, 64), bool)
    border[1:-1, 1:-1] = False
    assert mask[:, border].max() == 0
    assert not (mask[..., 0] & mask[..., 1]).any()
    share = mask.mean((1, 2))
    assert np.all(share[:, 0] > 0.05) and np.all(share[:, 1] > 0.02)


def test_lung_areas_are_those_of_the_mask(batch):
    _, f = draws_and_factors(400)
    half_x, half_y, _ = cxr_anatomy.field(f)
    pixel = (4 * half_x * half_y / 64**2)[:, 0, 0]
    area = column(batch, "lung_area_left") + column(batch, "lung_area_right")
    np.testing.assert_allclose(batch["mask"][..., 0].sum((1, 2)) * pixel, area, rtol=0.06)


def test_heart_is_on_the_viewers_right(batch):
    lungs, heart = (batch["mask"][..., i].sum(1) for i in (0, 1))
    centre = [(m * np.arange(64)).sum(1) / m.sum(1) for m in (lungs, heart)]
    middle = np.array([np.flatnonzero(m)[[0, -1]].mean() for m in lungs])
    assert np.mean(centre[1] > middle) > 0.99
    assert np.median(column(batch, "lung_area_right") - column(batch, "lung_area_left")) > 0


def test_lungs_are_darker_than_the_mediastinum(batch):
    for i in np.flatnonzero(batch["label"].sum(1) == 0):
        image, lungs = batch["image"][i, ..., 0], batch["mask"][i, ..., 0] == 1
        rows = np.flatnonzero(lungs.any(1))
        upper = slice(rows[0] + 4, rows[0] + (rows[-1] - rows[0]) // 2)
        between = (np.cumsum(lungs, 1) > 0) & (np.cumsum(lungs[:, ::-1], 1)[:, ::-1] > 0) & ~lungs
        assert image[upper][lungs[upper]].mean() < image[upper][between[upper]].mean()
        assert image[lungs].mean() < image[batch["mask"][i, ..., 1] == 1].mean()


def test_air_is_darkest_and_dense_tissue_bright(batch):
    image = batch["image"][column(batch, "collimated") == 0, ..., 0]
    assert np.median(image[:, :3, :3].mean((1, 2))) < 0.2 < 0.6 < np.median(image[:, -6:, 24:40].mean((1, 2)))


def test_no_vessels_beyond_the_pleural_line():
    draws, f = draws_and_factors(pneumothorax=1.0, pneumothorax_gap=3.0, effusion_depth=0.0)
    attenuation, g, body = cxr.attenuate(f, draws)
    draws.branches = np.roll(draws.branches, 1, 0)  # other trees in the same lungs
    change = np.abs(cxr.attenuate(f, draws)[0] - attenuation)
    free, _ = cxr_findings.pneumothorax(f, g, body.wall)
    other = (g.side == -f["pneumothorax_side"]) & (body.field > 0.99)
    assert change[(free == 1) & (body.wall > 0)].max() < 1e-5
    assert change[other].mean() > 0.01


def test_pneumothorax_is_dark_with_a_line_at_its_edge():
    draws, f = draws_and_factors(8, 128, effusion_depth=0.0, pneumonia_opacity=0.0, pneumothorax=0.0)
    whole, g, body = cxr.attenuate(f, draws)
    f["pneumothorax"] = np.ones_like(f["pneumothorax"])
    f["pneumothorax_gap"] = np.full_like(f["pneumothorax"], 3.0)
    change = cxr.attenuate(f, draws)[0] - whole
    free, line = cxr_findings.pneumothorax(f, g, body.wall)
    lung = (body.field > 0.99) & (body.lung > 4)
    assert change[(free == 1) & lung].mean() < -0.05
    assert change[(line > 0.6) & (free < 0.5) & lung].mean() > 0.05
    assert np.abs(change[(free == 0) & (line == 0)]).max() < 1e-5


@pytest.mark.parametrize("name,amount", [("pneumonia_opacity", 0.6), ("effusion_depth", 7.0)])
def test_opacities_brighten_one_hemithorax_only(name, amount):
    draws, f = draws_and_factors(pneumothorax=0.0, pneumonia_opacity=0.0, effusion_depth=0.0)
    clear, g, body = cxr.attenuate(f, draws)
    f[name] = np.full_like(f[name], amount)
    change = cxr.attenuate(f, draws)[0] - clear
    side = f[name.split("_")[0] + "_side"]
    assert change.min() > -1e-4 and np.all(change.max((1, 2)) > 0.2)
    assert np.abs(np.where(g.side == -side, change, 0)).max() < 1e-5
    if name == "effusion_depth":  # fluid obeys gravity: nothing changes in the upper half of the lung
        assert np.abs(np.where(g.y < 0.4 * f["lung_height"], change, 0)).max() < 1e-5


def test_effusion_blunts_the_costophrenic_angle():
    draws, f = draws_and_factors(pneumothorax=0.0, effusion_depth=6.0)
    g = cxr_anatomy.Grid.view(f, *raster.unit_grid(64))
    fluid = cxr_findings.effusion(f, g)
    depth = f["lung_height"] + f["angle_depth"] + np.where(f["effusion_side"] > 0, f["dome_drop"], 0)
    lateral = f["effusion_side"] * g.x / f["thorax_halfwidth"]
    angle = (np.abs(lateral - 0.9) < 0.08) & (np.abs(g.y - depth + 2) < 1)
    medial = (np.abs(lateral - 0.5) < 0.08) & (np.abs(g.y - depth + 5.2) < 0.5)
    wall = (np.abs(lateral - 0.97) < 0.04) & (np.abs(g.y - depth + 5.2) < 0.5)
    assert fluid[angle].min() == 1
    assert fluid[wall].mean() > fluid[medial].mean() + 0.2  # the meniscus climbs the wall


def test_beer_lambert_slab():
    depth = np.array([0.0, 1.0, 10.0])[:, None, None]
    slab = np.broadcast_to(cxr_projection.MU_SOFT * depth, (3, 32, 32)).astype(np.float32)
    zero = np.zeros((3, 1, 1), np.float32)
    silent = np.zeros_like(slab)
    primary = cxr_projection.detect(slab, zero, zero + 8, zero + 1, silent)
    np.testing.assert_allclose(primary[:, 7, 9], [1, 0.8187308, 0.1353353], rtol=1e-5)  # exp(-0.2 t)
    scattered = cxr_projection.detect(slab, zero + 0.5, zero + 8, zero + 1, silent)
    expected = np.exp(-slab) * (1 + 0.5 * slab)
    np.testing.assert_allclose(scattered, expected, rtol=1e-5)


def test_quantum_noise_has_poisson_variance():
    slab = np.full((1, 256, 256), 2.0, np.float32)
    zero = np.zeros((1, 1, 1), np.float32)
    noise = np.random.default_rng(0).standard_normal(slab.shape).astype(np.float32)
    signal = cxr_projection.detect(slab, zero, zero + 6, zero + 0.01, noise)
    photons = 10**6 * 0.01 * np.exp(-2.0)
    assert abs(signal.std() / signal.mean() * np.sqrt(photons) - 1) < 0.02


def test_window_puts_lung_and_heart_where_the_factors_ask():
    _, f = draws_and_factors(20, air_gray=0.05, harmonise=0.0)
    signal = np.exp(-np.broadcast_to(np.linspace(0, 4, 64, dtype=np.float32), (20, 64, 64)))
    lung, heart = (np.zeros_like(signal) for _ in range(2))
    lung[:, :, 24], heart[:, :, 48] = 1, 1
    image = cxr_projection.display(signal, lung, heart, f)[:, 0]
    assert np.all(np.diff(image, axis=1) >= 0)  # more tissue is brighter
    np.testing.assert_allclose(image[:, 24], f["lung_gray"][:, 0, 0], atol=0.01)
    np.testing.assert_allclose(image[:, 48], f["heart_gray"][:, 0, 0], atol=0.01)
    np.testing.assert_allclose(image[:, 0], 0.05, atol=1e-4)


def test_shutter_spares_the_lungs():
    _, f = draws_and_factors(200, collimated=1.0)
    u, v = raster.unit_grid(64)
    g = cxr_anatomy.Grid.view(f, u, v)
    gate = cxr_devices.shutter(f, u, v, np.ones((200, cxr_devices.DRAWS), np.float32))
    assert (1 - gate).max() == 1
    assert gate[cxr_anatomy.thorax(f, g).field > 0.5].min() > 0.99


def test_splat_conserves_mass_and_centre():
    rng = np.random.default_rng(0)
    col, row = rng.uniform(2, 28, (2, 3, 50)).astype(np.float32)
    mass = rng.uniform(0, 1, (3, 50)).astype(np.float32)
    grid = raster.splat(col, row, mass, 31)
    np.testing.assert_allclose(grid.sum((1, 2)), mass.sum(1), rtol=1e-5)
    np.testing.assert_allclose((grid.sum(1) * np.arange(31)).sum(1), (mass * col).sum(1), rtol=1e-4)
    np.testing.assert_allclose((grid.sum(2) * np.arange(31)).sum(1), (mass * row).sum(1), rtol=1e-4)
    outside = raster.splat(np.full((1, 1), -5.0), np.full((1, 1), 3.0), np.ones((1, 1)), 31)
    assert outside.sum() == 0


def test_pixel_positions_invert_the_view():
    _, f = draws_and_factors(6)
    g = cxr_anatomy.Grid.view(f, *raster.unit_grid(32))
    col, row = g.locate(f, g.x.reshape(6, -1), g.y.reshape(6, -1))
    expected = np.tile(np.arange(32), 32)
    np.testing.assert_allclose(col, np.broadcast_to(expected, col.shape), atol=0.02)
    np.testing.assert_allclose(row, np.broadcast_to(np.repeat(np.arange(32), 32), row.shape), atol=0.02)
