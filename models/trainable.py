"""Which parameters of a network that begins from a source are trained, and at which rate."""

import re

from models.family import Family
from models.transfer import Row

KINDS = ("all", "head", "lora", "freezed")


def role(kind: str, family: Family, row: Row, levels: int) -> str:
    """new (trained at the full rate), pretrained (at `config.init.rate` of it) or frozen.

    What does not come whole from the source is always trained, whatever `kind` says: frozen, it would stay as it was
    drawn.

    Args:
      kind: all; head: the family's head alone; lora: adapters alone; freezed: all but the discriminator's stem and
        first levels (Mo et al. 2020).
      levels: how many, of freezed.
    """
    if not row.whole:
        return "new"
    trained = {
        "all": lambda: True,
        "head": lambda: family.param_group(row.path) == "head",
        "lora": lambda: False,
        "freezed": lambda: not is_first(row.network, row.path, levels),
    }
    return "pretrained" if trained[kind]() else "frozen"


def check_kind(kind: str, networks: tuple[str, ...]) -> None:
    """Raises ValueError for an unknown kind, or one that these networks do not have."""
    if kind not in KINDS:
        raise ValueError(f"config.init.train={kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if kind == "freezed" and "discriminator" not in networks:
        raise ValueError("config.init.train='freezed' freezes a discriminator, and this model has none; use 'all'")


def is_first(network: str, path: tuple[str, ...], levels: int) -> bool:
    """Whether a parameter is of the discriminator's stem or of its first `levels` levels, from the image on."""
    if network != "discriminator" or not levels:
        return False
    level = re.match(r"(?:level|widen)_(\d+)", path[0])
    return path[0] in ("detail_in", "conv_in") or (level is not None and int(level[1]) < levels)
