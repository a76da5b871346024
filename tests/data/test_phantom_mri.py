"""Brain MRI phantom: determinism, agreement of image, masks, labels and factors."""

import numpy as np
import pytest

from data.phantom import mri, mri_brain, mri_cortex, mri_fields, mri_head, mri_tissues, raster
from data.phantom.mri_factors import factors_from
from tests.data.layouts import opened

SEED = 3
BRAIN, GRAY, WHITE, VENTRICLES, TUMOUR, EDEMA = range(6)


def column(batch, name):
    return batch["factors"][:, mri.FACTORS.index(name)]


def draws_and_factors(index=0, size=64, **edits):
    """The random numbers of an example and its factors with some of them set."""
    draws = mri.Draws.of(SEED, index, size)
    f = factors_from(draws.normal, draws.uniform)
    assert set(edits) <= set(f)
    return draws, f | {name: np.float32(value) for name, value in edits.items()}


def drawn(index=0, size=64, **edits):
    """Image, shares of the masks and factors of an example with some factors set."""
    draws, f = draws_and_factors(index, size, **edits)
    image, share = mri.render(f, draws)
    return image, share, f


@pytest.fixture(scope="module")
def batch():
    return mri.generate(SEED, np.arange(300))


def mean_inside(batch, mask, where):
    """Mean gray level within a mask of the images `where`; NaN where it has fewer than 12 pixels."""
    inside = batch["mask"][where, ..., mask] == 1
    total = (batch["image"][where, ..., 0] * inside).sum((1, 2))
    count = inside.sum((1, 2))
    return np.where(count >= 12, total / np.maximum(count, 1), np.nan)


def test_shapes_ranges_and_names(batch):
    assert batch["image"].shape == (300, 64, 64, 1) and batch["image"].dtype == np.float32
    assert 0 <= batch["image"].min() and batch["image"].max() <= 1
    assert batch["label"].shape == (300, 4) and set(np.unique(batch["label"])) == {0.0, 1.0}
    assert batch["mask"].shape == (300, 64, 64, 6) and set(np.unique(batch["mask"])) == {0, 1}
    assert batch["factors"].shape == (300, len(mri.FACTORS)) and np.isfinite(batch["factors"]).all()
    assert batch["factors"].dtype == np.float32 and len(set(mri.FACTORS)) == len(mri.FACTORS)


def test_label_is_one_contrast_and_the_tumour(batch):
    np.testing.assert_array_equal(batch["label"][:, :3].argmax(1), column(batch, "contrast"))
    np.testing.assert_array_equal(batch["label"][:, :3].sum(1), 1)
    np.testing.assert_array_equal(batch["label"][:, 3], column(batch, "tumour"))
    label = np.stack([(f["contrast"], f["tumour"]) for _, f in map(draws_and_factors, range(1500))])
    assert np.all(np.abs([(label[:, 0] == i).mean() - 1 / 3 for i in range(3)]) < 0.05)
    assert 0.45 < label[:, 1].mean() < 0.55


@pytest.mark.parametrize("indices", [[7], [200, 7, 3], list(range(5, 20))])
def test_an_image_is_the_same_in_every_batch(batch, indices):
    np.random.seed(len(indices))  # the global generator must play no part
    part = mri.generate(SEED, np.array(indices))
    for name, value in part.items():
        np.testing.assert_array_equal(value, batch[name][indices], err_msg=name)


def test_seed_and_index_change_the_image(batch):
    other = mri.generate(SEED + 1, np.arange(4))["image"]
    assert np.abs(other - batch["image"][:4]).mean((1, 2, 3)).min() > 0.01
    assert len(np.unique(batch["image"].reshape(300, -1), axis=0)) == 300


def test_a_larger_image_shows_the_same_patient(batch):
    def halved(image):
        return image.reshape(64, 2, 64, 2).mean((1, 3))

    for index in range(12):
        (small, part, _), (large, whole, _) = (drawn(index, size, snr=1e6) for size in (64, 128))
        assert np.corrcoef(small.ravel(), halved(large).ravel())[0, 1] > 0.99
        for name in mri.MASKS:
            assert np.abs(halved(whole[name]) - part[name]).mean() < 0.015, name
    np.testing.assert_array_equal(mri.generate(SEED, np.arange(12), 128)["factors"], batch["factors"][:12])


