"""Whether generated phantoms are drawn from the right factors: their distributions, as a regressor reads them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from analysis.domain.determination import determination
from analysis.domain.drift import correlation_difference, wasserstein
from analysis.domain.regressor import regressor

READABLE = 0.3  # R^2 on real images below which a factor is not read well enough to be compared
OTHER = {"val": "test", "test": "val"}  # where the floor comes from: the regressor learned from neither


def factors(
    dataset, images: np.ndarray, seed: int = 0, split: str = "test", folder: str | Path | None = None
) -> dict[str, Any]:
    """Generated and real images beside each other, factor by factor.

    Args:
      dataset: data.dataset.Dataset with factors.
      images: [n, h, w, c] stored samples.
      split: real images to compare with, val or test. The floor has at most n real ones of the other of the two in
        place of the generated.
      folder: where the regressor is kept, see `analysis.domain.store.kept`.

    Returns:
      Plain JSON: {"factors": {name: {"r2", "readable", "wasserstein", "ks", "mean", "std"}}, "mean_wasserstein",
      "correlations", "unreadable": [names], "readable_above"}. Wasserstein distances are in standard deviations of what
      is read from real images, see `analysis.domain.drift`; means and deviations are those of what is read, in the
      factor's unit. The mean and the correlations are of readable factors; None where there are too few.

    Raises:
      UserError: a dataset without factors, or without one of the splits.
    """
    reader = regressor(dataset, folder, seed)
    real = reader.read(dataset.arrays(split)["image"])
    floor = some(dataset.arrays(OTHER[split])["image"], len(images), seed)
    sets = {"generated": reader.read(images), "floor": reader.read(floor)}
    r2 = determination(real, reader.true(dataset, split))
    rows = {name: {"r2": dataclasses.asdict(row), "readable": row.value >= READABLE}
            for name, row in zip(reader.names, r2, strict=True)}  # fmt: skip
    for name, row in _distributions(reader.names, sets, real, seed).items():
        rows[name] |= row
    readable = np.array([row["readable"] for row in rows.values()])
    return {
        "factors": rows,
        "unreadable": [name for name, row in rows.items() if not row["readable"]],
        "readable_above": READABLE,
    } | _together({kind: values[:, readable] for kind, values in sets.items()}, real[:, readable], seed)


def some(images: np.ndarray, n: int, seed: int) -> np.ndarray:
    """At most n of the images, drawn without replacement."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(images))
    return np.asarray(images[np.sort(order[:n])])


def _distributions(names: tuple[str, ...], sets: dict[str, np.ndarray], real: np.ndarray, seed: int) -> dict[str, Any]:
    from scipy.stats import ks_2samp

    distances = {kind: wasserstein(values, real, seed)[0] for kind, values in sets.items()}
    named = sets | {"real": real}
    return {
        name: {
            "wasserstein": {kind: dataclasses.asdict(found[j]) for kind, found in distances.items()}
            | {"better": "lower"},
            "ks": {kind: float(ks_2samp(values[:, j], real[:, j]).statistic) for kind, values in sets.items()},
            "mean": {kind: float(values[:, j].mean()) for kind, values in named.items()},
            "std": {kind: float(values[:, j].std(ddof=1)) for kind, values in named.items()},
        }
        for j, name in enumerate(names)
    }


def _together(sets: dict[str, np.ndarray], real: np.ndarray, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {"mean_wasserstein": None, "correlations": None}
    if real.shape[1] >= 1:
        found["mean_wasserstein"] = _beside(lambda values: wasserstein(values, real, seed)[1], sets)
    if real.shape[1] >= 2:
        found["correlations"] = _beside(lambda values: correlation_difference(values, real, seed), sets)
    return found


def _beside(measure, sets: dict[str, np.ndarray]) -> dict[str, Any]:
    return {kind: dataclasses.asdict(measure(values)) for kind, values in sets.items()} | {"better": "lower"}
