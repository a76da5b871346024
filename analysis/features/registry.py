"""Feature networks by name, each with what a result file must say of it for its figures to be compared."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from analysis.features.file_hash import sha256
from data import UserError

Extract = Callable[[np.ndarray], np.ndarray]
Weights = str | Path | None
Parts = tuple[str, str, Extract]  # weights, resize and extract of a FeatureNetwork


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A function of stored images [n, h, w, c] that gives features, float32 [n, d], and where they come from."""

    name: str  # one of NETWORKS
    weights: str  # SHA-256 of the file of weights; "" where there are none
    resize: str  # how images come to the network's size
    extract: Extract

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.extract(images)

    def describe(self) -> dict[str, str]:
        """For result files."""
        return {"name": self.name, "weights_sha256": self.weights, "resize": self.resize}


def build(name: str, resize: str = "", weights: Weights = None, batch_size: int = 32) -> FeatureNetwork:
    """A feature network.

    Args:
      name: one of NETWORKS.
      resize: of Inception, one of `resize.MODES`, "clean" where left empty; the others have one way only.
      weights: file of Inception's or DINOv2's weights, where it is not to be looked for.
      batch_size: images at a time; the features do not depend on it.

    Raises:
      UserError: an unknown name or way of resizing; weights that cannot be had.
    """
    if name not in NETWORKS:
        raise UserError(f"feature network {name!r} is none of {', '.join(NETWORKS)}")
    digest, way, extract = NETWORKS[name](resize, weights, batch_size)
    if resize and resize != way:
        raise UserError(f"feature network {name} resizes in one way only, {way}; leave resize={resize!r} out")
    return FeatureNetwork(name, digest, way, extract)


def _inception(resize: str, weights: Weights, batch_size: int, *, tap: str) -> Parts:
    from analysis.features import inception, inception_weights

    mode = resize or "clean"
    extract = inception.extractor(tap, mode, batch_size, weights)
    return inception_weights.SHA256, mode, extract  # the only file that the extractor accepts


def _dinov2(_resize: str, weights: Weights, batch_size: int, *, name: str) -> Parts:
    from analysis.features import dinov2, dinov2_weights

    path = dinov2_weights.find(name, weights)
    digest = dinov2_weights.published(name).digest(path)
    return digest, dinov2.RESIZE, dinov2.extractor(name, batch_size, path)


def _efficientnet_lite0(_resize: str, _weights: Weights, batch_size: int) -> Parts:
    from analysis.features import efficientnet_lite0 as network

    return sha256(network.weights_path()), network.RESIZE, network.extractor(batch_size)


def _pixels(_resize: str, _weights: Weights, batch_size: int, *, size: int | None) -> Parts:
    from analysis.features import pixels

    return "", "linear-antialiased" if size else "none", pixels.extractor(size, batch_size)


NETWORKS = {
    "efficientnet_lite0": _efficientnet_lite0,
    "inception": partial(_inception, tap="2048"),
    "inception_768": partial(_inception, tap="768"),
    "inception_192": partial(_inception, tap="192"),
    "inception_64": partial(_inception, tap="64"),
    "inception_logits": partial(_inception, tap="logits"),
    "inception_logits_unbiased": partial(_inception, tap="logits_unbiased"),
    "inception_spatial": partial(_inception, tap="spatial"),  # the Frechet distance in these is sFID
    "dinov2": partial(_dinov2, name="dinov2"),  # ViT-L/14: FD-DINOv2
    "dinov2_vitb14": partial(_dinov2, name="dinov2_vitb14"),
    "dinov2_vits14": partial(_dinov2, name="dinov2_vits14"),
    "pixels": partial(_pixels, size=None),
    "pixels_32": partial(_pixels, size=32),
}
