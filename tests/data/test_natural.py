"""Procedural natural images: determinism, the dead-leaves model, agreement of image, mask and label, statistics."""

import numpy as np
import pytest

from analysis.natural_check import statistics
from data.phantom import natural, natural_camera, natural_leaves, natural_occlusion, natural_surfaces, raster
from data.phantom.natural_factors import OUT_OF_VIEW, factors_from
from tests.data.layouts import opened

SEED = 3


def drawn(n=16, size=32, **edits):
    """The random numbers of a batch, its factors with some of them set, and its scenes."""
    draws = natural.Draws.of(SEED, np.arange(n), size)
    f, scene = factors_from(draws.normal, draws.uniform)
    f.update({k: np.full_like(f[k], v) for k, v in edits.items()})
    return draws, f, scene


@pytest.fixture(scope="module")
def batch():
    return natural.generate(SEED, np.arange(400), 32)


def test_shapes_ranges_and_names(batch):
    assert batch["image"].shape == (400, 32, 32, 3) and batch["image"].dtype == np.float32
    assert 0 <= batch["image"].min() and batch["image"].max() <= 1
    assert batch["image"].std((1, 2, 3)).min() > 0.02
    assert batch["label"].shape == (400, 4) and (batch["label"].sum(1) == 1).all()
    assert np.all((batch["label"].mean(0) > 0.17) & (batch["label"].mean(0) < 0.33))
    assert batch["mask"].shape == (400, 32, 32, 1) and set(np.unique(batch["mask"])) == {0, 1}
    area = batch["mask"].mean((1, 2, 3))
    assert area.min() > 0.02 and area.max() < 0.5  # every image has a subject, and something around it
    assert batch["factors"].shape == (400, len(natural.FACTORS)) and np.isfinite(batch["factors"]).all()
    assert len(set(natural.FACTORS)) == len(natural.FACTORS)


@pytest.mark.parametrize("indices", [[7], [200, 7, 3], list(range(5, 40))])
def test_an_image_is_the_same_in_every_batch(batch, indices):
    np.random.seed(len(indices))  # the global generator must play no part
    part = natural.generate(SEED, np.array(indices), 32)
    for name, value in part.items():
        np.testing.assert_array_equal(value, batch[name][indices], err_msg=name)


def test_seed_and_index_change_the_image(batch):
    other = natural.generate(SEED + 1, np.arange(4), 32)["image"]
    assert np.abs(other - batch["image"][:4]).mean((1, 2, 3)).min() > 0.02
    assert len(np.unique(batch["image"].reshape(400, -1), axis=0)) == 400


def test_a_larger_image_shows_the_same_scene():
    small, large = (natural.generate(SEED, np.arange(40), size) for size in (64, 128))
    halved = large["image"].reshape(40, 64, 2, 64, 2, 3).mean((2, 4))
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(halved, small["image"], strict=True)]
    assert np.median(alike) > 0.99 and min(alike) > 0.94
    np.testing.assert_array_equal(large["label"], small["label"])
    np.testing.assert_array_equal(large["factors"], small["factors"])
    share = large["mask"].reshape(40, 64, 2, 64, 2, 1).mean((2, 4)) - small["mask"]
    assert np.abs(share).mean() < 0.02


def test_radii_are_scale_free():
    uniform = np.random.default_rng(0).random(200_000)
    radius = natural_leaves.scale_free(uniform, 0.02, 1.0)
    assert 0.02 <= radius.min() and radius.max() <= 1
    # with density r^-3 every octave covers the same area, so the image looks alike at every scale
    area = np.histogram(radius, [0.04, 0.08, 0.16, 0.32, 0.64], weights=radius**2)[0]
    np.testing.assert_allclose(area / area.mean(), 1, atol=0.1)


def test_leaves_cover_what_the_factor_says():
    draws, f, scene = drawn(64, smallest=0.1, largest=0.8, layers=1.5)
    flat = f["horizon"][:, 0] == OUT_OF_VIEW
    radius = natural_leaves.shapes(f, scene, draws.shapes).radius[flat, : natural_leaves.LEAVES]
    layers = np.pi * (radius**2).sum(1) / 2.4**2  # they fall on a square of 2.4 half image sides
    assert abs(layers.mean() - 1.5) < 0.1


