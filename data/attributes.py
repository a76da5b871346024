"""Attributes of an image that are not findings: how they become numbers, and how a view is chosen.

    view      0 = PA, 1 = AP (frontal images)
    lateral   0 = frontal, 1 = lateral
    sex       0 = female, 1 = male
    age       years / 100
    site      0, 0.5, 1 = Guy's, Hammersmith Hospital, Institute of Psychiatry (IXI): a label is in [0, 1]
    center    0, 0.25, ..., 1 = the five hospitals of CAMELYON17, 0 to 4

-1 is the null: the source does not say. A batch's `attributes` hold all that the source records;
those named in DataOptions.attributes are appended to the label too.
"""

import re

import numpy as np

from data.errors import UserError

UNKNOWN = -1.0
VALUES = {  # but for age
    "view": {"PA": 0.0, "AP": 1.0},
    "lateral": {"frontal": 0.0, "lateral": 1.0},
    "sex": {"female": 0.0, "male": 1.0},
    "site": {"Guys": 0.0, "HH": 0.5, "IOP": 1.0},
    "center": {str(i): i / 4 for i in range(5)},
}
_CODES = {name: {word.lower(): code for word, code in values.items()} for name, values in VALUES.items()}
_CODES["sex"] |= {"f": 0.0, "m": 1.0}
_VIEWS = {"pa": ("view", 0.0), "ap": ("view", 1.0), "frontal": ("lateral", 0.0), "lateral": ("lateral", 1.0)}
OLDEST = 120  # years; ChestX-ray14 has ages up to 414, which are slips of the pen


def encode(name: str, text: str) -> float:
    """The number for one cell of a table; -1 for an empty, unknown or impossible one."""
    text = text.strip().lower()
    if name != "age":
        return _CODES[name].get(text, UNKNOWN)
    years = re.fullmatch(r"(\d+(?:\.\d*)?)y?", text)  # ChestX-ray14's first table writes 058Y
    age = float(years[1]) if years else -1
    return age / 100 if 0 <= age <= OLDEST else UNKNOWN


def columns(wanted: tuple[str, ...], recorded: tuple[str, ...], where: str) -> list[int]:
    """Positions of the wanted attributes among the recorded ones; UserError for one that is not there."""
    for name in wanted:
        if name not in recorded:
            raise UserError(
                f"data.attributes names {name!r}, which {where} does not record; "
                f"it records {', '.join(recorded) or 'no attributes'}."
            )
    return [recorded.index(name) for name in wanted]


def in_view(view: str, attributes: np.ndarray, recorded: tuple[str, ...], where: str) -> np.ndarray:
    """Which rows of `attributes` [n, a] show the view: bool [n]. UserError when the source cannot tell."""
    if not view:
        return np.ones(len(attributes), bool)
    if view.lower() not in _VIEWS:
        raise UserError(f"data.view={view!r} is not known: use PA, AP, frontal, lateral or nothing.")
    name, value = _VIEWS[view.lower()]
    if name not in recorded:
        raise UserError(
            f"data.view={view!r} needs the attribute {name!r}, which {where} does not record "
            f"(it records {', '.join(recorded) or 'none'}): leave data.view empty."
        )
    return attributes[:, recorded.index(name)] == value
