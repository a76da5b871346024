"""What all runs of one dataset are measured against: the real images, their features, floor and ceiling."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.evaluation.scores import Reference
from analysis.evaluation.sets import ImageSet, floor_pair, gaussian_images, take, unlabelled
from data import UserError

DOMAIN = "domain"  # features of the dataset at hand, see analysis/domain/features.py


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured, alike for all runs.

    Attributes:
      n: images drawn, and real ones of `split` at most.
      parts: names of `result.PARTS`.
      likelihood_n: real images whose likelihood is computed.
      features: names of feature networks, see analysis/features/registry.py, or "domain".
      resize, cache: of the feature networks; the folder keeps their features, "" none.
      segmenter: folder of a segmenter's run that measures the anatomy; "" none.
    """

    n: int = 2048
    split: str = "test"
    seed: int = 0
    parts: tuple[str, ...] = ()
    likelihood_n: int = 100
    features: tuple[str, ...] = ("efficientnet_lite0",)
    resize: str = ""
    cache: str = ".cache/features"
    segmenter: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Ground:
    """Attributes: the dataset, and of it the measured real images, as many of the training split, and the reference."""

    dataset: Any
    settings: Settings
    networks: dict[str, Callable]
    real: ImageSet
    train: ImageSet
    reference: Reference

    def features(self) -> np.ndarray:
        """[m, d] of all real images, those of the split and of the training split, in the first space."""
        space = next(iter(self.networks))
        return np.concatenate([self.real.features[space], self.train.features[space]])


def lay(dataset, settings: Settings) -> Ground:
    """Draws and measures the real images.

    Raises:
      UserError: too few of them, or a feature network that cannot be had.
    """
    networks = build_networks(settings, dataset)
    seed = settings.seed
    real = take(dataset, settings.split, settings.n, seed).measured(networks)
    train = take(dataset, "train", settings.n, seed + 1).measured(networks)
    ceiling = unlabelled(gaussian_images(dataset.arrays("train")["image"], settings.n, seed)).measured(networks)
    reference = Reference(real, floor_pair(real, train, settings.n), ceiling)
    return Ground(dataset, settings, networks, real, train, reference)


def build_networks(settings: Settings, dataset=None) -> dict[str, Callable]:
    """{name: feature network}, keeping features in `settings.cache`."""
    from analysis.features import feature_cache, registry

    networks = {
        name: _domain(dataset, settings) if name == DOMAIN else registry.build(name, settings.resize)
        for name in settings.features
    }
    if settings.cache:
        networks = {name: feature_cache.cached(network, settings.cache) for name, network in networks.items()}
    return networks


def _domain(dataset, settings: Settings):
    from analysis.domain.features import domain_network

    if dataset is None:
        raise UserError("--features domain are learned from findings, which folders do not name; use others")
    return domain_network(dataset, settings.cache or None, settings.seed)