def test_in_front_is_the_last_shape_that_covers_a_pixel():
    """Against drawing every shape on the whole grid, one after another, from the formulas in Shapes."""
    draws, f, scene = drawn(8)
    shapes = natural_leaves.shapes(f, scene, draws.shapes)
    assert len(set(scene)) == 4
    u, v = raster.unit_grid(48)
    expected = np.full((8, 48, 48), -1)
    for i in range(8):
        for k in np.flatnonzero(shapes.radius[i]):
            x, y, r, aspect, angle, bend, lobe, angular = (
                getattr(shapes, name)[i, k]
                for name in ("x", "y", "radius", "aspect", "angle", "bend", "lobe", "angular")
            )
            s = ((u[0] - x) * np.cos(angle) + (v[0] - y) * np.sin(angle)) / (r / np.sqrt(aspect))
            t = ((v[0] - y) * np.cos(angle) - (u[0] - x) * np.sin(angle)) / (r * np.sqrt(aspect))
            w = t + bend * (s**2 - 0.5)
            straight = np.maximum(np.abs(s + bend * t) + lobe * t, np.abs(t))
            curved = np.where(s**2 + w**2 < 2, s**2 + w**2 + lobe * s * (s**2 - 3 * w**2), 9)
            expected[i][(straight if angular else curved) < 1] = k
    found = natural_occlusion.front(shapes, 0, natural_leaves.SHAPES, np.full((8, 48, 48), -1, np.int32))
    assert (expected >= 0).mean() > 0.5
    assert (found != expected).mean() < 1e-3  # rounding, on the outlines


def test_nothing_hides_the_subject():
    draws, f, scene = drawn(texture=0.0, shadow=0.0, noise=0.0, defocus=0.0)
    image, share = natural.render(f, scene, draws)
    part = draws.shapes[:, : natural_leaves.LEAVES]
    draws.shapes[:, : natural_leaves.LEAVES] = part[:, ::-1]  # the same numbers in other leaves
    other, again = natural.render(f, scene, draws)
    np.testing.assert_array_equal(again, share)
    inside = raster.blur((share == 1).astype(np.float32), 1.0) > 0.999
    assert inside.any((1, 2)).sum() > 8
    change = np.abs(other - image).max(1)
    assert change[inside].max() < 0.02 < change[share == 0].mean()


def test_markings_stay_on_the_subject():
    draws, f, scene = drawn()
    shapes = natural_leaves.shapes(f, scene, draws.shapes)
    solid, marked = natural._occlusion(f, shapes, draws.ridges, 64)
    subject = solid >= natural_surfaces.PLANES + natural_leaves.LEAVES
    np.testing.assert_array_equal(marked[~subject], solid[~subject])
    assert (marked != solid).any((1, 2)).all() and (marked[subject] >= solid[subject]).all()


def test_edges_are_smooth():
    draws, f, scene = drawn(shadow=0.0)
    _, share = natural.render(f, scene, draws)
    border = (share > 0) & (share < 1)
    assert set(np.unique(share)) == {0, 0.25, 0.5, 0.75, 1} and 0.02 < border.mean() < 0.3
    sharp = np.zeros((1, 3, 64, 64), np.float32)
    sharp[..., 31:] = 1
    f = {"defocus": np.zeros((1, 1)), "blur": np.zeros((1, 1))}
    image, _ = natural_camera.focus(sharp, np.zeros((1, 1, 64, 64), np.float32), f)
    row = image[0, 0, 16]
    assert np.all(np.diff(row) >= -1e-6) and ((row > 0.05) & (row < 0.95)).sum() in (1, 2, 3)


