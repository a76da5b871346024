"""Real images that a model has learned from, and those that it has not: of validation and test split, in halves."""

import dataclasses

import numpy as np

from analysis.metrics.patients import Groups, halves, patient_groups
from data import UserError

FEWEST = 20
COLUMNS = ("image", "label", "id", "patient", "attributes")
Rows = dict[str, np.ndarray]  # those of COLUMNS that Dataset.arrays has; attributes only where the source records some


@dataclasses.dataclass(frozen=True, eq=False)
class Unseen:
    """One half to set thresholds by, and one to be measured as samples are."""

    calibration: Rows
    check: Rows

    @property
    def all(self) -> Rows:
        return {name: np.concatenate([self.calibration[name], self.check[name]]) for name in self.check}


def unseen_images(dataset, seed: int = 0) -> Unseen:
    """All images of the validation and test splits, in two random halves: so both are of one distribution.

    No patient is in both, where one is named; the halves then differ by some images.

    Raises:
      UserError: fewer than FEWEST of them.
    """
    sizes = dataset.info.sizes
    splits = [dataset.arrays(name) for name in ("val", "test") if sizes.get(name, 0)]
    n = sum(len(part["id"]) for part in splits)
    if n < FEWEST:
        raise UserError(f"{dataset.info.name} has {n} images outside its training split; at least {FEWEST} are needed "
                        "to say what is too close (config.data.split)")  # fmt: skip
    there = [name for name in COLUMNS if name in splits[0]]
    rows = {name: np.concatenate([part[name] for part in splits]) for name in there}
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(n)
    parts = [order[part] for part in halves(patient_groups(rows["patient"][order]))]
    if min(map(len, parts)) < FEWEST // 2:
        raise UserError(f"{dataset.info.name} has too few patients outside its training split: of {n} images one half "
                        f"would be {min(map(len, parts))} (config.data.split)")  # fmt: skip
    return Unseen(*({name: values[part] for name, values in rows.items()} for part in parts))


def groups_of(rows: Rows) -> Groups:
    """The patient of each image, int [n] from 0, where the rows name any."""
    return patient_groups(rows["patient"]) if "patient" in rows else None


def seen_images(run, dataset) -> np.ndarray:
    """Stored images [m, h, w, c] that a run has learned from: with `data.flip` the mirrored training images as well.

    Else a copy of a mirrored image would pass for a new one.
    """
    train = dataset.arrays("train")["image"]
    return np.concatenate([train, np.asarray(train)[:, :, ::-1]]) if run.config.data.flip else train


def take(rows: Rows, n: int, seed: int = 0) -> Rows:
    """n of the rows, or all if there are fewer, drawn without replacement."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(rows["id"]))
    index = np.sort(order[:n])
    return {name: np.asarray(rows[name][index]) for name in COLUMNS if name in rows}
