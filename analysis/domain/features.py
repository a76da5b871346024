"""The features `domain`: what a reader of the dataset's own findings, or else factors, sees in an image."""

from pathlib import Path

from analysis.domain.classifier import classifier
from analysis.domain.regressor import regressor
from analysis.features.registry import FeatureNetwork
from data import UserError

NAME = "domain"


def domain_network(dataset, folder: str | Path | None = None, seed: int = 0) -> FeatureNetwork:
    """Features [n, 128] of a classifier of the classes, where there are any, else of a regressor of the factors.

    Its `weights` are the SHA-256 of the parameters: they differ between datasets, seeds and kinds of device, and so do
    the metrics.

    Args:
      dataset: data.dataset.Dataset; its training split teaches.
      folder: where the reader is kept; None trains it every time.

    Raises:
      UserError: a dataset with neither; without a training or validation split; a folder that cannot be written.
    """
    if dataset.info.classes:
        reader = classifier(dataset, folder, seed)
    elif dataset.info.factors:
        reader = regressor(dataset, folder, seed).reader
    else:
        raise UserError(
            f"{dataset.info.name} has neither classes nor factors for the features 'domain' to learn; use others"
        )
    return FeatureNetwork(NAME, reader.sha256(), "none", reader.features)