def test_fields_are_sampled_from_one_function_of_unit_variance():
    rng = np.random.default_rng(0)
    side = 2 * mri_fields.MODES + 1
    modes = (rng.standard_normal((40, side, side)) + 1j * rng.standard_normal((40, side, side))).astype(np.complex64)
    fine = mri_fields.smooth_fields(modes[0], 96, 3.0, 4.0)[0]
    coarse = mri_fields.smooth_fields(modes[0], 32, 3.0, 4.0)[0]
    np.testing.assert_allclose(fine[1::3, 1::3], coarse, atol=1e-4)  # pixel centres that coincide
    both = np.array([mri_fields.smooth_fields(m, 40, 3.0, 9.0) for m in modes])
    assert np.all(np.abs(both.var((0, 2, 3)) - 1) < 0.08)
    assert abs(np.mean(both[:, 0] * both[:, 1])) < 0.03


def test_masks_lie_in_the_brain_and_apart(batch):
    mask = batch["mask"]
    border = np.ones((64, 64), bool)
    border[1:-1, 1:-1] = False
    assert mask[:, border].max() == 0
    assert mask[..., GRAY:].sum(-1).max() == 1
    assert (mask[..., GRAY:].any(-1) & ~mask[..., BRAIN].astype(bool)).sum() == 0
    share = mask.sum((1, 2)) / mask[..., BRAIN].sum((1, 2))[:, None]
    assert np.all((share[:, GRAY] > 0.1) & (share[:, GRAY] < 0.6) & (share[:, WHITE] > 0.1))


def test_areas_are_those_of_the_masks(batch):
    pixel = (column(batch, "view") / 320) ** 2  # cm^2
    for i, name in enumerate(mri.MASKS):
        area = batch["mask"][..., i].sum((1, 2)) * pixel
        tolerance = {"brain": 0.015, "gray_matter": 0.25, "white_matter": 0.15}.get(name, 0.3)
        close = np.abs(area - column(batch, f"{name}_area")) < tolerance * column(batch, f"{name}_area") + 1.5
        assert close.mean() > 0.98, name
    ratio = column(batch, "ventricles_area") / column(batch, "brain_area")
    np.testing.assert_allclose(column(batch, "ventricle_brain_ratio"), ratio, rtol=1e-5)


def test_a_tumour_is_where_the_factors_say(batch):
    area, there = batch["mask"][..., TUMOUR].sum((1, 2)), batch["label"][:, 3] == 1
    np.testing.assert_array_equal(area > 0, there)
    assert batch["mask"][~there][..., EDEMA].max() == 0
    x = (batch["mask"][..., TUMOUR].sum(1) * np.arange(64)).sum(1)[there] / area[there]
    middle = np.array([np.flatnonzero(m.any(0))[[0, -1]].mean() for m in batch["mask"][there, ..., BRAIN]])
    assert np.mean((x > middle) == (column(batch, "tumour_side")[there] > 0)) > 0.99
    radius = np.sqrt(column(batch, "tumour_area")[there] * 100 / np.pi)
    assert np.corrcoef(radius, column(batch, "tumour_radius")[there])[0, 1] > 0.85


@pytest.mark.parametrize("contrast", mri.CONTRASTS)
def test_order_of_tissues_in_the_image(batch, contrast):
    """T1: white > gray > CSF; T2: CSF > gray > white; FLAIR: CSF darkest, edema bright."""
    of_contrast = batch["label"][:, mri.CLASSES.index(contrast)] == 1
    healthy = np.flatnonzero(of_contrast & (batch["label"][:, 3] == 0))
    gray, white, fluid = (mean_inside(batch, m, healthy) for m in (GRAY, WHITE, VENTRICLES))
    seen = ~np.isnan(fluid)
    assert seen.sum() > 10
    if contrast == "T1":
        assert np.all(white > gray) and np.mean(gray[seen] > fluid[seen]) > 0.95
    elif contrast == "T2":
        assert np.all(white < gray) and np.all(gray[seen] < fluid[seen])
    else:
        assert np.all(fluid[seen] < 0.6 * np.minimum(gray, white)[seen])
        ill = np.flatnonzero(of_contrast & (batch["label"][:, 3] == 1))
        edema, white = mean_inside(batch, EDEMA, ill), mean_inside(batch, WHITE, ill)
        seen = ~np.isnan(edema)
        assert np.mean(edema[seen] > 1.1 * white[seen]) > 0.95


def test_ventricles_belong_to_the_lower_slices_and_grow():
    low = [drawn(i, slice_level=12, pitch=0, tumour=0)[1]["ventricles"].sum() for i in range(6)]
    high = [drawn(i, slice_level=45, pitch=0, tumour=0)[1]["ventricles"].sum() for i in range(6)]
    assert min(low) > 15 and max(high) == 0
    wide = [drawn(i, slice_level=12, pitch=0, tumour=0, ventricle_size=1.6)[2] for i in range(6)]
    narrow = [drawn(i, slice_level=12, pitch=0, tumour=0, ventricle_size=0.8)[2] for i in range(6)]
    assert all(a["ventricles_area"] > 1.5 * b["ventricles_area"] for a, b in zip(wide, narrow, strict=True))


