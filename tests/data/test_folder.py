import os

import numpy as np
import pytest
from PIL import Image

from data import UserError
from tests.data.layouts import everything, folder, opened, picture, write


def test_a_folder_per_class(tmp_path):
    dataset = opened(tmp_path, "folder", folder(tmp_path / "mine", ("dog", "cat", "emu")), image_size=20)
    assert dataset.info.classes == ("cat", "dog", "emu") and dataset.info.exclusive
    assert sum(dataset.info.sizes.values()) == 45
    images, labels = everything(dataset), everything(dataset, "label")
    for c, name in enumerate(("dog", "cat", "emu")):  # in the order they were written
        for i in range(15):
            key = f"{name}/{i:02}.png".encode()
            np.testing.assert_array_equal(images[key][..., 0], picture(1000 * c + i))
            np.testing.assert_array_equal(labels[key], [name == "cat", name == "dog", name == "emu"])


def test_classes_chosen(tmp_path):
    source = folder(tmp_path / "mine", ("cat", "dog", "emu"))
    dataset = opened(tmp_path, "folder", source, classes=("EMU", "cat"))
    assert dataset.info.classes == ("emu", "cat") and sum(dataset.info.sizes.values()) == 30
    assert not any(key.startswith(b"dog") for key in everything(dataset))
    with pytest.raises(UserError, match="'cow', which folder does not have; it has cat, dog, emu"):
        opened(tmp_path, "folder", source, classes=("cow",))


def test_all_kinds_of_files_at_once(tmp_path):
    root = tmp_path / "mine"
    for i in range(20):
        write(root / "a" / f"gray{i}.png", picture(i, 30, 20))
        write(root / "a" / f"deep{i}.PNG", picture(i, 20, 31, top=65535))
        write(root / "b" / f"colour{i}.jpg", picture(i, 40, 40, colour=True))
        write(root / "b" / "nested" / f"deep{i}.tif", picture(i, top=65535))
    (root / "a" / "notes.txt").write_text("no image")
    (root / "a" / ".hidden.png").write_text("no image")
    (root / ".cache").mkdir()
    for channels, bits in ((1, 8), (3, 16)):
        dataset = opened(tmp_path, "folder", root, channels=channels, bits=bits)
        assert sum(dataset.info.sizes.values()) == 80 and dataset.info.classes == ("a", "b")
        stored = dataset.arrays("train")["image"]
        assert stored.shape[1:] == (16, 16, channels) and stored.dtype == (
            np.uint16 if bits == 16 else np.uint8
        )
        means = [image.mean() / (2**bits - 1) for image in everything(dataset).values()]
        assert 0.4 < min(means) and max(means) < 0.6  # each scaled by its own type


def test_images_without_classes(tmp_path):
    for i in range(20):
        write(tmp_path / "mine" / f"{i}.png", picture(i))
    dataset = opened(tmp_path, "folder", tmp_path / "mine")
    assert dataset.info.classes == () and dataset.info.labels == ()
    assert dataset.batches("train", 4, seed=0)[0]["label"].shape == (4, 0)
    assert dataset.arrays("train")["label"].shape[1] == 0


