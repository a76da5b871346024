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


def brain_mri(config: Config) -> None:
    """Brain tumour MRI, a folder a class; give --config.data.dir. Its own split is not used: it parts copies."""
    config.data.name, config.data.official_split = "brain_mri", False


def all_smears(config: Config) -> None:
    """Blood smears of leukaemia in colour, a folder a class; give --config.data.dir."""
    config.data.name, config.data.channels = "all_smears", 3


def sars_cov_2_ct(config: Config) -> None:
    """CT slices with and without COVID-19, a folder a class; give --config.data.dir."""
    config.data.name = "sars_cov_2_ct"


def medmnist(config: Config) -> None:
    """A MedMNIST-format file; give --config.data.dir=FILE.npz."""
    config.data.name = "medmnist"


def phantom_mri(config: Config) -> None:
    """Procedural brain MRI, no download."""
    config.data.name = "phantom_mri"


def phantom_us(config: Config) -> None:
    """Procedural B-mode ultrasound, no download."""
    config.data.name = "phantom_us"


def phantom_tissue(config: Config) -> None:
    """Procedural H&E-stained tissue in colour, no download."""
    config.data.name, config.data.channels = "phantom_tissue", 3


def natural(config: Config) -> None:
    """Procedural colour images with the statistics of photographs, no download; for pretraining."""
    config.data.name, config.data.channels = "natural", 3


def brats(config: Config) -> None:
    """BraTS volumes (NIfTI), one modality; give --config.data.dir."""
    config.data.name, config.data.modalities = "brats", ("flair",)


def ixi(config: Config) -> None:
    """IXI volumes (NIfTI); give --config.data.dir."""
    config.data.name, config.data.modalities = "ixi", ("T1",)


def dicom(config: Config) -> None:
    """A tree of DICOM files; give --config.data.dir, and --config.data.window=(LOW,HIGH) for CT."""
    config.data.name = "dicom"


def pcam(config: Config) -> None:
    """PatchCamelyon, its HDF5 files, in colour; give --config.data.dir."""
    config.data.name, config.data.channels = "pcam", 3


def camelyon17(config: Config) -> None:
    """CAMELYON17 patches in WILDS's layout, in colour; give --config.data.dir. Its split holds out hospitals."""
    config.data.name, config.data.channels = "camelyon17", 3


def tissue(config: Config) -> None:
    """Tissue patches in folders, as of CAMELYON, in colour; give --config.data.dir."""
    config.data.name, config.data.channels = "folder", 3


def cifar10(config: Config) -> None:
    """CIFAR-10 as tfds prepared it, in colour; give --config.data.dir, the folder of tfds' datasets."""
    config.data.name, config.data.channels, config.data.image_size = "tfds:cifar10", 3, 32


def imagenet64(config: Config) -> None:
    """ImageNet at 64x64 as tfds prepared it, in colour; give --config.data.dir, the folder of tfds' datasets."""
    config.data.name, config.data.channels = "tfds:imagenet_resized/64x64", 3


def mix(config: Config) -> None:
    """Several datasets as one; give --config.data.mix='("NAME@DIR=SHARE",...)', see docs/data.md."""
    config.data.name = "mix"


PRESETS = {
    "phantom": phantom,
    "phantom_mri": phantom_mri,
    "phantom_us": phantom_us,
    "phantom_tissue": phantom_tissue,
    "natural": natural,
    "nih": nih,
    "chexpert": chexpert,
    "folder": folder,
    "brain_mri": brain_mri,
    "all_smears": all_smears,
    "sars_cov_2_ct": sars_cov_2_ct,
    "medmnist": medmnist,
    "brats": brats,
    "ixi": ixi,
    "dicom": dicom,
    "pcam": pcam,
    "camelyon17": camelyon17,
    "tissue": tissue,
    "cifar10": cifar10,
    "imagenet64": imagenet64,
    "mix": mix,
}
