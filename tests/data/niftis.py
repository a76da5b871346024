"""Small NIfTI copies of the official layouts of BraTS and IXI, written by the tests."""

from pathlib import Path

import nibabel
import numpy as np

SHAPE = (24, 28, 20)  # voxels to the right, to anterior, to superior
PARTS = ("flair", "t1", "t1ce", "t2")
NEWER = {"flair": "t2f", "t1": "t1n", "t1ce": "t1c", "t2": "t2w", "seg": "seg"}


def head(seed: int, shape=SHAPE, dark: float = 100.0, noise: float = 0.0) -> np.ndarray:
    """float32 RAS+ volume: a bright ellipsoid, its anterior half brighter and its left half brightest; 0 around."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = (x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 0.9) ** 2 < 1
    texture = np.random.default_rng(seed).uniform(0, 40, shape)
    bright = dark + 200 * (y > 0) + 400 * (x < 0) + texture + 3 * seed
    air = noise * np.random.default_rng(seed + 1).uniform(0, 1, shape)
    return np.where(inside, bright, air).astype(np.float32)


def regions(enhancing: int = 4, shape=SHAPE) -> np.ndarray:
    """Labels: edema around necrosis around an enhancing spot, in the middle slices of the patient's left side."""
    labels = np.zeros(shape, np.uint8)
    labels[4:12, 10:20, 8:14], labels[5:10, 12:18, 9:13], labels[6:9, 13:16, 10:12] = 2, 1, enhancing
    return labels


def save(path: Path, voxels: np.ndarray, axes: str = "LPS", spacing=(1.0, 1.0, 1.0), dtype=np.int16) -> Path:
    """Writes a RAS+ volume with its axes stored in another order and direction; BraTS is LPS."""
    ornt = nibabel.orientations.axcodes2ornt(tuple(axes))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-11.5, 7.25, 3.0)
    ras = nibabel.Nifti1Image(voxels.astype(dtype), affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(ras.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), ornt)), path)
    return path


def brats(root: Path, subjects: int = 8, newer: bool = False, seg: bool = True, parts=PARTS, ending=".nii.gz") -> Path:
    """SUBJECT/SUBJECT_PART.nii.gz, or with the names used from 2023 on."""
    for i in range(subjects):
        name = f"BraTS-GLI-{i:05}-000" if newer else f"BraTS20_Training_{i + 1:03}"
        for j, part in enumerate(parts):
            save(brats_file(root, name, part, ending), head(10 * i + j))
        if seg:
            save(brats_file(root, name, "seg", ending), regions(3 if newer else 4) if i % 2 == 0 else np.zeros(SHAPE))
    return root


def brats_file(root: Path, name: str, part: str, ending: str = ".nii.gz") -> Path:
    newer = name.startswith("BraTS-")
    return root / name / (f"{name}-{NEWER[part]}{ending}" if newer else f"{name}_{part}{ending}")


def ixi(root: Path, subjects: int = 9, modalities=("T1", "T2"), folders: bool = True) -> Path:
    """IXI-T1/IXI002-Guys-0828-T1.nii.gz ..., T1 stored sagittal with 0.9375 x 0.9375 x 1.2 mm, or all in one folder."""
    for i in range(subjects):
        for modality in modalities:
            name = f"IXI{i + 2:03}-{('Guys', 'HH', 'IOP')[i % 3]}-{828 + i:04}-{modality}.nii.gz"
            axes, spacing = ("PSR", (1.2, 0.9375, 0.9375)) if modality == "T1" else ("LPS", (0.9375, 0.9375, 1.25))
            where = root / f"IXI-{modality}" if folders else root
            save(where / name, head(i + 50 * (modality == "T2"), dark=800, noise=9), axes, spacing)
    return root
