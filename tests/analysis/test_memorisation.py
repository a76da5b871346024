"""Closeness to training images, its thresholds and the published measures, against definitions and closed forms."""

import dataclasses
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats
from scipy.cluster.vq import kmeans2

from analysis.features.registry import FeatureNetwork
from analysis.grid import CAPTION
from analysis.memorisation import audit, copying
from analysis.memorisation.aligned import find_aligned, shifts
from analysis.memorisation.duplicates import by_hash, repeats_another
from analysis.memorisation.filter import build_filter
from analysis.memorisation.neighbours import AROUND, find_neighbours
from analysis.memorisation.pairs_figure import save_pairs
from analysis.memorisation.spaces import build_networks
from analysis.memorisation.threshold import band, p_below, smallest, threshold
from analysis.memorisation.unseen import Unseen, seen_images, take, unseen_images
from data import UserError
from data.attributes import VALUES

PIXELS = FeatureNetwork("pixels", "", "none", lambda images: images.reshape(len(images), -1) / 255.0)


def smooth(n, seed, size=16):
    """Smooth random images, uint8 [n, size, size, 1]."""
    coarse = np.random.default_rng(seed).normal(128, 45, (n, 4, 4))
    wide = np.kron(coarse, np.ones((size // 4, size // 4)))
    return np.clip(wide, 0, 255).astype(np.uint8)[..., None]


def make_dataset(train=200, val=150, test=150):
    sizes, first, splits = {"train": train, "val": val, "test": test}, 0, {}
    for seed, (name, n) in enumerate(sizes.items()):
        splits[name] = {"image": smooth(n, seed), "label": np.zeros((n, 1)), "id": np.arange(first, first + n),
                        "patient": np.full(n, -1)}  # fmt: skip
        first += n
    return SimpleNamespace(info=SimpleNamespace(sizes=sizes, name="smooth"), arrays=splits.get)


def test_a_mirrored_copy_is_found_where_the_run_was_trained_with_flips():
    dataset = make_dataset()
    run = lambda flip: SimpleNamespace(config=SimpleNamespace(data=SimpleNamespace(flip=flip)))  # noqa: E731
    copies = dataset.arrays("train")["image"][:20, :, ::-1]
    for flip, least, most in ((False, 0.0, 0.2), (True, 1.0, 1.0)):
        train = seen_images(run(flip), dataset)
        result, _ = audit.audit_samples(train, copies, [PIXELS], unseen_images(dataset))
        assert least <= result["spaces"]["pixels"]["ratio"]["samples"]["value"] <= most
        assert result["train"] == (400 if flip else 200)


def test_mirrored_images_do_not_make_others_look_authentic():
    """AuthPct is of the training images as they are, with and without flips; of both kinds it would be another."""
    # Nearly symmetric images, like a chest: of many the nearest is their own mirror.
    dataset = make_dataset()
    symmetric = lambda x: (0.6 * x + 0.4 * x[:, :, ::-1]).astype(np.uint8)  # noqa: E731
    for name in ("train", "val", "test"):
        dataset.arrays(name)["image"] = symmetric(dataset.arrays(name)["image"])
    train, samples = dataset.arrays("train")["image"], symmetric(smooth(100, 9))
    both, unseen = np.concatenate([train, train[:, :, ::-1]]), unseen_images(dataset)
    audited = {name: audit.audit_samples(known, samples, [PIXELS], unseen, plain=plain)[0]["spaces"]["pixels"]
               for name, known, plain in (("none", train, None), ("flip", both, 200), ("all", both, None))}  # fmt: skip
    shares = {name: {kind: row["value"] for kind, row in space["authentic"].items()} for name, space in audited.items()}
    assert shares["flip"] == shares["none"]
    assert all(shares["all"][kind] > shares["none"][kind] + 0.1 for kind in ("samples", "held_out"))


NOBODY = dict.fromkeys(("calibration", "held_out"))  # each image is of a patient of its own


@pytest.mark.parametrize("alike", [0.0, 0.9, 1.0])
def test_copies_are_suspected_as_rarely_as_stated_whatever_a_patients_images_are(alike):
    """77 and 300 unseen images of a third as many patients: P is below a level in about that share of honest sets."""
    rng = np.random.default_rng(0)
    for n in (77, 300):
        patient = np.arange(n) // 3
        patients = patient[-1] + 1
        own = rng.normal(size=(3000, patients))[:, patient]
        closeness = np.sqrt(alike) * own + np.sqrt(1 - alike) * rng.normal(size=(3000, n))
        counts = [int((rng.normal(size=300) < threshold(row)[0]).sum()) for row in closeness]
        for level in (0.01 / 3, 0.01):
            low = np.array([p_below(count, 300, n, patients) for count in range(max(counts) + 1)])[counts] < level
            assert stats.binomtest(int(low.sum()), 3000, 1.2 * level, "greater").pvalue > 0.01, (n, level, low.mean())
        ends = band(300, n, patients)
        assert np.mean([ends[0] <= count / 300 <= ends[1] for count in counts]) > 0.94
        if alike == 1.0:  # told of no patients, copies would be suspected of too many
            told = np.array([p_below(count, 300, n) for count in range(max(counts) + 1)])[counts] < 0.01
            assert told.mean() > 0.02
    assert smallest(300, 77, 0.01, 26) > smallest(300, 77, 0.01)


def test_p_of_unseen_images_of_a_patient_each_is_that_without_patients():
    for n in (77, 300):
        np.testing.assert_array_equal(*([p_below(count, 50, n, *of) for count in range(9)] for of in ((), (n,))))
        assert band(50, n, n) == band(50, n)


def test_an_audit_knows_whose_the_unseen_images_are():
    dataset = make_dataset()
    train, samples = dataset.arrays("train")["image"], leak(0.03)
    plain, _ = audit.audit_samples(train, samples, [PIXELS], unseen_images(dataset))
    for split, first in (("val", 0), ("test", 50)):
        dataset.arrays(split)["patient"] = first + np.arange(150) // 3
    unseen = unseen_images(dataset)
    owned, _ = audit.audit_samples(train, samples, [PIXELS], unseen)
    alone = [{name: rows[name] for name in ("image", "id")} for rows in (unseen.calibration, unseen.check)]
    told, _ = audit.audit_samples(train, samples, [PIXELS], Unseen(*alone))  # of no patients
    assert plain["patients"] == told["patients"] == {"calibration": 150, "held_out": 150}
    assert owned["patients"] == {"calibration": 50, "held_out": 50}
    a, b = (result["spaces"]["pixels"] for result in (owned, told))
    for measure in audit.MEASURES:
        assert a[measure]["p"] > b[measure]["p"] and a[measure]["threshold"] == b[measure]["threshold"]
        assert a[measure]["samples"] == b[measure]["samples"]
    for kind in ("authentic", "near_each_other"):
        assert a[kind]["samples"] == b[kind]["samples"] and a[kind]["held_out"]["value"] == b[kind]["held_out"]["value"]
    assert a["authentic"]["held_out"] != b["authentic"]["held_out"]
    wide, narrow = (result["hash"]["of_training"]["held_out"]["high"] for result in (owned, told))
    assert wide > narrow  # none of 50 patients says less than none of 150
    assert owned["hash"]["of_training"]["p"] > told["hash"]["of_training"]["p"]


def test_a_training_image_among_the_unseen_hides_no_copy():
    """With few unseen images the threshold is their smallest closeness, and 0 would be below nothing."""
    dataset = make_dataset(val=30, test=30)
    train = dataset.arrays("train")["image"]
    for split, row in (("val", 3), ("test", 7)):
        dataset.arrays(split)["image"][:12] = train[row]
    unseen = unseen_images(dataset)
    assert any((image == train[[3, 7]]).all((1, 2, 3)).any() for image in unseen.calibration["image"])
    result, _ = audit.audit_samples(train, leak(0.3), [PIXELS], unseen)
    for measure in audit.MEASURES:
        row = result["spaces"]["pixels"][measure]
        assert row["threshold"] > 0 and row["samples"]["value"] > 0.25 and row["copies"] > 0
        assert row["held_out"]["value"] > 0  # the other half's are told
    keep = build_filter(PIXELS, train, unseen)
    assert keep.rejects(train[:5]).all() and not keep.rejects(smooth(5, 99)).all()


def test_the_band_of_generators_that_copy_nothing_by_simulation():
    rng = np.random.default_rng(0)
    shares = [np.mean(rng.random(300) < threshold(rng.random(77))[0]) for _ in range(4000)]
    low, high = band(300, 77)
    inside = np.mean((np.array(shares) >= low) & (np.array(shares) <= high))
    assert 0.95 < inside < 0.985 and low == 0.0  # a fifth of them have none below, which no end can part
    least = smallest(300, 77, 0.01)
    assert p_below(round(300 * least), 300, 77) < 0.01 <= p_below(round(300 * least) - 1, 300, 77)
    assert np.mean(np.array(shares) >= least) < 0.015 and smallest(2, 20, 1e-9) == math.inf


def test_distance_and_ratio_by_brute_force():
    rng = np.random.default_rng(0)
    train, x = rng.normal(size=(80, 5)), rng.normal(size=(30, 5))
    for queries, own, around in ((x, False, 40), (train, True, 39)):
        far = np.linalg.norm(queries[:, None] - train[None], axis=2)
        if own:
            np.fill_diagonal(far, np.inf)
        ordered = np.sort(far, 1)
        found = find_neighbours(queries, train, own)
        np.testing.assert_allclose(found.distance, ordered[:, 0])
        np.testing.assert_allclose(found.ratio, ordered[:, 0] / ordered[:, 1 : 1 + around].mean(1))
        np.testing.assert_array_equal(found.index, far.argmin(1))
    many = rng.normal(size=(300, 5))
    ordered = np.sort(np.linalg.norm(x[:, None] - many[None], axis=2), 1)
    np.testing.assert_allclose(find_neighbours(x, many).ratio, ordered[:, 0] / ordered[:, 1 : 1 + AROUND].mean(1))


def test_a_blurred_image_is_near_and_a_copy_is_near_to_one_alone():
    rng = np.random.default_rng(0)
    train, fresh = rng.normal(size=(200, 64)), rng.normal(size=(50, 64))
    blurred, copies = find_neighbours(0.1 * fresh, train), find_neighbours(train[:50] + 0.1 * fresh, train)
    unseen = find_neighbours(fresh, train)
    assert blurred.distance.max() < unseen.distance.min() and copies.distance.max() < unseen.distance.min()
    assert blurred.ratio.min() > unseen.ratio.min() and copies.ratio.max() < 0.3 * unseen.ratio.min()


def test_a_shift_does_not_hide_a_copy():
    fields = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(60, 64, 64, 1)), (0, 1, 1, 0))
    images = np.uint8(128 + 300 * np.clip(fields, -0.4, 0.4))
    train, known = images[:40], PIXELS(images[:40])
    moved = np.roll(train[:8], (2, -2), (1, 2))
    assert find_neighbours(PIXELS(moved), known).ratio.min() > 0.6
    found = find_aligned(PIXELS, moved, known)
    np.testing.assert_array_equal(found.index, np.arange(8))
    assert found.ratio.max() < 0.4  # the edges are gone
    everywhere = [images[40:], *shifts(images[40:])]
    assert len({part.tobytes() for part in everywhere}) == 9
    nearest = np.min([find_neighbours(PIXELS(part), known).distance for part in everywhere], 0)
    np.testing.assert_allclose(find_aligned(PIXELS, images[40:], known).distance, nearest)
    trained, plain = dataclasses.replace(PIXELS, weights="a hash"), find_neighbours(PIXELS(moved), known)
    np.testing.assert_array_equal(find_aligned(trained, moved, known).ratio, plain.ratio)


def test_the_picture_shows_the_closest_first_and_what_they_are_close_to(tmp_path):
    train, samples = smooth(20, 0), smooth(12, 1)
    samples[7] = train[4]
    near = find_neighbours(PIXELS(samples), PIXELS(train))
    save_pairs(tmp_path / "pairs.png", {"sample": (samples, near)}, train, {"run": "r"}, rows=3)
    picture = np.asarray(Image.open(tmp_path / "pairs.png"))
    assert picture.shape == (3 * (128 + CAPTION + 2) - 2, 2 * 130 - 2)
    second = np.argsort(near.ratio)[1]
    for row, tiles in enumerate(((train[4], train[4]), (samples[second], train[near.index[second]]))):
        for column, tile in enumerate(tiles):
            y, x = row * (128 + CAPTION + 2), column * 130
            np.testing.assert_array_equal(picture[y : y + 128 : 8, x : x + 128 : 8], tile[..., 0])
    assert Image.open(tmp_path / "pairs.png").text["Synthetic"] == "false"


@pytest.mark.parametrize(("n", "rank", "expected"), [(299, 3, 3 / 300), (99, 1, 1 / 100), (20, 1, 1 / 21)])
def test_the_chance_below_the_threshold_is_as_stated(n, rank, expected):
    draws = np.random.default_rng(0).exponential(size=(4000, n + 1))
    limits = np.array([threshold(row[:-1])[0] for row in draws])
    value, chance = threshold(draws[0, :-1])
    assert value == np.sort(draws[0, :-1])[rank - 1] and chance == pytest.approx(expected)
    below = int((draws[:, -1] < limits).sum())
    assert stats.binomtest(below, len(draws), expected).pvalue > 0.01


def test_p_is_the_share_of_orders_in_which_so_many_samples_come_first():
    """Of 3 unseen images and 4 samples all 35 orders are as likely; the threshold is the first unseen image."""
    orders = list(itertools.combinations(range(7), 3))  # places of the unseen images
    for count in range(5):
        assert p_below(count, 4, 3) == pytest.approx(np.mean([places[0] >= count for places in orders]))
    exact = sum(math.comb(499 + before, before) for before in range(5)) / math.comb(1000, 500)  # of the last sample
    assert p_below(500, 500, 500) == pytest.approx(exact, rel=1e-6, abs=0)


def test_authenticity_by_hand():
    train = np.array([[0.0], [1.0], [3.0], [10.0]])  # the nearest others at 1, 1, 2, 7
    own = find_neighbours(train, train, own=True).distance
    x = np.array([[0.0], [-0.9], [-1.1], [4.9], [5.1], [16.9], [17.1]])
    expected = [False, False, True, False, True, False, True]
    np.testing.assert_array_equal(copying.authentic(find_neighbours(x, train), own), expected)


def test_z_is_that_of_scipy_and_of_full_separation():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=40), rng.normal(0.3, 1, 70)
    p = stats.mannwhitneyu(one, other, alternative="less", use_continuity=False, method="asymptotic").pvalue
    assert stats.norm.cdf(copying.mann_whitney_z(one, other)) == pytest.approx(p)
    m, n = 40, 70
    assert copying.mann_whitney_z(one - 100, other) == pytest.approx(-np.sqrt(3 * m * n / (m + n + 1)))