def test_defocus_blurs_all_but_the_subject():
    """Stripes finer than the blur vanish around the subject and stay on it, without bleeding across its edge."""
    stripes = np.zeros((1, 3, 128, 128), np.float32) + (np.arange(128) // 4 % 2)
    subject = np.zeros((1, 1, 128, 128), np.float32)
    subject[..., 40:88, 40:88] = 1
    stripes[..., 40:88, 40:88] += 10
    f = {"defocus": np.full((1, 1), 0.12), "blur": np.zeros((1, 1))}
    image, _ = natural_camera.focus(stripes, subject, f)
    inside, outside = image[0, 0, 24:40, 24:40], image[0, 0, 4:16, 10:54]
    assert inside.std() > 0.3 and outside.std() < 0.03
    assert abs(outside.mean() - 0.5) < 0.02 and image[0, 0, 17:, 10:17].max() < 1.01


def test_only_landscapes_have_a_sky_above_a_horizon(batch):
    landscape = batch["label"][:, natural.CLASSES.index("landscape")] == 1
    horizon = batch["factors"][:, natural.FACTORS.index("horizon")]
    assert (horizon[~landscape] == np.float32(OUT_OF_VIEW)).all() and (np.abs(horizon[landscape]) < 0.5).all()
    brighter = batch["image"][:, :6].mean((1, 2, 3)) > batch["image"][:, -6:].mean((1, 2, 3))
    assert brighter[landscape].mean() > 0.75 > brighter[~landscape].mean()
    draws, f, _ = drawn()
    row = natural_surfaces.planes(f, draws.ridges, 64)
    assert (np.diff(row, axis=1) >= 0).all()  # sky, hills, ground, from the top down
    sky = f["horizon"][:, 0] < OUT_OF_VIEW
    assert row[~sky].max() == 0 and (row[sky].max((1, 2)) == 2).all() and (row[sky].min((1, 2)) == 0).all()


def test_strokes_are_aligned_and_polygons_straight(batch):
    """Coherence of the structure tensor over the whole image: strokes have one direction."""
    gray = batch["image"].mean(-1)
    down, across = np.gradient(gray, axis=(1, 2))
    xx, yy, xy = ((a * b).mean((1, 2)) for a, b in ((across, across), (down, down), (across, down)))
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy)
    by_class = [np.median(coherence[batch["label"][:, c] == 1]) for c in range(4)]
    assert by_class[2] > 0.35 > 0.25 > max(by_class[:2])
    draws, f, scene = drawn(32)
    angular = natural_leaves.shapes(f, scene, draws.shapes).angular
    np.testing.assert_array_equal(angular.all(1), scene == 1)
    np.testing.assert_array_equal(angular.any(1), scene == 1)


def test_shadows_fall_away_from_the_light():
    z = np.zeros((2, 64, 64), np.int32)
    z[:, 24:40, 24:40] = 5
    f = {"light_angle": np.float32([[-np.pi / 2], [np.pi]])}  # from above; from the left
    dark = natural_surfaces.shadow(z, f, reach=0.25)
    assert dark[0, 40:44, 28:36].min() == 1 and dark[0, :24].max() == 0 and dark[0, :, 40:].max() == 0
    assert dark[1, 28:36, 40:44].min() == 1 and dark[1, :, :24].max() == 0
    assert dark[:, 24:40, 24:40].max() == 0  # the shape itself is not in its own shadow


def test_statistics_are_those_of_photographs():
    """Bounds around CIFAR-10's values, which docs/natural.md gives."""
    found = statistics(natural.generate(SEED, np.arange(200))["image"])
    assert -3.5 < found["spectrum_slope"][0] < -2.3
    assert found["derivative_kurtosis"][1] > 6
    assert 0.42 < found["luminance_mean"][0] < 0.53 and 0.14 < found["luminance_contrast"][0] < 0.24
    shares, axes = found["colour_variance"], np.abs(found["colour_axes"])
    assert 0.85 < shares[0] < 0.97 and shares[1] > 2 * shares[2]
    np.testing.assert_allclose(axes[0], 0.577, atol=0.06)  # gray
    np.testing.assert_allclose(axes[1], [0.707, 0, 0.707], atol=0.12)  # red against blue


def test_as_a_dataset(tmp_path):
    dataset = opened(tmp_path, "natural", num_images=20, image_size=32, channels=3)
    info = dataset.info
    assert info.classes == natural.CLASSES and info.exclusive and info.mask_channels == ("subject",)
    batch = dataset.batches("train", 8, seed=0)[0]
    again = natural.generate(0, batch["id"], 32)
    assert np.abs(batch["image"] - (2 * again["image"] - 1)).max() <= 1.001 / 255
    for name in ("label", "mask", "factors"):
        np.testing.assert_array_equal(batch[name], again[name].astype(np.float32))
