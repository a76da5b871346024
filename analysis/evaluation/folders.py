"""Images of a folder as an evaluation takes them, whoever made them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from analysis.evaluation.ground import Ground, Settings, build_networks
from analysis.evaluation.result import measured_against
from analysis.evaluation.scores import Reference
from analysis.evaluation.sets import floor_pair, gaussian_images, unlabelled
from data import UserError
from data.errors import CorruptImage
from data.files import walk
from data.images import EXTENSIONS, WAY_OUT, decode
from data.ranges import DTYPES

SAMPLES = "samples.npz"  # what analysis.sample writes beside its PNGs


def read_folder(folder: str | Path, option: str) -> np.ndarray:
    """Its PNG, JPEG and TIFF images in all subfolders, uint8 or uint16 [n, h, w, 1 or 3], in the order of their names.

    Of a folder that analysis.sample wrote, the images of samples.npz, and not the grid beside them.

    Args:
      option: of the command line, for messages.

    Raises:
      UserError: no folder, too few images, or such as differ in size, channels or bits.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{option} {folder} is no folder; give one that holds images")
    if (folder / SAMPLES).exists():
        return _samples(folder / SAMPLES)
    paths = sorted(Path(path) for path, _ in walk(folder) if path.lower().endswith(EXTENSIONS))
    if len(paths) < 10:
        raise UserError(
            f"{option} {folder} holds {len(paths)} images ({', '.join(EXTENSIONS)}); at least 10 are needed"
        )
    images: list[np.ndarray] = []
    for path in paths:
        image = _read(path, blank=option == "--fake")  # a generator may draw black
        if images and (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            raise UserError(
                f"{path} is {_words(image)} and {paths[0]} is {_words(images[0])}: bring all images of {option} to one "
                "size and kind first"
            )
        images.append(image)
    return np.stack(images)


def compare_folders(real_folder: str, fake_folder: str, settings: Settings) -> dict[str, Any]:
    """The content of a result file of two folders of images, at most `settings.n` of each, drawn at random.

    No more real images are taken than there are generated ones, so that floor and ceiling are of as many as these.

    Raises:
      UserError: as `read_folder`, or images that are not alike.
    """
    real, fake = read_folder(real_folder, "--real"), read_folder(fake_folder, "--fake")
    check_alike(real, fake)
    settings = dataclasses.replace(settings, n=min(settings.n, len(fake)))
    networks = build_networks(settings)
    measured = lambda images: unlabelled(images).measured(networks)  # noqa: E731
    chosen, rest = _some(real, settings)
    here, generated = measured(chosen), measured(_some(fake, settings)[0])
    others = measured(rest) if len(rest) else here.rows(slice(0))
    ceiling = measured(gaussian_images(real, settings.n, settings.seed))
    reference = Reference(here, floor_pair(here, others, settings.n), ceiling)
    ground = Ground(None, settings, networks, here, here.rows(slice(0)), reference)
    facts = {"run": Path(fake_folder).resolve().name, "family": "folder", "dataset": Path(real_folder).resolve().name}
    facts |= {"image_shape": list(real.shape[1:]), "sampling": {"n": len(generated), "seed": settings.seed}}
    return facts | measured_against(ground, generated)


def _some(images: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """`settings.n` of them, drawn at random, and as many others: none unless there are twice as many."""
    order = np.random.Generator(np.random.Philox(key=settings.seed)).permutation(len(images))
    n = settings.n
    return images[order[:n]], images[order[n : 2 * n if len(images) >= 2 * n else n]]


def check_alike(real: np.ndarray, fake: np.ndarray) -> None:
    """Raises UserError where the two sets' images differ in size, channels or bits."""
    if (real.shape[1:], real.dtype) != (fake.shape[1:], fake.dtype):
        raise UserError(
            f"--real holds images of {_words(real[0])}, --fake of {_words(fake[0])}: resizing alone would move every "
            "metric; bring both to one size and kind by one program first"
        )


def _samples(path: Path) -> np.ndarray:
    try:
        with np.load(path) as held:
            return held["images"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} holds no images ({error}); delete it to read the pictures beside it") from error


def _read(path: Path, blank: bool) -> np.ndarray:
    try:
        pixels = decode(path.read_bytes(), str(path), 16, blank)
    except CorruptImage as error:
        raise UserError(f"{str(error).removesuffix(WAY_OUT)}: replace it, or take it out of the folder") from error
    if pixels.dtype not in DTYPES.values():
        raise UserError(f"{path} has pixels of {pixels.dtype}; 8 or 16 bits are needed")
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _words(image: np.ndarray) -> str:
    return f"{image.shape[0]}x{image.shape[1]}, {image.shape[2]} channels, {8 * image.itemsize} bits"