def test_data_copying_against_its_definition():
    """Equation 3 from all distances, with components by another routine, SciPy's U, and the same k-means."""
    rng = np.random.default_rng(0)
    scale = 1 / np.arange(1, 81)
    train, samples, held_out = (rng.normal(size=(n, 80)) * scale for n in (300, 120, 150))
    found = copying.data_copying(samples, train, held_out, seed=5)
    axes = np.linalg.svd(train - train.mean(0))[2][:64].T
    train, samples, held_out = (a @ axes for a in (train, samples, held_out))
    first = np.random.Generator(np.random.Philox(key=5)).permutation(300)[:3]
    centres = kmeans2(train, train[first], minit="matrix")[0]
    near = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=2)  # noqa: E731
    cells = [near(a, centres).argmin(1) for a in (samples, held_out)]
    value = 0.0
    for i in range(3):
        far = [near(a[cell == i], train).min(1) for a, cell in zip((samples, held_out), cells, strict=True)]
        m, n = map(len, far)
        u = stats.mannwhitneyu(*far).statistic
        value += n / 150 * (u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
    assert found.value == pytest.approx(value) and found.cells == 3 and found.n == (120, 150)


def test_data_copying_of_copies_and_of_none():
    rng = np.random.default_rng(0)
    train, samples, held_out = (rng.normal(size=(n, 4)) for n in (300, 120, 150))
    copied = copying.data_copying(train[:120] + 1e-3 * samples, train, held_out)
    assert copied.value < -8 and copied.p < 1e-10
    values = [copying.data_copying(*(rng.normal(size=(n, 4)) for n in (90, 200, 90)), seed=i).p for i in range(150)]
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert copying.data_copying(samples[:19], train, held_out) is None


def test_features_of_the_datasets_own_findings_are_a_space_too(monkeypatch, tmp_path):
    from analysis.domain import features

    monkeypatch.setattr(features, "domain_network", lambda *given: PIXELS if given == ("data", None) else None)
    assert build_networks("pixels_32, domain", "", "data")[1] is PIXELS
    with pytest.raises(UserError, match="domain"):
        build_networks("domain", "")


def test_repeats_and_hashes():
    x = np.array([[0.0], [0.1], [5.0], [9.0]])
    np.testing.assert_array_equal(repeats_another(x, 0.2), [True, True, False, False])
    fields = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(70, 64, 64, 1)), (0, 3, 3, 0))
    train, held_out, samples = np.split(np.uint8(128 + 800 * np.clip(fields, -0.15, 0.15)), [30, 50])
    samples[3] = np.clip(train[7] * 0.9 + 10, 0, 255)
    samples[5] = samples[6]
    found = by_hash(samples, held_out, train)
    assert found["of_training"]["samples"]["value"] == 1 / 20 and found["of_training"]["held_out"]["value"] == 0
    assert found["of_each_other"]["samples"]["value"] == 2 / 20 and found["of_each_other"]["held_out"]["value"] == 0


