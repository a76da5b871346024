"""Inception score: how sure a classifier is of each image, and how many classes it sees in all."""

import dataclasses

import numpy as np
from scipy import special


@dataclasses.dataclass(frozen=True)
class InceptionScore:
    """Mean and standard deviation over the splits, and the number of images in all of them."""

    mean: float
    std: float
    splits: int
    n: int


def inception_score(scores: np.ndarray, splits: int = 10, logits: bool = True, seed: int | None = 0) -> InceptionScore:
    """exp E KL(p(y|x) || p(y)) of each split, p(y) being the mean of p(y|x) over it (Salimans et al. 2016, section 4).

    It lies between 1 and the number of classes, and grows with the images in a split: compare at one n and one number
    of splits. The deviation over splits is no interval. ImageNet's classes do not name what is in a medical image.

    Args:
      scores: [n, classes], 1008 of the Inception network: logits, or where `logits` is False probabilities.
      seed: shuffles the images, so that samples in the order of their class do not fall into one split; None does not.

    Raises:
      ValueError: fewer images than splits, or rows of probabilities that do not add to 1.
    """
    if len(scores) < splits:
        raise ValueError(f"{len(scores)} images do not fill {splits} splits")
    p = np.asarray(scores, np.float64)
    p = special.softmax(p, axis=1) if logits else p
    if not np.allclose(p.sum(1), 1.0, atol=1e-4) or p.min() < 0:
        raise ValueError("each row of probabilities must be finite, at least 0, and add to 1")
    if seed is not None:
        p = p[np.random.Generator(np.random.Philox(key=seed)).permutation(len(p))]
    ends = np.arange(splits + 1) * len(p) // splits
    of_splits = [_score(p[start:stop]) for start, stop in zip(ends[:-1], ends[1:], strict=True)]
    return InceptionScore(float(np.mean(of_splits)), float(np.std(of_splits)), splits, len(p))


def _score(p: np.ndarray) -> float:
    return float(np.exp(special.rel_entr(p, p.mean(0)).sum(1).mean()))