def test_mass_effect_moves_the_ventricle_away():
    place = {"slice_level": 14, "pitch": 0, "roll": 0, "rotation": 0, "shift_x": 0, "contrast": 1}
    tumour = {"tumour": 1, "tumour_side": 1, "tumour_out": 0.45, "tumour_front": 0.3, "tumour_radius": 18}
    for index in range(4):
        centres = []
        for push in (0.0, 0.45):
            share = drawn(index, **place, **tumour, mass_effect=push)[1]["ventricles"]
            front = share[: 64 // 2 - 4]  # the frontal horns, beside the tumour
            centres.append((front.sum(0) * np.arange(64)).sum() / front.sum())
        assert centres[1] < centres[0] - 0.4


def test_the_cortex_is_folded():
    """On a line 8 mm inside the brain, gray and white matter alternate: gyri and sulci."""
    draws, f = draws_and_factors(2, 64, tumour=0, slice_level=40)
    mri_tissues.add_timing(f)
    _, share = mri_brain.draw(f, draws, mri_tissues.signals(f), 256)
    hull = mri_head.outline(f, g := mri_head.Grid.view(f, 256), g.x, g.y)
    line = (np.abs(hull.depth - 8) < 0.8) & (np.abs(g.x) > 12)
    order = np.argsort(np.arctan2(g.y[line] - mri_head.CENTRE_Y, g.x[line]))
    gray = share["gray_matter"][line][order] > 0.5
    assert np.sum(gray[1:] != gray[:-1]) > 40
    assert 0.2 < gray.mean() < 0.9


def test_atrophy_widens_the_sulci():
    for index in range(4):
        fluid = []
        for atrophy in (0.0, 0.9):
            share = drawn(index, slice_level=40, tumour=0, atrophy=atrophy)[1]
            fluid.append((share["brain"] - share["gray_matter"] - share["white_matter"]).sum() / share["brain"].sum())
        assert fluid[1] > 1.5 * fluid[0]


def test_position_around_a_hemisphere_is_its_arc_length():
    t = np.linspace(0, 2 * np.pi, 4001)[:-1]
    x = mri_cortex.AXIS_X + mri_cortex.RADIUS * np.cos(t)
    y = mri_cortex.RADIUS * np.sin(t) + np.sign(np.sin(t)) * mri_cortex.AXIS_HALF
    np.testing.assert_allclose(
        np.sort(mri_cortex.around(x, y))[[1, -1]], [mri_cortex.AXIS_HALF, mri_cortex.TURN - 50], atol=0.3
    )
    middle = np.array([mri_cortex.around(np.float64(0), y) for y in (1e-9, -1e-9)])
    np.testing.assert_allclose(middle, mri_cortex.TURN / 2, atol=1e-6)  # both ways round meet on the medial side


def test_a_cleft_fills_no_more_of_a_pixel_than_its_width():
    aside = np.array([0.0, 0.3, 5.0])
    narrow, wide = (raster.coverage(-mri_cortex.cleft(aside, half, 1.0), 1.0) for half in (0.2, 1.5))
    np.testing.assert_allclose(narrow, [0.4, 0.4, 0])
    np.testing.assert_allclose(wide, [1, 1, 0])
    np.testing.assert_allclose(mri_cortex.cleft(5.0, 0.2, 1.0), 4.8)


def test_layers_share_each_pixel():
    rng = np.random.default_rng(0)
    layers = [(name, rng.random(50)) for name in "abc"]
    share, left = mri_brain.composite(layers)
    np.testing.assert_allclose(sum(share.values()) + left, 1)
    np.testing.assert_allclose(share["b"], layers[1][1] * (1 - layers[2][1]))


def test_as_a_dataset(tmp_path):
    dataset = opened(tmp_path, "phantom_mri", num_images=20, image_size=32)
    assert dataset.info.classes == mri.CLASSES and not dataset.info.exclusive
    assert dataset.info.mask_channels == mri.MASKS and dataset.info.factors == mri.FACTORS
    batch = dataset.batches("train", 4, seed=0)[0]
    expected = mri.generate(0, batch["id"], 32)
    assert np.abs(batch["image"] - (2 * expected["image"] - 1)).max() <= 1.001 / 255
    for name in ("label", "mask", "factors"):
        np.testing.assert_array_equal(batch[name], expected[name].astype(np.float32))
