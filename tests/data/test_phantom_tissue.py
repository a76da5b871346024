"""Tissue phantom: determinism, agreement of image, masks, labels and factors, the optics of stains."""

import numpy as np
import pytest
from skimage.color import rgb2hed
from skimage.measure import label as components

from data.phantom import raster, tissue, tissue_cells, tissue_layout, tissue_nuclei, tissue_stain
from data.phantom.tissue_factors import TABLE, factors_from

SEED = 5
N = 240
NUCLEI, GLAND, LESION = range(3)


def column(batch, name):
    return batch["factors"][:, tissue.FACTORS.index(name)]


def draws_and_factors(n=12, size=64, **edits):
    """The random numbers of a batch and its factors with some of them set."""
    draws = tissue.Draws.of(SEED, np.arange(n), size)
    f = factors_from(draws.normal, draws.uniform)
    f.update({k: np.full_like(f[k], v) for k, v in edits.items()})
    return draws, f


@pytest.fixture(scope="module")
def batch():
    return tissue.generate(SEED, np.arange(N))


@pytest.fixture(scope="module")
def amounts(batch):
    """Haematoxylin and eosin [n, h, w, 2] as an independent implementation of Ruifrok's unmixing finds them."""
    return rgb2hed(batch["image"])[..., :2]


def test_shapes_ranges_and_names(batch):
    assert batch["image"].shape == (N, 64, 64, 3) and batch["image"].dtype == np.float32
    assert 0 <= batch["image"].min() and batch["image"].max() <= 1
    assert batch["label"].shape == (N, 3) and set(np.unique(batch["label"])) == {0.0, 1.0}
    assert batch["mask"].shape == (N, 64, 64, 3) and batch["mask"].dtype == np.uint8
    assert batch["factors"].shape == (N, len(tissue.FACTORS)) and np.isfinite(batch["factors"]).all()
    assert len(set(tissue.FACTORS)) == len(tissue.FACTORS)
    for i, name in enumerate(tissue.CLASSES):
        np.testing.assert_array_equal(batch["label"][:, i], column(batch, name))


@pytest.mark.parametrize("indices", [[7], [200, 7, 3], list(range(5, 40))])
def test_an_image_is_the_same_in_every_batch(batch, indices):
    np.random.seed(len(indices))  # the global generator must play no part
    part = tissue.generate(SEED, np.array(indices))
    for name, value in part.items():
        np.testing.assert_array_equal(value, batch[name][indices], err_msg=name)


def test_seed_and_index_change_the_image(batch):
    other = tissue.generate(SEED + 1, np.arange(8))["image"]
    assert np.abs(other - batch["image"][:8]).mean((1, 2, 3)).min() > 0.01
    assert len(np.unique(batch["image"].reshape(N, -1), axis=0)) == N


