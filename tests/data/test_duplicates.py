"""Near-duplicates are found, and stay in one split."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from data import duplicates
from tests.data.layouts import opened, write


def scene(seed: int, size: int = 96) -> np.ndarray:
    """A smooth random picture, so that it can be scaled and still be itself."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((size, size)), 6, mode="wrap")
    return np.uint8(np.clip(128 + 45 * field / field.std(), 0, 255))


def copies(pixels: np.ndarray) -> list[np.ndarray]:
    """What happens to a picture between two collections: scaled, brightened, noisy, moved by a pixel."""
    noise = np.random.default_rng(1).normal(0, 4, pixels.shape)
    return [
        np.asarray(Image.fromarray(pixels).resize((60, 60), Image.Resampling.LANCZOS)),
        np.uint8(np.clip(0.8 * pixels + 20.0, 0, 255)),
        np.uint8(np.clip(pixels + noise, 0, 255)),
        np.roll(pixels, 1, axis=1),
        np.repeat(pixels[..., None], 3, -1),
    ]


def test_copies_differ_in_few_bits_and_others_in_half_of_them():
    bits = [duplicates.perceptual_hash(scene(seed)) for seed in range(20)]
    unlike = [(a != b).sum() for i, a in enumerate(bits) for b in bits[:i]]
    assert np.mean(unlike) == pytest.approx(128, abs=6) and min(unlike) > 60
    for copy in copies(scene(0)):
        assert (duplicates.perceptual_hash(copy) != bits[0]).sum() <= 40


def test_pairs_are_those_of_a_direct_count(monkeypatch):
    rng = np.random.default_rng(0)
    one = rng.random((23, 256)) < 0.5
    other = one[rng.integers(0, 23, 17)] ^ (rng.random((17, 256)) < rng.uniform(0, 0.3, (17, 1)))
    other[0] = one[5] ^ (np.arange(256) < 40)  # at the limit, and beyond it
    other[1] = one[5] ^ (np.arange(256) < 41)
    expected = {(i, j, int((a != b).sum())) for i, a in enumerate(one) for j, b in enumerate(other)}
    expected = {pair for pair in expected if pair[2] <= 40}
    monkeypatch.setattr(duplicates, "_BLOCK", 7)
    found = [pair for block in duplicates.pairs(one, other, 40) for pair in zip(*map(list, block), strict=True)]
    assert 3 < len(expected) == len(found) and {tuple(map(int, pair)) for pair in found} == expected


def test_pairs_within_a_set_are_named_once(monkeypatch):
    bits = np.random.default_rng(0).random((23, 256)) < 0.5
    bits[[4, 11, 20]] = bits[2]
    monkeypatch.setattr(duplicates, "_BLOCK", 7)
    found = [pair for block in duplicates.pairs_within(bits, 40) for pair in zip(*map(list, block), strict=True)]
    same = (2, 4, 11, 20)
    assert sorted(found) == [(a, b, 0) for a in same for b in same if a < b]


def test_memory_does_not_grow_with_the_number_of_pairs(monkeypatch):
    """Of 3,000 copies of one image there are nine million pairs, 144 MB of indices."""
    monkeypatch.setattr(duplicates, "_BLOCK", 256)
    bits = np.zeros((3000, 256), bool)
    tracemalloc.start()
    number = duplicates.groups(bits, 40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (number == number[0]).all() and peak < 20e6, peak


def test_a_chain_is_one_group():
    bits = np.zeros((4, 256), bool)
    bits[1, :30] = bits[2, :60] = True  # 0-1 and 1-2 are near, 0-2 is not
    bits[3] = True
    number = duplicates.groups(bits, 40)
    assert number[0] == number[1] == number[2] != number[3]


def collection(root) -> dict[str, list[str]]:
    """24 scenes, each alone, and 8 with five copies; returns the names of each scene."""
    names = {}
    for seed in range(32):
        pictures = [scene(seed)] + (copies(scene(seed)) if seed < 8 else [])
        names[seed] = [f"{'ab'[seed % 2]}/{seed:02}_{i}.png" for i in range(len(pictures))]
        for name, picture in zip(names[seed], pictures, strict=True):
            write(root / name, picture)
    return names


def splits_of(dataset) -> dict[str, str]:
    return {
        key.decode(): split for split, n in dataset.info.sizes.items() if n for key in dataset.arrays(split)["key"]
    }


def test_near_duplicates_stay_in_one_split(tmp_path):
    names = collection(tmp_path / "mine")
    together = opened(tmp_path, "folder", tmp_path / "mine")
    apart = opened(tmp_path, "folder", tmp_path / "mine", near_duplicates=-1)
    one, other = splits_of(together), splits_of(apart)
    assert all(len({one[name] for name in group}) == 1 for group in names.values())
    assert any(len({other[name] for name in group}) > 1 for group in names.values())  # else this shows nothing
    assert all(one[group[0]] == other[group[0]] for group in names.values())  # what has no copy stays where it was
    numbers = {
        key: number
        for split in ("train", "val", "test")
        for key, number in zip(*(together.arrays(split)[k] for k in ("key", "patient")), strict=True)
    }
    for group in names.values():
        found = {int(numbers[name.encode()]) for name in group}
        assert found == {-1} if len(group) == 1 else len(found) == 1 and found != {-1}
    assert together.info.patients is None


def test_a_published_split_is_kept_and_what_is_carved_from_it_is_not_torn(tmp_path):
    collection(tmp_path / "mine" / "train")
    for seed in (0, 99):  # one of them is in the training split too, which is whoever published it's affair
        write(tmp_path / "mine" / "test" / "a" / f"{seed}.png", scene(seed))
    sets = [opened(tmp_path, "folder", tmp_path / "mine", near_duplicates=n) for n in (40, -1)]
    torn = [{}, {}]
    for found, dataset in zip(torn, sets, strict=True):
        for key, split in splits_of(dataset).items():
            if split != "test":
                found.setdefault(key[:10], set()).add(split)
    assert max(map(len, torn[0].values())) == 1 and max(map(len, torn[1].values())) == 2
