"""What a classifier says of the test images, kept so that two of them can be compared image by image."""

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
from scipy import special

from analysis.downstream import scores
from data import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Logits and truth of n images.

    Attributes:
      logit: float32 [n, k].
      label: [n, k]; of findings 0, 1, or what is not known.
      key: [n] bytes, the images' names in their source.
      group: int [n] of the patient (or of near-duplicates); images of one group are drawn together.
      threshold: [k] probabilities at and above which a finding is called; nan for exclusive classes.
      classes: k names.
    """

    logit: np.ndarray
    label: np.ndarray
    key: np.ndarray
    group: np.ndarray
    threshold: np.ndarray
    classes: tuple[str, ...]
    exclusive: bool

    def __len__(self) -> int:
        return len(self.logit)

    @property
    def probability(self) -> np.ndarray:
        """float64 [n, k]: softmax of exclusive classes, else a sigmoid each."""
        return probabilities(self.logit, self.exclusive)

    def truth_sha256(self) -> str:
        """64 hex digits of the images' names and labels, in their order."""
        return hashlib.sha256(self.key.tobytes() + self.label.astype(np.float32).tobytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Writes an npz, whole or not at all."""
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(file, **dataclasses.asdict(self))
        os.replace(temporary, path)


def load(path: Path) -> Predictions:
    """What `save` wrote.

    Raises:
      UserError: no such file, or another kind of one.
    """
    try:
        with np.load(path) as held:
            fields = {field.name: held[field.name] for field in dataclasses.fields(Predictions)}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} holds no predictions ({error}); run python -m analysis.downstream again") from error
    classes = tuple(str(name) for name in fields["classes"])
    return Predictions(**fields | {"classes": classes, "exclusive": bool(fields["exclusive"])})


def probabilities(logit: np.ndarray, exclusive: bool) -> np.ndarray:
    """Softmax or sigmoid of logits [n, k], in float64."""
    logit = logit.astype(np.float64)
    return special.softmax(logit, axis=1) if exclusive else special.expit(logit)


def thresholds(logit: np.ndarray, label: np.ndarray, exclusive: bool) -> np.ndarray:
    """Probabilities [k] with the highest Youden index on (validation) images; 0.5 where one kind is missing.

    nan of exclusive classes, of which the likeliest is called.
    """
    k = label.shape[1]
    if exclusive:
        return np.full(k, np.nan)
    found, probability = np.full(k, 0.5), probabilities(logit, exclusive)
    for j in range(k):
        known = (label[:, j] == 0) | (label[:, j] == 1)
        if len(np.unique(label[known, j])) == 2:
            found[j] = scores.youden(probability[known, j], label[known, j] == 1)
    return found
