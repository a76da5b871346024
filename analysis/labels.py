"""Labels for sampling: from names, or from the training split's own distribution."""

import numpy as np

from data import Info, UserError


def label_of_names(text: str, info: Info) -> np.ndarray:
    """The label [k] of findings named in `text` (comma-separated, in any case); attributes are left open (-1).

    "normal" (or "no finding") is the absence of every finding.

    Raises:
      UserError: a name that the dataset does not know, or two of classes that exclude each other.
    """
    known = {name.lower(): index for index, name in enumerate(info.classes)}
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    label = np.concatenate([np.zeros(len(info.classes)), np.full(len(info.attributes), -1.0)]).astype(np.float32)
    if not info.exclusive and names in (["normal"], ["no finding"]) and names[0] not in known:
        return label
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UserError(f"--label {', '.join(unknown) or text!r} is unknown; known: {', '.join(info.classes) or 'none'}"
                        + ("" if info.exclusive else ", normal"))  # fmt: skip
    if info.exclusive and len(names) > 1:
        raise UserError(f"--label {text}: the classes of {info.name} exclude each other; give one")
    label[[known[name] for name in names]] = 1.0
    return label


def draw_labels(train_labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """[n, k] rows of the training labels, drawn with replacement."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    return train_labels[rng.integers(len(train_labels), size=n)]
