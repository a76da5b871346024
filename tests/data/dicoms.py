"""Small DICOM files, written by the tests with pydicom."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.data.layouts import picture

IDENTITY = {
    "PatientName": "Vogelsang^Adele",
    "PatientBirthDate": "19470311",
    "AccessionNumber": "ACC778812",
    "StudyDate": "20190417",
    "InstitutionName": "Hospital Sankt Florian",
}  # what must be found nowhere
ROOT = "1.2.826.0.1.3680043.8.498."


def uid(number: int) -> str:
    return f"{ROOT}{number}"


def header(number: int, **elements) -> Dataset:
    """An object with an identity and no pixels; elements given as None are left out."""
    dataset = Dataset()
    values = IDENTITY | {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid(number),
        "StudyInstanceUID": uid(10_000 + number),
        "PatientID": f"MRN{number:06}",
    }
    for keyword, value in (values | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def image(number: int = 0, pixels: np.ndarray | None = None, bits: int = 12, **elements) -> Dataset:
    """An image of its own (16x16, 12 bits) or of the given pixels: [h, w] or [h, w, 3]."""
    pixels = picture(number, 16, 16, top=2**bits - 1) if pixels is None else pixels
    colour = pixels.ndim == 3
    described = {
        "SamplesPerPixel": pixels.shape[2] if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 8 * pixels.itemsize,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes() + bytes(pixels.nbytes % 2),
    }
    dataset = header(number, **(described | elements))
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    return dataset


def save(path: Path, dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or uid(0)
    dataset.save_as(path, enforce_file_format=True)
    return path


def tree(root: Path, patients: int = 12, images: int = 2, **elements) -> Path:
    """root/PATIENT/NUMBER, without endings: patient p has images `images` * p and the next ones."""
    for p in range(patients):
        for number in range(images * p, images * (p + 1)):
            own = {"PatientID": f"MRN{p:06}", "StudyInstanceUID": uid(20_000 + p)} | elements
            save(root / f"Vogelsang_{p}" / f"{number:03}", image(number, **own))
    return root
