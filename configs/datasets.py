"""Dataset presets: the same names in every family's config, as in `configs/ddpm_cxr.py:nih`.

What each field means to a dataset is said in `data/options.py`; the defaults stand there too.
"""

import dataclasses

import ml_collections

from data.options import DataOptions

Config = ml_collections.ConfigDict


def get_data() -> Config:
    """`config.data`: the fields of DataOptions, with their defaults (the embedded phantom)."""
    return Config(dataclasses.asdict(DataOptions()))


def phantom(config: Config) -> None:
    """Procedural chest X-rays, no download; the default."""
    config.data.name = "phantom_cxr"


def nih(config: Config) -> None:
    """NIH ChestX-ray14 in its official layout; give --config.data.dir."""
    config.data.name = "nih"


def chexpert(config: Config) -> None:
    """CheXpert in its official layout, frontal views; give --config.data.dir."""
    config.data.name = "chexpert"
    config.data.view = "frontal"


def folder(config: Config) -> None:
    """Your own images, a folder a class; give --config.data.dir."""
    config.data.name = "folder"


def medmnist(config: Config) -> None:
    """A MedMNIST-format file; give --config.data.dir=FILE.npz."""
    config.data.name = "medmnist"


PRESETS = {"phantom": phantom, "nih": nih, "chexpert": chexpert, "folder": folder, "medmnist": medmnist}
