"""What a prepared dataset is, in numbers and names."""

import dataclasses
import hashlib
import json
from pathlib import Path


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
    skipped: int  # images left out because they are corrupt or missing (on_error="skip")
    fingerprint: str = ""  # of the prepared arrays and of all that stands here: the same wherever the same data lies
    shares: tuple[float, ...] = ()  # of a mix: how much of training each member is
    recorded: tuple[str, ...] = ()  # all attributes the source records: columns of batch["attributes"]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns of `label`."""
        return self.classes + self.attributes

    def to_dict(self) -> dict:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    def write(self, folder: Path) -> "Info":
        """Writes folder/info.json with the fingerprint of the arrays in the folder's splits; returns what was written.

        Contents count and not the times or the place of the source, so that results of one dataset can be known to be
        of one dataset on any machine.
        """
        hashed = hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode())
        for path in sorted(folder.glob("*/*.npy")):
            with open(path, "rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest()
            hashed.update(f"{path.relative_to(folder).as_posix()} {whole}\n".encode())
        info = dataclasses.replace(self, fingerprint=hashed.hexdigest()[:16])
        (folder / "info.json").write_text(json.dumps(info.to_dict(), indent=1))
        return info

    @classmethod
    def from_dict(cls, values: dict) -> "Info":
        """The inverse of `to_dict`, also after a trip through JSON (lists become tuples again)."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
