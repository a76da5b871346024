"""What a prepared dataset is, in numbers and names."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Info:
    """Facts about a prepared dataset; saved beside its arrays and in each run.

    `label` has one column for each name in `labels`: the classes first, then the attributes.
    """

    name: str  # dataset name, as in DataOptions.name
    image_shape: tuple[int, int, int]  # height, width, channels, in pixels
    bits: int  # stored bits per channel: 8 or 16
    classes: tuple[str, ...]  # findings or classes, in the order of the label's columns
    exclusive: bool  # True: exactly one class an image (one-hot); False: any number (multi-hot)
    attributes: tuple[str, ...]  # columns of `label` after the classes
    mask_channels: tuple[str, ...]  # channels of `mask`; empty: no masks
    raters: int  # people who drew each mask; 0: no masks
    factors: tuple[str, ...]  # names of the columns of `factors` (phantoms); empty elsewhere
    sizes: dict[str, int]  # images in each split
    patients: dict[str, int] | None  # patients in each split; None: the source names none
    mean: tuple[float, ...]  # per channel, of the training split's pixels, in [-1, 1] units
    std: tuple[float, ...]  # per channel, of the training split's pixels, in [-1, 1] units
    licence: str
    citation: str
    fingerprint: str  # of the source files and of every option that the arrays depend on
    skipped: int  # images left out because they are corrupt or missing (on_error="skip")
    shares: tuple[float, ...] = ()  # of a mix: how much of training each member is
    recorded: tuple[str, ...] = ()  # all attributes the source records: columns of batch["attributes"]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of `label`."""
        return self.classes + self.attributes

    def to_dict(self) -> dict:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Info":
        """The inverse of `to_dict`, also after a trip through JSON (lists become tuples again)."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
