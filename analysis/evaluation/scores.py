"""Every metric of a set of images against real ones, beside its floor and its ceiling."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.evaluation.metrics import BETTER, OF_SIZE
from analysis.evaluation.sets import ImageSet
from analysis.features.images import levels
from analysis.metrics import frechet, manifold, spectrum, structure
from analysis.metrics.inception_score import inception_score
from analysis.metrics.kid import kid
from analysis.metrics.patients import Groups
from analysis.metrics.vendi import vendi_score
from data.ranges import to_float

Row = dict[str, Any]
Metric = Callable[[np.ndarray, np.ndarray], Row | None]

# What a part of the images is scored by; fd_infinity of all parts would take minutes.
OF_PARTS = tuple(name for name in BETTER if name not in ("fd_infinity", "inception_score"))
PRDC_K = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
WIDEST = 8192  # features with a Frechet distance: the covariance of more, as of large images' pixels, takes gigabytes
PARTS = 20  # of the jackknife of fd_infinity
SPLITS = 10  # of the Inception score
LOGITS = ("inception_logits", "inception_logits_unbiased")


def feature_scores(
    x: np.ndarray, y: np.ndarray, only: tuple[str, ...] = tuple(BETTER), groups: tuple[Groups, Groups] = (None, None)
) -> dict[str, Row]:
    """{metric: {"value", "low", "high", "n", ...}} of features x [m, d] against real ones y [n, d].

    An interval that would not be honest is null. A metric for which there are too few images is left out, and Frechet
    distances of more than WIDEST features are.

    Args:
      groups: of x [m] and of y [n] the patient of each, int from 0.
    """
    m, n = len(x), len(y)
    found: dict[str, Row] = {}
    if min(m, n) >= 3:
        found["kid"] = plain(dataclasses.asdict(kid(x, y, groups)))
    narrow = x.shape[1] <= WIDEST
    if "fd" in only and min(m, n) >= 2 and narrow:
        distance = frechet.frechet_distance(*(frechet.moments_of(a) for a in (x, y)))
        found["fd"] = _without_interval(distance.value, m, n) | {"singular": distance.singular}
    if "fd_infinity" in only and min(m, n) >= 2 * PARTS and narrow:
        with contextlib.suppress(frechet.TooFewPatients):
            found["fd_infinity"] = dataclasses.asdict(frechet.frechet_infinity(x, y, PARTS, groups=groups))
    found |= _manifold(x, y, only)
    if "vendi" in only:
        found["vendi"] = _without_interval(vendi_score(x), m)
    return found


def _manifold(x: np.ndarray, y: np.ndarray, only: tuple[str, ...]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    pairs = {("precision", "recall"): manifold.precision_recall, ("density", "coverage"): manifold.density_coverage}
    for names, function in pairs.items():
        if set(names) & set(only) and min(len(x), len(y)) > PRDC_K[names[0]]:
            values = function(y, x, k=PRDC_K[names[0]])
            for name, value in zip(names, values, strict=True):
                found[name] = _without_interval(value, len(x), len(y)) | {"k": PRDC_K[name]}
    return found


def image_scores(
    x: np.ndarray, y: np.ndarray, only: tuple[str, ...] = tuple(BETTER), groups: Groups = None
) -> dict[str, Row]:
    """The same of the stored images themselves, [m, h, w, c] and [n, h, w, c]: their diversity and their spectrum.

    Args:
      groups: of x [m] the patient of each.
    """
    found: dict[str, Row] = {}
    side = min(x.shape[1:3])
    if "ms_ssim" in only and side >= structure.WINDOW:
        with contextlib.suppress(structure.TooFewPairs):
            diversity = structure.ms_ssim_diversity(levels(x), 255.0, groups=groups)
            found["ms_ssim"] = dataclasses.asdict(diversity) | {"data_range": 255}
    if "spectrum" in only and side >= 4:
        spectra = [spectrum.radial_spectrum(to_float(images)) for images in (x, y)]
        if all((s.power > 0).all() for s in spectra):
            found["spectrum"] = _without_interval(spectrum.spectrum_distance(*spectra), len(x), len(y))
    return found


def _inception_score(logits: np.ndarray, only: tuple[str, ...]) -> dict[str, Row]:
    """Of Inception's class scores; distances between them would mean nothing."""
    if "inception_score" not in only or len(logits) < SPLITS:
        return {}
    score = inception_score(logits, SPLITS)
    return {"inception_score": _without_interval(score.mean, len(logits)) | {"std": score.std, "splits": SPLITS}}


def plain(row: Row) -> Row:
    """With null in place of ends that are nan, as JSON has none."""
    return {name: None if name in ("low", "high") and np.isnan(value) else value for name, value in row.items()}


def _without_interval(value: float, *n: int) -> Row:
    return {"value": float(value), "low": None, "high": None, "n": list(n)}


@dataclasses.dataclass(eq=False)
class Reference:
    """What generated images are measured against.

    Attributes:
      real: images of the split; `floor` two real sets of one size; `ceiling` of a Gaussian fitted to the pixels.
    """

    real: ImageSet
    floor: tuple[ImageSet, ImageSet]
    ceiling: ImageSet | None = None

    def __post_init__(self):
        self._kept: dict[tuple, dict[str, Row]] = {}

    def rows(self, generated: ImageSet, space: str, only: tuple[str, ...] = tuple(BETTER)) -> dict[str, Row]:
        """{metric: {"generated", "floor", "ceiling", "better"}} in a feature network's space, or in "images".

        Where the floor is of fewer images than were generated, metrics that depend on their number have beside
        `generated` the same at the floor's size, `generated_at_floor_n`: that one compares with the floor.
        """
        values = {"generated": _scores(generated, self.real, space, only)}
        small = len(self.floor[0])
        if small < max(len(generated), len(self.real)):
            parts = (a.rows(slice(small)) for a in (generated, self.real))
            values["generated_at_floor_n"] = _scores(*parts, space, tuple(n for n in OF_SIZE if n in only))
        values["floor"] = self._once("floor", *self.floor, space, only)
        if self.ceiling is not None:
            values["ceiling"] = self._once("ceiling", self.ceiling, self.real, space, only)
        return {
            name: {kind: row[name] for kind, row in values.items() if _kept(name, kind, row)} | {"better": BETTER[name]}
            for name in values["generated"]
        }

    def _once(self, kind: str, x: ImageSet, y: ImageSet, space: str, only: tuple[str, ...]) -> dict[str, Row]:
        key = (kind, space, only)
        if key not in self._kept:
            self._kept[key] = _scores(x, y, space, only)
        return self._kept[key]


def _kept(name: str, kind: str, row: dict[str, Row]) -> bool:
    return name in row and (kind != "generated_at_floor_n" or name in OF_SIZE)


def _scores(x: ImageSet, y: ImageSet, space: str, only: tuple[str, ...]) -> dict[str, Row]:
    if space == "images":
        return image_scores(x.images, y.images, only, x.groups)
    if space in LOGITS:
        return _inception_score(x.features[space], only)
    return feature_scores(x.features[space], y.features[space], only, (x.groups, y.groups))
