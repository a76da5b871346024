"""BraTS: brain tumours (gliomas) in four MRI contrasts of one grid, skull-stripped, with the tumour's regions.

Official layouts, at any depth below data.dir (so also in HGG/ and LGG/):

    SUBJECT/SUBJECT_{flair,t1,t1ce,t2,seg}.nii.gz     2017 to 2021, as BraTS20_Training_001 or BraTS2021_00000
    SUBJECT/SUBJECT-{t2f,t1n,t1c,t2w,seg}.nii.gz      from 2023, as BraTS-GLI-00000-000, whose last number is a visit

Sources: Menze et al. 2015, Bakas et al. 2017, Baid et al. 2021 (labels of the regions), challenge of 2023 (its labels).
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from data import files, images, nifti
from data.builders import base, volumes
from data.errors import CorruptImage, UserError

MODALITIES = ("flair", "t1", "t1ce", "t2")
REGIONS = ("tumour", "core", "enhancing")  # whole tumour; without its edema; what takes up contrast agent
LEAST_TUMOUR = 50.0  # mm^2 of a slice, a disc 8 mm across: less is not labelled as a tumour
_NEWER = {"t2f": "flair", "t1n": "t1", "t1c": "t1ce", "t2w": "t2"}
_FILE = re.compile(r"(?P<subject>.+)(?P<dash>[-_])(?P<part>flair|t1ce|t1n|t1c|t1|t2f|t2w|t2|seg)\.nii(\.gz)?")
_SLIP = re.compile(r".+_Segm\.nii(\.gz)?")  # BraTS20_Training_355 has W39_1998.09.19_Segm.nii, named after nobody else
_VISIT = re.compile(r"(BraTS-[A-Z]+-\d+)-\d+|(brats1[789]_.+)_\d+", re.IGNORECASE)
_NECROSIS, _EDEMA = 1.0, 2.0
_ENHANCING = {"_": 4.0, "-": 3.0}  # by what stands before a name's last part: 4 until 2021, 3 from 2023
_CITATION = (
    "Menze BH, Jakab A, Bauer S, et al. The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS). IEEE TMI "
    "2015;34:1993-2024. Bakas S, Akbari H, Sotiras A, et al. Advancing The Cancer Genome Atlas glioma MRI collections "
    "with expert segmentation labels and radiomic features. Sci Data 2017;4:170117. Baid U, Ghodasara S, Mohan S, et "
    "al. The RSNA-ASNR-MICCAI BraTS 2021 benchmark on brain tumor segmentation and radiogenomic classification. "
    "arXiv:2107.02314, 2021."
)


class Brats(volumes.Volumes, skip_registration=True):
    """Modalities as channels; label: whether the slice shows tumour (LEAST_TUMOUR); masks of its regions.

    Without any segmentation (the challenges' validation sets) there are neither labels nor masks.
    """

    name = "brats"

    def scan(self) -> base.Source:
        folder = base.folder_of(self.options, "a folder a subject, as BraTS2021_00000/BraTS2021_00000_flair.nii.gz")
        modalities = volumes.chosen(self.options, MODALITIES)
        found = _found(folder)
        segmented = any("seg" in parts for parts in found.values())
        for name, parts in sorted(found.items()):
            self.add(_subject(name, parts, modalities, segmented))
        return self.summary(
            classes=REGIONS[:1] if segmented else (),
            mask_channels=REGIONS if segmented else (),
            licence="terms of the challenge it comes from (registration, citation; see its page)",
            citation=_CITATION,
        )

    def brain(self, voxels: list[np.ndarray]) -> np.ndarray:
        """What is not 0 in any modality: the source is skull-stripped."""
        return np.logical_or.reduce([volume != 0 for volume in voxels])

    def check_regions(self, path: Path, labels: np.ndarray) -> None:
        named = _FILE.fullmatch(path.name)
        allowed = (0.0, _NECROSIS, _EDEMA, _ENHANCING[named["dash"] if named else "_"])
        other = labels[~np.isin(labels, allowed)]
        if other.size:
            raise CorruptImage(
                f"{path} holds the label {other[0]:g}, but BraTS files of this name have 0, 1, 2 and "
                f'{allowed[-1]:g}: correct it, or set data.on_error="skip" to leave such subjects out.'
            )

    def annotations(self, labels: np.ndarray, grid: nifti.Grid) -> dict:
        tumour = labels > 0
        regions = (tumour, tumour & (labels != _EDEMA), labels > _EDEMA)
        shares = [volumes.to_square(np.float32(one), grid, Image.Resampling.BOX) for one in regions]
        area = tumour.sum() * grid.spacing[0] * grid.spacing[1]
        return {
            "mask": images.encode_array(np.uint8(np.stack(shares, axis=-1) > 0.5)),
            "label": np.float32([area >= LEAST_TUMOUR]),
        }


def _found(folder: Path) -> dict[str, dict[str, Path]]:
    """For each subject, its files by modality ("seg" for the regions), whichever way they are named."""
    found = {}
    for path in sorted(Path(path) for path, _ in files.walk(folder)):
        named = _FILE.fullmatch(path.name)
        if named or _SLIP.fullmatch(path.name):
            parts = found.setdefault(named["subject"] if named else path.parent.name, {})
            part = _NEWER.get(named["part"], named["part"]) if named else "seg"
            if part in parts:
                raise UserError(f"{path} and {parts[part]} are the same volume of one subject: leave one of them.")
            parts[part] = path
    if not found:
        raise UserError(f"{folder} holds no files named as SUBJECT_flair.nii.gz: set data.dir to the training data.")
    return found


def _subject(name: str, parts: dict[str, Path], modalities: tuple[str, ...], segmented: bool) -> volumes.Subject:
    visit = _VISIT.fullmatch(name)
    return volumes.Subject(
        name=name,
        patient=visit[1] or visit[2] if visit else name,
        paths={modality: _path(parts, modality) for modality in modalities},
        regions=_path(parts, "seg") if segmented else None,
    )


def _path(parts: dict[str, Path], part: str) -> Path:
    """The file of a part; where there is none, the one that should be beside the subject's others."""
    if part in parts:
        return parts[part]
    beside = next(iter(parts.values()))
    named = _FILE.fullmatch(beside.name)
    if not named:
        return beside.with_name(f"{beside.parent.name}_{part}.nii")
    newer = {older: new for new, older in _NEWER.items()} if named["dash"] == "-" else {}
    return beside.with_name(f"{named['subject']}{named['dash']}{newer.get(part, part)}.nii{named[4] or ''}")