def test_a_larger_image_shows_the_same_tissue(batch):
    large = tissue.generate(SEED, np.arange(30), 128)
    small = large["image"].reshape(30, 64, 2, 64, 2, 3).mean((2, 4))
    for a, b in zip(small, batch["image"][:30], strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.97
    np.testing.assert_array_equal(large["label"], batch["label"][:30])
    np.testing.assert_array_equal(large["factors"], batch["factors"][:30])
    share = large["mask"].reshape(30, 64, 2, 64, 2, 3).mean((2, 4)) - batch["mask"][:30]
    assert np.abs(share).mean((0, 1, 2)).max() < 0.03


def test_factors_keep_to_their_bounds():
    factors = tissue.generate(SEED, np.arange(600), 8)["factors"]
    for i, factor in enumerate(TABLE):
        x = factors[:, i]
        if factor.kind == "bernoulli":
            assert set(np.unique(x)) == {0.0, 1.0} and abs(x.mean() - factor.a) < 0.09, factor.name
            continue
        spread = 2.2 * factor.b if factor.kind == "normal" else 0
        low, high = (factor.a - spread, factor.a + spread) if spread else (factor.a, factor.b)
        assert low - 1e-5 <= x.min() and x.max() <= high + 1e-5, factor.name
        assert x.max() - x.min() > 0.9 * (high - low), factor.name
    findings = factors[:, : len(tissue.CLASSES)]
    assert np.abs(np.corrcoef(findings.T) - np.eye(3)).max() < 0.16  # independent: four standard errors


def test_more_haematoxylin_in_nuclei_and_eosin_outside(batch, amounts):
    checked = 0
    for amount, mask in zip(amounts, batch["mask"][..., NUCLEI] == 1, strict=True):
        if mask.sum() < 50:
            continue
        inside, outside = amount[mask].sum(0), amount[~mask].sum(0)
        assert inside[0] / mask.sum() > 1.5 * outside[0] / (~mask).sum()
        assert outside[1] / outside.sum() > inside[1] / inside.sum() + 0.1  # eosin's share of all stain
        checked += 1
    assert checked > 0.9 * N


def test_stains_differ_between_slides(amounts, batch):
    assert column(batch, "haematoxylin").std() / column(batch, "haematoxylin").mean() > 0.1
    pink = np.array([np.percentile(a[..., 1], 75) for a in amounts])
    assert np.corrcoef(pink, column(batch, "eosin"))[0, 1] > 0.5


def test_masks_are_there_exactly_where_the_label_says(batch):
    share = batch["mask"].mean((1, 2))
    for channel, name, least in ((GLAND, "gland", 0.04), (LESION, "lesion", 0.12)):
        there = batch["label"][:, tissue.CLASSES.index(name)] == 1
        assert share[~there, channel].max() == 0 and share[there, channel].min() > least, name
        nuclei = batch["mask"][there][..., channel] & batch["mask"][there][..., NUCLEI]
        assert nuclei.sum((1, 2)).min() > 20, name  # pixels: a label is never of something that cannot be seen
    assert not (batch["mask"][..., GLAND] & batch["mask"][..., LESION]).any()
    assert 0.02 < share[:, NUCLEI].mean() < 0.5


def test_lesions_have_larger_denser_and_more_varied_nuclei(batch):
    lesion = (batch["label"] == [0, 1, 0]).all(1)
    plain = (batch["label"] == 0).all(1)
    ratios = {"nuclear_radius": 1.2, "nuclear_fraction": 3, "nuclear_density": 1.3, "pleomorphism": 1.5}
    for name, ratio in ratios.items():
        x = column(batch, name)
        assert np.median(x[lesion]) > ratio * np.median(x[plain]), name
    share = batch["mask"][..., NUCLEI].mean((1, 2))
    assert np.median(share[lesion]) > 3 * np.median(share[plain])
    nuclei, region = (batch["mask"][lesion][..., m] == 1 for m in (NUCLEI, LESION))
    assert nuclei[region].mean() > 3 * nuclei[~region].mean()


def test_nuclei_of_a_tumour_are_larger_on_the_mask():
    batch = tissue.generate(SEED, np.arange(60), 160)
    areas = {True: [], False: []}
    for mask, field in zip(batch["mask"], column(batch, "field"), strict=True):
        parts = components(mask[..., NUCLEI])
        size = np.bincount(parts.ravel())[1:] * (field / 160) ** 2
        tumour = np.bincount(parts.ravel(), mask[..., LESION].ravel())[1:] > 0
        for kind in areas:
            areas[kind].extend(size[(tumour == kind) & (size > 5)])
    assert np.median(areas[True]) > 2 * np.median(areas[False])
    assert 60 < np.median(areas[True])  # um^2: a disc of 4.4 um


@pytest.mark.parametrize("lesion", [0, 1])
def test_inflammation_is_many_lymphocytes(lesion):
    draws, f = draws_and_factors(20, gland=0, lesion=lesion, lesion_depth=0.6, edge=0, inflammation=0)
    _, g = draws_and_factors(20, gland=0, lesion=lesion, lesion_depth=0.6, edge=0, inflammation=1)
    for factors in (f, g):
        tissue.stain(factors, draws)
    assert (g["nuclei"] >= f["nuclei"] + 8).all()  # in tumour too, which may fill the image
    assert np.median(g["nuclear_radius"]) < np.median(f["nuclear_radius"])  # and they are small


def test_a_lumen_is_pale_and_ringed_by_nuclei():
    draws, f = draws_and_factors(16, 96, gland=1, lesion=0, edge=0, secretion=0)
    stains, masks = tissue.stain(f, draws)
    layout = tissue_layout.Layout.of(f, draws.layout)
    u, v = raster.unit_grid(96)
    depth = layout.gland(0.5 * f["field"] * u, 0.5 * f["field"] * v)
    lumen = depth > f["gland_height"] + 2
    ring = (depth > 0.2 * f["gland_height"]) & (depth < 0.5 * f["gland_height"])
    assert stains[lumen].max() < 0.03
    assert masks[..., NUCLEI][lumen].mean() == 0 and masks[..., NUCLEI][ring].mean() > 0.3
    np.testing.assert_array_equal(masks[..., GLAND] > 0.5, depth > 0)


def test_glands_do_not_meet():
    draws, f = draws_and_factors(200, 8, gland=1)
    u, v = raster.unit_grid(96)
    x, y = 0.75 * f["field"] * u, 0.75 * f["field"] * v
    first, *others = tissue_layout.Layout.of(f, draws.layout).glands
    inside = first.inside(x, y)
    for other in others:
        assert np.minimum(inside, other.inside(x, y)).max() < 0
    assert sum(other.present.mean() for other in others) > 1.2


def test_empty_glass_is_white_and_holds_no_nuclei():
    draws, f = draws_and_factors(16, edge=1, edge_depth=0.25, noise=0)
    stains, _ = tissue.stain(f, draws)
    image = tissue_stain.scan(tissue_stain.transmit(stains, f), f, draws.noise)
    u, v = raster.unit_grid(64)
    x, y = 0.5 * f["field"] * u, 0.5 * f["field"] * v
    empty = tissue_layout.Layout.of(f, draws.layout).tissue(x, y) < -4
    assert np.all(empty.mean((1, 2)) > 0.05)
    assert stains[empty].max() < 0.05
    white = np.broadcast_to(f["white"], empty.shape)
    assert np.abs(image.mean(-1) - white)[empty].mean() < 0.01


@pytest.mark.parametrize("stain", [0, 1])
def test_the_density_of_a_pure_stain_lies_along_its_vector(stain):
    _, f = draws_and_factors(6)
    amounts = np.zeros((6, 8, 8, 2), np.float32)
    amounts[..., stain] = np.linspace(0.1, 1.0, 64).reshape(8, 8)
    density = -np.log10(tissue_stain.transmit(amounts, f))
    vector = tissue_stain.vectors(f)[:, stain]
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(density, amounts[..., stain, None] * vector[:, None, None], atol=1e-5)
    # Beer-Lambert: twice the stain squares the light
    np.testing.assert_allclose(
        tissue_stain.transmit(2 * amounts, f), tissue_stain.transmit(amounts, f) ** 2, rtol=1e-4
    )


def test_stain_vectors_are_the_published_ones_at_either_end():
    for hue, published in ((0, tissue_stain.RUIFROK), (1, tissue_stain.MACENKO)):
        tints = {"haematoxylin_tint": 0, "eosin_tint": 0}
        _, f = draws_and_factors(2, haematoxylin_hue=hue, eosin_hue=hue, **tints)
        expected = published / np.linalg.norm(published, axis=1, keepdims=True)
        np.testing.assert_allclose(tissue_stain.vectors(f), [expected] * 2, rtol=1e-5)


def test_noise_falls_with_the_light():
    _, f = draws_and_factors(1, noise=0.02, white=0.9, warmth=0)
    noise = np.random.default_rng(0).standard_normal((1, 96, 96, 3)).astype(np.float32)
    for light in (1.0, 0.25):
        image = tissue_stain.scan(np.full((1, 96, 96, 3), light, np.float32), f, noise)
        assert abs(image.mean() - 0.9 * light) < 0.002
        assert abs(image.std() / (0.02 * np.sqrt(0.9 * light)) - 1) < 0.03


def test_derived_factors_are_those_of_the_nuclei():
    draws, f = draws_and_factors(30, 160)
    layout = tissue_layout.Layout.of(f, draws.layout)
    nuclei = tissue_nuclei.place(f, layout, draws.nuclei)
    for i in range(30):
        field = f["field"][i, 0, 0]
        mine = (nuclei.image == i) & (np.abs(nuclei.x) < field / 2) & (np.abs(nuclei.y) < field / 2)
        radius = np.sqrt(nuclei.length * nuclei.width)[mine]
        derived = [f[k][i, 0, 0] for k in ("nuclei", "nuclear_density", "nuclear_radius", "pleomorphism")]
        expected = [mine.sum(), 1000 * mine.sum() / field**2, radius.mean(), radius.std() / radius.mean()]
        np.testing.assert_allclose(derived, expected, rtol=1e-3, atol=1e-3)
    share, *_ = tissue_cells.nuclear(nuclei, f["field"][:, 0, 0], 160)
    fraction = f["nuclear_fraction"][:, 0, 0]
    assert np.all(share.mean((1, 2)) < 1.2 * fraction + 0.02)  # overlaps count twice in the factor
    assert np.corrcoef(share.mean((1, 2)), fraction)[0, 1] > 0.97


def test_one_nucleus_has_its_area_wherever_it_lies():
    place = {"image": [0, 1], "x": [0.3, -49.9], "y": [-7.1, 12.3], "length": [6, 6], "width": [3, 3]}
    rest = {k: [0.0, 0.0] for k in ("pale", "clump", "nucleolus", "bent", "phase", "apart")}
    given = {k: np.array(v) for k, v in (place | {"angle": [0.7, 0.7], "dark": [0.5, 0.5]} | rest).items()}
    share, dense, _ = tissue_cells.nuclear(tissue_nuclei.Nuclei(**given), np.float32([100, 100]), 100)
    area = np.pi * 6 * 3
    np.testing.assert_allclose(share.sum((1, 2)), [area, area / 2], rtol=0.04)  # the other half is outside
    np.testing.assert_allclose(dense, 0.5 * share, atol=1e-6)


def test_borders_lie_midway_between_cells():
    place = {"image": [0, 0], "x": [-6.0, 6.0], "y": [0.0, 0.0], "apart": [12.0, 12.0]}
    names = ("length", "width", "angle", "dark", "pale", "clump", "nucleolus", "bent", "phase")
    given = {k: np.array(v) for k, v in (place | {k: [1.0, 1.0] for k in names}).items()}
    border = tissue_cells.borders(tissue_nuclei.Nuclei(**given), np.float32([60]), 61)[0, 30]
    assert border.argmax() == 30 and border[30] > 0.99
    assert border[[24, 36]].max() < 0.05 and border[[2, 58]].max() < 0.05