def test_the_halves_share_no_image_and_hold_all():
    dataset = make_dataset()
    unseen = unseen_images(dataset, seed=3)
    ids = [set(part["id"]) for part in (unseen.calibration, unseen.check)]
    assert not ids[0] & ids[1] and ids[0] | ids[1] == set(range(200, 500)) and len(ids[0]) == 150
    assert any(i < 350 for i in ids[0]) and any(i >= 350 for i in ids[0])  # both splits in each half
    both = np.concatenate([dataset.arrays(name)["image"] for name in ("val", "test")])
    np.testing.assert_array_equal(unseen.all["image"], both[unseen.all["id"] - 200])
    part = take(dataset.arrays("train"), 50)
    assert len(set(part["id"])) == 50 and (np.diff(part["id"]) > 0).all()
    with pytest.raises(UserError, match="smooth has 12 images outside its training split; at least 20"):
        unseen_images(make_dataset(val=6, test=6))


def test_the_halves_share_no_patient():
    dataset = make_dataset()
    for split, first in (("val", 0), ("test", 50)):
        dataset.arrays(split)["patient"] = first + np.arange(150) // 3
    unseen = unseen_images(dataset, seed=3)
    patients = [set(part["patient"]) for part in (unseen.calibration, unseen.check)]
    assert not patients[0] & patients[1] and len(patients[0] | patients[1]) == 100
    assert len(unseen.calibration["id"]) == 150
    dataset.arrays("val")["patient"][:], dataset.arrays("test")["patient"][:-5] = 1, 1
    with pytest.raises(UserError, match="too few patients outside its training split: of 300 images one half would be"):
        unseen_images(dataset)


