"""Labels for sampling: from names, or from the training split's own distribution."""

import numpy as np

from data import Info, UserError
from data.attributes import UNKNOWN, encode


def label_of_names(text: str, info: Info) -> np.ndarray:
    """The label [k] of findings named in `text` (comma-separated, in any case).

    "normal" (or "no finding") is the absence of every finding. An attribute the run was conditioned on is given as
    name=value in the words of the source ("view=AP", "sex=female", "age=62"). What is not given is left open (-1): an
    attribute, the findings where attributes alone are named, and of a mix of datasets all that is not named.

    Raises:
      UserError: a name that the dataset does not know, or two of classes that exclude each other.
    """
    known = {name.lower(): index for index, name in enumerate(info.classes)}
    words = [name.strip().lower() for name in text.split(",") if name.strip()]
    names = [word for word in words if "=" not in word]
    label = np.full(len(info.classes) + len(info.attributes), UNKNOWN, np.float32)
    if not info.shares:  # in a mix, each image is of one of its datasets, which says nothing of the others' findings
        label[: len(info.classes)] = 0.0
    for word in words:
        if "=" in word:
            column, label_value = _attribute(word, info)
            label[column] = label_value
    if words and not names:
        label[: len(info.classes)] = UNKNOWN
        return label
    if not (info.exclusive or info.shares) and names in (["normal"], ["no finding"]) and names[0] not in known:
        return label
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UserError(f"--label {', '.join(unknown) or text!r} is unknown; known: {', '.join(info.classes) or 'none'}"
                        + ("" if info.exclusive or info.shares else ", normal"))  # fmt: skip
    if info.exclusive and len(names) > 1:
        raise UserError(f"--label {text}: the classes of {info.name} exclude each other; give one")
    label[[known[name] for name in names]] = 1.0
    return label


def _attribute(word: str, info: Info) -> tuple[int, float]:
    """(column of the label, value) of name=value."""
    name, _, value = word.partition("=")
    if name not in info.attributes:
        known = ", ".join(info.attributes) or "none (see config.data.attributes)"
        raise UserError(f"--label {word}: {name!r} is not an attribute that the run was conditioned on; known: {known}")
    number = encode(name, value)
    if number == UNKNOWN:
        raise UserError(f"--label {word}: {value!r} is no value of {name}; leave it out to leave it open")
    return len(info.classes) + info.attributes.index(name), number


def draw_labels(train_labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """[n, k] rows of the training labels, drawn with replacement."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    return train_labels[rng.integers(len(train_labels), size=n)]


def fill_open(labels: np.ndarray, train_labels: np.ndarray, seed: int) -> np.ndarray:
    """Labels [n, k] whose open entries (-1) are those of training rows that agree with the others.

    So what was not asked for occurs as often as it does with what was, and the model sees labels as it did in training.
    Entries of a row that no training row agrees with come from any row.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    filled, pools = labels.copy(), {}
    for row in filled:
        if (row >= 0).all():
            continue
        if row.tobytes() not in pools:
            agrees = (np.abs(train_labels - row) < 0.05)[:, row >= 0].all(1)
            pools[row.tobytes()] = np.flatnonzero(agrees) if agrees.any() else np.arange(len(train_labels))
        pool = pools[row.tobytes()]
        drawn = train_labels[pool[rng.integers(len(pool))]]
        row[row < 0] = drawn[row < 0]
    return filled


def grid_labels(train_labels: np.ndarray, info: Info, n: int, columns: int, seed: int) -> np.ndarray:
    """[n, k] labels of a grid: a row for each of the most frequent single findings, the rest as in training.

    About half of the rows are for single findings (the absence of all counts as one). In those rows attributes are
    drawn as in training. Where there are no findings, all rows are drawn as in training.
    """
    labels = draw_labels(train_labels, n, seed)
    k, rows = len(info.classes), n // columns
    alone = train_labels[:, :k][(train_labels[:, :k] >= 0).all(1) & (train_labels[:, :k].sum(1) <= 1)]
    if not k or not len(alone):
        return labels
    kinds, counts = np.unique(alone, axis=0, return_counts=True)
    often = kinds[np.argsort(-counts, kind="stable")][: -(-rows // 2) + 1 if rows > 2 else 0]
    often = often[np.argsort(often.sum(1), kind="stable")]
    labels[: len(often) * columns, :k] = often.repeat(columns, axis=0)
    return labels


def caption(label: np.ndarray, info: Info) -> str:
    """What the findings [>= classes] of a label are, in words; "" where they are open."""
    findings = np.asarray(label)[: len(info.classes)]
    if not len(findings) or (findings < 0).any():
        return ""
    names = [name for name, value in zip(info.classes, findings, strict=True) if value > 0]
    return ", ".join(names) or "normal"
