"""Datasets to batches. Knows nothing of models, configs or loops.

    from data import DataOptions, load
    dataset = load(DataOptions(name="nih", dir="/data/nih", image_size=64))
    batch = dataset.batches("train", batch_size=32, seed=0)[0]

Importing this package is quick: tfds, grain and jax are imported when they are needed.
"""

from data.errors import UserError
from data.info import Info
from data.options import DataOptions
from data.prepare import DRAWN, MIX, READ

NAMES = (*DRAWN, *READ, MIX)

__all__ = ["NAMES", "DataOptions", "Info", "UserError", "load"]


def load(options: DataOptions, *, progress: bool = True):
    """Prepares a dataset if that was not done yet, and opens it.

    Args:
        options: which dataset, and at which size.
        progress: show progress of a preparation on stderr.

    Returns:
        data.dataset.Dataset.

    Raises:
        UserError: wrong options or a source that cannot be used; nothing half-prepared stays.
    """
    from data.dataset import Dataset
    from data.prepare import prepared

    return Dataset(prepared(options, progress), options.flip, options.balance, options.stain)
