"""Vendi score: how many different images a set amounts to."""

import numpy as np
from scipy import special


def vendi_score(features: np.ndarray) -> float:
    """exp of the entropy of the eigenvalues of K / n, K being the cosines between features [n, d].

    1 where all point one way, n where all are orthogonal (Friedman and Dieng 2023, definition 3.1). It is bounded by n
    and d: compare at one n. The d x d Gram matrix has the same eigenvalues but for zeros, and is used where d < n.
    Features that are all 0, which rectified ones may be, have no direction; they count as alike, and unlike all others.

    Raises:
      ValueError: no features, or some that are not finite.
    """
    x = np.asarray(features, np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if not len(x) or not np.isfinite(length).all():
        raise ValueError("a Vendi score needs features, finite ones")
    x = np.hstack([x, length == 0]) / np.where(length == 0, 1.0, length)
    gram = x.T @ x if x.shape[1] < len(x) else x @ x.T
    # Rounding leaves eigenvalues a little below 0.
    values = np.clip(np.linalg.eigvalsh(gram / len(x)), 0.0, None)
    return float(np.exp(special.entr(values).sum()))
