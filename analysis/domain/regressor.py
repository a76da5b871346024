"""The regressor of factors: a reader that learns what a phantom was drawn from."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from analysis.domain.store import kept
from analysis.domain.targets import targets
from analysis.domain.training import Trained, train

STEPS = 1400


@dataclasses.dataclass(frozen=True, eq=False)
class Regressor:
    """A reader of factors in their own units.

    Attributes:
      names: of its k columns, see `analysis.domain.targets`; those that vary in the training split.
      mean, std: [k] of the training split, in which the reader's outputs are standardised.
    """

    reader: Trained
    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray

    def read(self, images: np.ndarray) -> np.ndarray:
        """Stored images [n, h, w, c] -> the factors as it sees them, float64 [n, k]."""
        return self.reader.outputs(images).astype(np.float64) * self.std + self.mean

    def true(self, dataset, split: str) -> np.ndarray:
        """The factors that a split's images were drawn from, [n, k]."""
        columns = targets(dataset.info, dataset.arrays(split)["factors"])
        return np.stack([columns[name] for name in self.names], 1)


def regressor(dataset, folder: str | Path | None = None, seed: int = 0) -> Regressor:
    """Learns all factors at once by the mean squared error of standardised values; the check is R^2 of each.

    Args:
      dataset: data.dataset.Dataset.
      folder: where it is kept, see `analysis.domain.store.kept`.

    Raises:
      UserError: a dataset without factors, or without a training or validation split.
    """
    real = dataset.arrays("train")
    columns = targets(dataset.info, real["factors"] if dataset.info.factors else np.zeros((0, 0)))
    names = tuple(name for name, values in columns.items() if np.ptp(values) > 0)
    values = np.stack([columns[name] for name in names], 1)
    mean, std = values.mean(0), values.std(0)

    def make() -> Trained:
        scaled = ((values - mean) / std).astype(np.float32)
        net, params = train(real["image"], scaled, _squared_error, STEPS, seed)
        fresh = Regressor(Trained(net, params, {}), names, mean, std)
        shares = r_squared(fresh.read(dataset.arrays("val")["image"]), fresh.true(dataset, "val"))
        return Trained(net, params, dict(zip(names, shares.tolist(), strict=True)))

    return Regressor(kept("factors", dataset.info, folder, seed, make), names, mean, std)


def _squared_error(outputs, values):
    return jnp.mean(jnp.square(outputs - values))


def r_squared(read: np.ndarray, true: np.ndarray) -> np.ndarray:
    """1 - squared error over variance, [k] of values [n, k]; 0 where the true values do not vary."""
    error, variance = np.square(read - true).mean(0), true.var(0)
    return np.where(variance > 0, 1.0 - error / np.where(variance > 0, variance, 1.0), 0.0)
