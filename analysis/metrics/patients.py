"""Images of one patient depend on each other: which they are, and what that does to a variance."""

import numpy as np
from scipy import special

NORMAL_95 = 1.959964
LEAST = 3  # patients from which something is known of how they differ
Groups = np.ndarray | None  # int [n] from 0, the patient of each image; None: each image is of a patient of its own


def patient_groups(patient: np.ndarray) -> np.ndarray:
    """int [n] from 0: a number for each patient [n], and one of its own for each image without one (-1)."""
    alone = patient < 0
    patient = np.where(alone, np.arange(len(patient)) + patient.max(initial=0) + 1, patient)
    return np.unique(patient, return_inverse=True)[1]


def number(groups: Groups, n: int) -> int:
    """How many patients n images are of."""
    return n if groups is None else len(np.unique(groups))


def variance_of_sum(parts: np.ndarray, groups: Groups = None) -> float:
    """Variance of a sum whose parts [n] are deviations (they add up to 0), where patients are independent.

    G / (G - 1) sum over G patients of (sum of their parts)^2 (Liang and Zeger 1986; of images that are all of
    different patients, the usual variance). nan of one patient.
    """
    sums = parts if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], parts)
    return float(len(sums) / (len(sums) - 1) * np.square(sums).sum()) if len(sums) > 1 else float("nan")


def variance_of_pairs(parts: np.ndarray, owners: np.ndarray | None = None) -> float:
    """Variance of a sum over pairs of images whose parts [n] add up to 0, where pairs without a common patient are
    independent.

    sum over all two pairs with a common patient, and each with itself, of the product of their parts (Aronow, Samii and
    Assenova 2015, eq. 4), times n / (n - 1); at least as if all pairs were independent.

    Args:
      owners: int [n, 2], the two patients of each pair; None: no patient is in two pairs.
    """
    n = len(parts)
    alone = n / (n - 1) * np.square(parts).sum()
    if owners is None:
        return float(alone)
    common = (owners[:, None, :, None] == owners[None, :, None, :]).any((2, 3))
    return float(max(n / (n - 1) * parts @ common @ parts, alone))


def added_variance(parts: np.ndarray, groups: Groups) -> float:
    """What patients with several images add to the variance of a sum: at least nothing, nan of fewer than LEAST."""
    if number(groups, len(parts)) == len(parts):
        return 0.0
    if number(groups, len(parts)) < LEAST:
        return float("nan")
    return max(variance_of_sum(parts, groups) - variance_of_sum(parts), 0.0)


def student_95(values: int) -> float:
    """Half the width of a 95 % interval in standard errors, where these come from so many values."""
    return float(special.stdtrit(values - 1, 0.975))


def quantile_95(n: int, groups: Groups) -> float:
    """The same of many images: the normal's, or Student's over the patients where some have several images."""
    patients = number(groups, n)
    return NORMAL_95 if patients == n else student_95(patients)


def by_patient(influence: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """[patients] from what each of n images adds to a statistic: its mean over resampled patients is that of theirs."""
    groups = np.unique(groups, return_inverse=True)[1]
    return np.bincount(groups, influence) * (groups.max() + 1) / len(influence)


def folds(n: int, k: int, groups: Groups) -> np.ndarray:
    """int [n] below k: as many images in each fold as can be where all images of a patient are in one.

    Each patient in turn, those with most images first, goes to the fold that has fewest; their order is kept else.
    """
    if number(groups, n) == n:
        return np.arange(n) % k
    groups = np.unique(groups, return_inverse=True)[1]
    size, filled = np.bincount(groups), np.zeros(k, int)
    of = np.zeros(len(size), int)
    for patient in np.argsort(-size, kind="stable"):
        of[patient] = np.argmin(filled)
        filled[of[patient]] += size[patient]
    return of[groups]


def halves(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising rows of two sets, as near to one size as whole patients make them, without a patient in both.

    Of one patient alone the images themselves are halved.
    """
    n = len(groups)
    if len(np.unique(groups)) in (1, n):
        return np.arange(n // 2), np.arange(n // 2, n)
    of = folds(n, 2, groups)
    return np.flatnonzero(of == 0), np.flatnonzero(of == 1)