@pytest.mark.parametrize("layout", ["images/{}", "{}"])
@pytest.mark.parametrize("classes", [True, False])
def test_sibling_masks(tmp_path, layout, classes):
    root = tmp_path / "mine"
    for i in range(24):
        name = f"{'xy'[i % 2]}/{i}" if classes else str(i)
        write(root / layout.format(name + ".jpg"), picture(i))
        write(root / "masks" / f"{name}.png", 255 * (picture(100 + i) // 128))
    dataset = opened(tmp_path, "folder", root, image_size=20)
    assert dataset.info.classes == (("x", "y") if classes else ()) and dataset.info.mask_channels == ("mask",)
    masks = everything(dataset, "mask")
    assert len(masks) == 24
    for key, mask in masks.items():
        i = int(key.decode().split("/")[-1].split(".")[0])
        np.testing.assert_array_equal(mask[..., 0], picture(100 + i) // 128)


def test_masks_of_several_raters(tmp_path):
    root = tmp_path / "mine"
    for i in range(24):
        write(root / "images" / f"{i}.png", picture(i))
        for r, rater in enumerate("abc"):
            write(root / "masks" / rater / f"{i}.png", 255 * (picture(1000 * r + i) // 128))
    dataset = opened(tmp_path, "folder", root, image_size=20, flip=True)
    assert dataset.info.raters == 3 and dataset.info.mask_channels == ("mask",)
    masks, agreed = everything(dataset, "masks"), everything(dataset, "mask")
    for key, drawn in masks.items():
        i = int(key.decode().split(".")[0])
        expected = np.stack([picture(1000 * r + i) // 128 for r in range(3)])[..., None]
        np.testing.assert_array_equal(drawn, expected)
        np.testing.assert_array_equal(agreed[key], expected.sum(0) >= 2)
    batch = dataset.batches("train", 8, seed=0)[0]
    assert batch["masks"].shape == (8, 3, 20, 20, 1)
    np.testing.assert_array_equal(batch["mask"], batch["masks"].sum(1) >= 2)  # so they are flipped alike
    (root / "masks" / "b" / "7.png").unlink()
    with pytest.raises(UserError, match=r"7\.png has no mask in .*masks/b: add one"):
        opened(tmp_path, "folder", root)


def test_masks_elsewhere(tmp_path):
    root = folder(tmp_path / "mine")
    for path in root.glob("*/*.png"):
        write(tmp_path / "drawn" / path.parent.name / path.name, picture(0) // 128)
    assert opened(tmp_path, "folder", root).info.mask_channels == ()
    for masks in ("../drawn", str(tmp_path / "drawn")):
        assert opened(tmp_path, "folder", root, masks=masks).info.mask_channels == ("mask",)
    with pytest.raises(UserError, match=r"data\.masks=drwan is not a folder"):
        opened(tmp_path, "folder", root, masks="drwan")
    (tmp_path / "drawn" / "cat" / "03.png").unlink()
    with pytest.raises(UserError, match=r"cat/03\.png has no mask in"):
        opened(tmp_path, "folder", root, masks="../drawn")
    assert opened(tmp_path, "folder", root, masks="../drawn", on_error="skip").info.skipped == 1


def test_a_mask_of_another_size(tmp_path):
    root = tmp_path / "mine"
    folder(root / "images")
    for path in (root / "images").glob("*/*.png"):
        write(root / "masks" / path.parent.name / path.name, picture(0) // 128)
    write(root / "masks" / "dog" / "07.png", picture(0, 20, 21))
    with pytest.raises(UserError, match=r"dog/07\.png is 20x20 pixels but its mask is 21x20"):
        opened(tmp_path, "folder", root)
    assert opened(tmp_path, "folder", root, on_error="skip").info.skipped == 1


def test_a_published_split_is_kept(tmp_path):
    for part, n in (("train", 20), ("val", 4), ("test", 6)):
        folder(tmp_path / "mine" / part, each=n)
    dataset = opened(tmp_path, "folder", tmp_path / "mine")
    assert dataset.info.sizes == {"train": 40, "val": 8, "test": 12} and dataset.info.classes == (
        "cat",
        "dog",
    )
    assert all(key.startswith(b"test/") for key in dataset.arrays("test")["key"])
    ours = opened(tmp_path, "folder", tmp_path / "mine", official_split=False)
    assert ours.info.classes == ("cat", "dog") and ours.info.sizes != dataset.info.sizes
    assert not all(key.startswith(b"test/") for key in ours.arrays("test")["key"])


def test_a_published_split_without_val_gets_one_out_of_train(tmp_path):
    for part, n in (("train", 30), ("test", 6)):
        folder(tmp_path / "mine" / part, each=n)
    dataset = opened(tmp_path, "folder", tmp_path / "mine", split=(0.6, 0.1, 0.3))
    sizes = dataset.info.sizes
    assert sizes["test"] == 12 and sizes["train"] + sizes["val"] == 60 and 2 <= sizes["val"] <= 16


def test_adding_images_moves_none(tmp_path):
    few = opened(tmp_path, "folder", folder(tmp_path / "few"))
    many = opened(tmp_path, "folder", folder(tmp_path / "many", each=60))
    for split in few.info.sizes:
        assert set(few.arrays(split)["key"]) <= set(many.arrays(split)["key"])


def test_links_are_followed_once(tmp_path):
    root = folder(tmp_path / "mine")
    (root / "cat" / "again").symlink_to(root)
    (root / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert sum(opened(tmp_path, "folder", root).info.sizes.values()) == 30


def test_dark_16_bit_images_are_pointed_out(tmp_path, capsys):
    source = folder(tmp_path / "mine", top=4095)
    opened(tmp_path, "folder", source, bits=16)
    says = capsys.readouterr().err
    assert "pixels lie between 0.0% and 6.6% of the way from black to white: set data.window" in says
    opened(tmp_path, "folder", source, bits=16, window=(0, 4095))
    assert capsys.readouterr().err == ""


def test_wrong_folders_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    mixed = folder(tmp_path / "mixed")
    write(mixed / "stray.png", picture(0))
    cases = [
        ("", r"needs data\.dir: the folder that holds your images"),
        (tmp_path / "nowhere", r"data\.dir=.*nowhere is not a folder"),
        (tmp_path / "empty", r"empty holds no \.png, \.jpg"),
        (mixed, r"holds 1 images beside the class folders cat, dog"),
    ]
    for source, says in cases:
        with pytest.raises(UserError, match=says):
            opened(tmp_path, "folder", source)


def test_an_empty_split_says_how_to_allow_it(tmp_path):
    source = folder(tmp_path / "mine", each=2)
    with pytest.raises(UserError, match=r"The val split of folder .* is empty: 4 images .*data\.split"):
        opened(tmp_path, "folder", source, split=(0.98, 0.01, 0.01))
    dataset = opened(tmp_path, "folder", source, split=(1, 0, 0))
    assert dataset.info.sizes == {"train": 4, "val": 0, "test": 0}
    with pytest.raises(UserError, match=r"no images in a split 'val'; it has train \(4\)"):
        dataset.batches("val", 2, seed=0)


def test_pictures_of_phones_and_palettes(tmp_path):
    """Several frames in a JPEG (MPO) are one picture; a palette is colour."""
    root = folder(tmp_path / "mine")
    Image.fromarray(picture(0, colour=True)).quantize(16).save(root / "cat" / "palette.png")
    frames = [Image.fromarray(picture(i, colour=True)) for i in range(2)]
    frames[0].save(root / "cat" / "phone.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert sum(opened(tmp_path, "folder", root, channels=3).info.sizes.values()) == 32


def test_a_name_that_is_not_utf_8_is_told(tmp_path):
    source = folder(tmp_path / "mine")
    os.rename(source / "cat" / "00.png", os.fsencode(source / "cat") + b"/R\xf6ntgen.png")
    with pytest.raises(UserError, match=r"the name of the file 'cat/R.udcf6ntgen.png' is not UTF-8 text: rename it"):
        opened(tmp_path, "folder", source)
