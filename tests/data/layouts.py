"""Small, faithful copies of the layouts in which datasets are published, written by the tests."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from data import DataOptions, load
from data.builders.chexpert import OBSERVATIONS


def picture(seed: int, height: int = 20, width: int = 20, colour: bool = False, top: int = 255) -> np.ndarray:
    """A picture that no other seed gives, with something in it."""
    shape = (height, width, 3) if colour else (height, width)
    dtype = np.uint8 if top < 256 else np.uint16
    return np.random.default_rng(seed).integers(0, top, shape, endpoint=True).astype(dtype)


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def opened(tmp_path: Path, name: str, source: Path | str = "", **options):
    """The dataset, prepared without a progress bar in a cache of the test's own."""
    return load(chosen(tmp_path, name, source, **options), progress=False)


def chosen(tmp_path: Path, name: str, source: Path | str = "", **options) -> DataOptions:
    defaults = {"image_size": 16, "cache": str(tmp_path / "cache"), "split": (0.6, 0.2, 0.2)}
    return DataOptions(name=name, dir=str(source), **(defaults | options))


def prepared(tmp_path: Path) -> list[str]:
    """What lies in the cache: whole datasets, half ones and locks alike."""
    return sorted(
        path.relative_to(tmp_path / "cache").as_posix() for path in (tmp_path / "cache").glob("*/*")
    )


def everything(dataset, name: str = "image") -> dict[bytes, np.ndarray]:
    """An array's rows by the image's key, over all splits."""
    rows = {}
    for split, n in dataset.info.sizes.items():
        if n:
            arrays = dataset.arrays(split)
            rows |= {
                bytes(key): np.asarray(row) for key, row in zip(arrays["key"], arrays[name], strict=True)
            }
    return rows


def folder(root: Path, classes=("cat", "dog"), each: int = 15, **kwargs) -> Path:
    """A folder per class of PNGs."""
    for c, name in enumerate(classes):
        for i in range(each):
            write(root / name / f"{i:02}.png", picture(1000 * c + i, **kwargs))
    return root


def nih_rows(patients: int = 20, images: int = 2) -> list[dict]:
    findings = ("No Finding", "Pneumonia", "Effusion|Pneumonia")
    return [
        {
            "Image Index": f"{p:08}_{i:03}.png",
            "Finding Labels": findings[(p + i) % 3],
            "Follow-up #": i,
            "Patient ID": p,
            "Patient Age": f"{20 + p:03}Y" if p else "414",
            "Patient Gender": "MF"[p % 2],
            "View Position": ("PA", "AP")[(p + i) % 2],
        }
        for p in range(patients)
        for i in range(images)
    ]


def nih(root: Path, rows=None, table: str = "Data_Entry_2017.csv", folders=("images",)) -> Path:
    rows = nih_rows() if rows is None else rows
    for i, row in enumerate(rows):
        write(root / folders[i % len(folders)] / row["Image Index"], picture(i))
    return save_table(root / table, rows) and root


def chexpert_row(path: str, view: str = "AP", **observations) -> dict:
    row = {
        "Path": path,
        "Sex": "Female",
        "Age": 68,
        "Frontal/Lateral": "Frontal" if "frontal" in path else "Lateral",
        "AP/PA": view if "frontal" in path else "",
    }
    return row | {name: observations.get(name, "") for name in OBSERVATIONS}


def chexpert(root: Path, prefix: str = "CheXpert-v1.0-small", patients: int = 25) -> Path:
    """root/PREFIX/{train.csv,valid.csv,train/,valid/}; column Path begins with PREFIX."""
    tables = {"train": [], "valid": []}
    for p in range(patients):
        part = "valid" if p % 5 == 0 else "train"
        value = ("1.0", "0.0", "-1.0", "")[p % 4]
        for view in ("view1_frontal", "view2_lateral"):
            path = f"{prefix}/{part}/patient{p:05}/study1/{view}.jpg"
            write(root / path, picture(p * 2 + (view == "view2_lateral")))
            tables[part].append(chexpert_row(path, Pneumonia=value, Edema="1.0"))
    for part, rows in tables.items():
        save_table(root / prefix / f"{part}.csv", rows)
    return root


def save_table(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def medmnist(
    path: Path, sizes=(20, 6, 8), size: int = 28, colour=False, columns: int = 1, **replaced
) -> Path:
    """An npz in MedMNIST's layout; arrays given by name replace the made ones (None leaves one out)."""
    arrays, rng = {}, np.random.default_rng(0)
    for i, (split, n) in enumerate(zip(("train", "val", "test"), sizes, strict=True)):
        arrays[f"{split}_images"] = np.stack([picture(1000 * i + j, size, size, colour) for j in range(n)])
        labels = rng.integers(0, 2 if columns > 1 else 3, (n, columns), dtype=np.uint8)
        labels[:3, 0] = (0, 1, 1 if columns > 1 else 2)  # every class is there
        arrays[f"{split}_labels"] = labels
    np.savez_compressed(path, **{k: v for k, v in (arrays | replaced).items() if v is not None})
    return path