def leak(share, seed=9, n=200):
    """Samples of which a share are training images, changed a little."""
    images, train = smooth(n, seed), make_dataset().arrays("train")["image"]
    count = round(share * n)
    noise = np.random.default_rng(seed).normal(0, 3, (count, *train.shape[1:]))
    images[:count] = np.clip(train[:count] + noise, 0, 255)
    return images


def test_an_audit_says_whose_images_are_copied_where_the_source_records_it(monkeypatch):
    dataset = make_dataset()
    for name in ("train", "val", "test"):
        rows = dataset.arrays(name)
        rows["attributes"] = np.float32(np.arange(len(rows["id"])) < 40)[:, None]
    dataset.info.recorded = ("sex",)
    run = SimpleNamespace(config=SimpleNamespace(data=SimpleNamespace(flip=False)), family=SimpleNamespace(sample=None))
    monkeypatch.setattr(audit, "image_scores", lambda run, rows: {"loss": np.float64(rows["image"][:, 0, 0, 0])})
    result, _ = audit.audit(run, dataset, leak(0.1), [PIXELS])
    low, high = sorted(VALUES["sex"], key=VALUES["sex"].get)
    copied = result["spaces"]["pixels"]["subgroups"]["sex"]  # the first twenty training images
    assert copied[high]["copies"]["value"] > 0.8 and copied[high]["training"] == 0.2
    assert copied[low]["copies"]["value"] < 0.2 and copied[low]["training"] == 0.8
    n = [result["membership_subgroups"]["sex"][value]["loss"]["auc"]["n"] for value in (low, high)]
    assert [members for members, _ in n] == [160, 40] and sum(unseen for _, unseen in n) == 300
    alone = result["membership"]["loss"]["auc"]
    for split, first in (("train", 0), ("val", 20), ("test", 35)):
        dataset.arrays(split)["patient"] = first + np.arange(len(dataset.arrays(split)["id"])) // 10
    owned = audit.audit(run, dataset, leak(0.1), [PIXELS])[0]["membership"]["loss"]["auc"]
    assert owned["value"] == alone["value"] and (owned["low"], owned["high"]) != (alone["low"], alone["high"])


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_a_planted_leak_is_suspected(share):
    dataset = make_dataset()
    result, found = audit.audit_samples(dataset.arrays("train")["image"], leak(share), [PIXELS], unseen_images(dataset))
    assert "pixels" in result["suspected"]
    space = result["spaces"]["pixels"]
    for measure in audit.MEASURES:
        assert space[measure]["samples"]["value"] == pytest.approx(share, abs=0.03)
        assert space[measure]["held_out"]["value"] < 0.05
    assert space["authentic"]["samples"]["value"] < space["authentic"]["held_out"]["value"]
    assert share < 1 or space["data_copying"]["p"] < 1e-10  # it looks at medians, and overlooks one copy in ten
    np.testing.assert_array_equal(found["pixels"].samples.index[: round(share * 200)], np.arange(round(share * 200)))


def test_honest_samples_are_called_too_close_as_rarely_as_stated():
    """P is below a level in at most that share of sets drawn like the held-out images, whatever the threshold was."""
    rng = np.random.default_rng(0)
    for sizes in ((60, 60, 60), (400, 150, 300)):
        p = [audit.too_close(*(rng.exponential(size=n) for n in sizes), NOBODY)["p"] for _ in range(300)]
        for level in (0.01, 0.1):
            low = int(np.sum(np.array(p) < level))
            assert stats.binomtest(low, 300, level, "greater").pvalue > 0.01, (sizes, level, low)
    dataset = make_dataset()
    result, _ = audit.audit_samples(dataset.arrays("train")["image"], smooth(150, 9), [PIXELS], unseen_images(dataset))
    assert result["suspected"] == []
