"""The loaders on real images, where these are beside the repository."""

import numpy as np
import pytest

from data.summary import leakage, near_duplicates, summarise
from tests.data.layouts import everything, opened

PACKS = [
    ("nih", "nih_cxr", {"classes": ("Pneumonia",), "split": (0.6, 0.1, 0.3)}, 827, ("Pneumonia",)),
    ("medmnist", "pneumoniamnist.npz", {"image_size": 28}, 5030, ("normal", "pneumonia")),
    ("folder", "nuclei", {"channels": 3}, 664, ()),
]  # the packs with the longest preparations are tested as `slow`
SLOW = [
    ("folder", "brain_mri", {}, 2870, ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")),
    ("medmnist", "cifar10_20k.npz", {"image_size": 32, "channels": 3}, 22_000, None),
]


@pytest.mark.parametrize(
    ("name", "pack", "options", "n", "classes"),
    [*PACKS, *(pytest.param(*p, marks=pytest.mark.slow) for p in SLOW)],
)
def test_a_pack_loads_as_its_readme_says(tmp_path, real_images, name, pack, options, n, classes):
    dataset = opened(tmp_path, name, real_images / pack, **({"image_size": 32} | options))
    info = dataset.info
    assert sum(info.sizes.values()) == n and info.skipped == 0
    assert classes is None or info.classes == classes
    shares = np.array([info.sizes[s] / n for s in ("train", "val", "test")])
    assert shares[0] > 0.5 and shares.min() > 0.04
    batch = dataset.batches("train", 32, seed=0)[0]
    assert batch["image"].shape == (32, *info.image_shape) and batch["image"].std() > 0.2
    assert all(0.1 < s < 1 for s in info.std)
    facts = summarise(dataset)
    assert sum(of["images"] for of in facts.values()) == n
    assert all(of["intensity"]["levels"] > 200 and of["intensity"]["std"] > 0.1 for of in facts.values())


LEAKS = [
    ("nih", "nih_cxr", {"classes": ("Pneumonia",)}, 0),
    ("folder", "nuclei", {}, 0),
    pytest.param("brain_mri", "brain_mri", {"image_size": 64}, 0, marks=pytest.mark.slow),
    pytest.param("brain_mri", "brain_mri", {"near_duplicates": -1, "image_size": 64}, 100, marks=pytest.mark.slow),
    pytest.param("medmnist", "pneumoniamnist.npz", {"image_size": 28}, 10, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "pack", "options", "least"), LEAKS)
def test_what_leaks_across_splits(tmp_path, real_images, name, pack, options, least):
    """Nothing does where near-duplicates are kept together; the published PneumoniaMNIST has identical images."""
    dataset = opened(tmp_path, name, real_images / pack, **({"image_size": 64} | options))
    found = leakage(near_duplicates(dataset, 32))
    assert len(found) >= least if least else not found


def test_nih_counts(tmp_path, real_images):
    dataset = opened(tmp_path, "nih", real_images / "nih_cxr", classes=("Pneumonia",), image_size=32)
    with (real_images / "nih_cxr" / "Data_Entry_2017.csv").open() as table:
        rows = [line.split(",") for line in table.read().splitlines()[1:]]
    labels = everything(dataset, "label")
    assert {row[0].encode() for row in rows} == set(labels)
    assert sum(float(label[0]) for label in labels.values()) == sum("Pneumonia" in row[1] for row in rows)
    assert sum(dataset.info.patients.values()) == len({row[3] for row in rows})


def test_nuclei_masks_lie_on_the_nuclei(tmp_path, real_images):
    dataset = opened(tmp_path, "folder", real_images / "nuclei", channels=1, image_size=128)
    batch = dataset.batches("train", 64, seed=0)[0]
    image, mask = batch["image"][..., 0], batch["mask"][..., 0] > 0
    contrast = [
        abs(i[m].mean() - i[~m].mean()) / i.std() for i, m in zip(image, mask, strict=True) if m.any()
    ]
    assert np.median(contrast) > 1  # chance: 0
