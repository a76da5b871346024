"""CAMELYON17 as WILDS cut it: 455,954 patches of 96x96 pixels, in colour, out of lymph nodes of five hospitals.

Layout of camelyon17_v1.0: metadata.csv, with patient, node, x_coord, y_coord, tumor and center of each patch, and

    patches/patient_004_node_4/patch_patient_004_node_4_x_3328_y_21792.png

Sources: Bandi et al. 2019 (the slides), Koh et al. 2021, appendix E.2 (the patches, and which hospitals are held out).
"""

from pathlib import Path

import numpy as np

from data import attributes, splits
from data.builders import base, table
from data.errors import UserError

CLASSES = ("normal", "tumour")
_COLUMNS = ("patient", "node", "x_coord", "y_coord", "tumor", "center")
_HELD_OUT = {"1": "val", "2": "test"}  # hospitals, in WILDS's split; the others are trained on
_CITATION = (
    "Koh PW, Sagawa S, Marklund H, et al. WILDS: A benchmark of in-the-wild distribution shifts. ICML 2021; Bandi P, "
    "Geessink O, Manson Q, et al. From detection of individual metastases to classification of lymph node status at "
    "the patient level: the CAMELYON17 challenge. IEEE TMI 2019;38(2):550-560."
)


class Camelyon17(base.Records, skip_registration=True):
    """A patch is "tumour" where its central 32x32 pixels hold any.

    The published split is by hospital: 0, 3 and 4 train, 1 val, 2 test. (WILDS sets some patches of the training slides
    aside as a second validation set; here they are trained on.) A split of one's own is by patient.
    """

    name = "camelyon17"

    def scan(self) -> base.Source:
        folder = base.folder_of(self.options, "metadata.csv and patches/")
        path = folder / "metadata.csv"
        if not path.is_file():
            raise UserError(f"data.dir={folder} has no metadata.csv: set it to the folder camelyon17_v1.0 of WILDS.")
        rows = table.read(path, _COLUMNS)
        self.examples, skipped = [], 0
        for line, row in enumerate(rows, start=2):
            example = self._example(folder, path, row, line)
            self.examples += [example] if example else []
            skipped += not example
        return base.Source(
            classes=CLASSES,
            exclusive=True,
            attributes=("center",),
            has_patients=True,
            counts=base.count(self.examples),
            image_bytes=base.mean_bytes(self.examples),
            skipped=skipped,
            licence="CC0 1.0",
            citation=_CITATION,
        )

    def _example(self, folder: Path, table_path: Path, row: dict[str, str], line: int) -> base.Example | None:
        """None for a patch that is not there and may be skipped."""
        patient, node, x, y, tumour, center = (row[name].strip() for name in _COLUMNS)
        if tumour not in ("0", "1") or center not in attributes.VALUES["center"]:
            raise UserError(
                f"{table_path}, line {line}: tumor is {tumour!r} and center {center!r}; 0 or 1 and 0 to 4 are needed: "
                "download it again."
            )
        patient = patient.zfill(3)  # spreadsheets drop the zeros
        slide = f"patient_{patient}_node_{node}"
        key = f"{slide}/patch_{slide}_x_{x}_y_{y}.png"
        image = table.within(folder / "patches", key, table_path)
        if not image.is_file():
            if self.options.on_error == "fail":
                raise table.missing(table_path, key, folder / "patches")
            return None
        split = self._split(patient, center)
        label = np.eye(2, dtype=np.float32)[int(tumour)]
        return base.Example(key, split, image, label, patient, (attributes.encode("center", center),))

    def _split(self, patient: str, center: str) -> str:
        if self.options.official_split:
            return _HELD_OUT.get(center, "train")
        return splits.assign(patient, self.options.split)
