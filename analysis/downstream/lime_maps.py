"""LIME (Ribeiro et al. 2016), by the package `lime`: without which parts of an image a class is less likely."""

import contextlib
import importlib.util
import io
from collections.abc import Callable

import numpy as np

from analysis.features.images import levels, rgb
from data import UserError

SEGMENTS = 64  # superpixels asked for


def check(channels: int) -> None:
    """Raises UserError where images of so many channels cannot be explained, or the package is not there."""
    if channels not in (1, 3):
        raise UserError(f"LIME explains gray and RGB images, not {channels} channels; leave --explain out")
    if importlib.util.find_spec("lime") is None:
        raise UserError("--explain needs the package lime: pip install -e '.[explain]'")


def lime_map(classify: Callable[[np.ndarray], np.ndarray], image: np.ndarray, column: int, samples: int,
             seed: int = 0) -> np.ndarray:  # fmt: skip
    """Map [h, w]: each superpixel's positive weight, spread evenly over its pixels; the sum is that of the weights.

    Superpixels are SLIC's (Achanta et al. 2012); one that is taken away becomes its mean gray or colour.

    Args:
      classify: stored images [n, h, w, c] -> probabilities [n, k].
      image: stored, [h, w, 1 or 3].
      column: the class explained.
      samples: perturbed copies that the linear model is fitted to.
    """
    from lime.lime_image import LimeImageExplainer

    # A copy in [0, 1] RGB, which is what `lime` segments and perturbs; `classify` gets it back as it is stored.
    unit = rgb(levels(image)).astype(np.float64) / 255.0
    explainer = LimeImageExplainer(random_state=seed)
    with contextlib.redirect_stderr(io.StringIO()):  # its own progress bar, of every image
        explanation = explainer.explain_instance(
            unit, lambda copies: classify(_stored(copies, image)), labels=(column,), top_labels=None,
            num_samples=samples, batch_size=64, segmentation_fn=superpixels, random_seed=seed,
        )  # fmt: skip
    return spread(explanation.segments, dict(explanation.local_exp[column]))


def superpixels(unit: np.ndarray) -> np.ndarray:
    """int [h, w] from 0, of an RGB image in [0, 1]."""
    from skimage.segmentation import slic

    return slic(unit, n_segments=SEGMENTS, compactness=10.0, start_label=0)


def spread(segments: np.ndarray, weight: dict[int, float]) -> np.ndarray:
    """Positive weights of segments [h, w], shared out over their pixels."""
    area = np.bincount(segments.ravel())
    positive = np.array([max(weight.get(i, 0.0), 0.0) for i in range(len(area))])
    return (positive / np.maximum(area, 1))[segments]


def _stored(copies: np.ndarray, image: np.ndarray) -> np.ndarray:
    """RGB [n, h, w, 3] in [0, 1] -> like `image`, of its type and channels."""
    top = np.iinfo(image.dtype).max
    return np.rint(np.asarray(copies)[..., : image.shape[-1]] * top).astype(image.dtype)
