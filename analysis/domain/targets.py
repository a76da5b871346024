"""What a regressor of a phantom's factors learns: columns of numbers in which near values look alike."""

import importlib

import numpy as np

from data import Info, UserError
from data.phantom.factors import Factor
from data.prepare import DRAWN

CATEGORIES = {  # factors whose equal parts are kinds without an order
    ("phantom_mri", "contrast"): ("T1", "T2", "FLAIR"),
    ("phantom_us", "class_draw"): ("normal", "cyst", "benign", "malignant"),
}


def targets(info: Info, factors: np.ndarray) -> dict[str, np.ndarray]:
    """{column: values [n]} of the factors [n, f], columns in one order whatever the values.

    A number stays as it is, and so does a factor of two values, of which the regressor then learns the probability.
    An angle that covers a turn, or of a line half a turn, becomes a cosine and a sine that close it. A factor of
    CATEGORIES becomes a column of zeros and ones for each kind.

    Raises:
      UserError: a dataset without factors.
    """
    if not info.factors:
        raise UserError(f"{info.name} has no factors; they are known of phantoms alone: {', '.join(DRAWN)}")
    table, columns = _table(info.name), {}
    for j, name in enumerate(info.factors):
        columns |= _columns(info.name, name, table.get(name), factors[:, j].astype(np.float64))
    return columns


def _columns(dataset: str, name: str, factor: Factor | None, values: np.ndarray) -> dict[str, np.ndarray]:
    kinds = CATEGORIES.get((dataset, name))
    if kinds:
        index = np.floor((values - factor.a) / (factor.b - factor.a) * len(kinds))
        return {f"{name} = {kind}": (index == i).astype(np.float64) for i, kind in enumerate(kinds)}
    turns = _turns(factor)
    if turns:
        return {f"cos {name}": np.cos(values / turns), f"sin {name}": np.sin(values / turns)}
    return {name: values}


def _turns(factor: Factor | None) -> float:
    """Turns that an angle covers, 1 or 0.5; 0 for what is no such angle."""
    if factor is None or factor.kind != "uniform" or "[rad]" not in factor.doc:
        return 0.0
    turns = (factor.b - factor.a) / (2 * np.pi)
    return next((share for share in (0.5, 1.0) if abs(turns - share) < 0.01), 0.0)


def _table(dataset: str) -> dict[str, Factor]:
    """The factors that are drawn; those that follow from them are not in it, and are numbers all."""
    if dataset not in DRAWN:
        return {}
    module = importlib.import_module(f"data.phantom.{DRAWN[dataset]}_factors")
    return {factor.name: factor for factor in module.TABLE}
