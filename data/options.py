"""Everything that decides what the batches hold."""

import dataclasses

from data.errors import UserError

_CHOICES = {
    "channels": (1, 2, 3, 4),
    "bits": (8, 16),
    "uncertain": ("zeros", "ones", "half", "ignore"),
    "resize": ("crop", "pad", "stretch"),
    "on_error": ("fail", "skip"),
}


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """One dataset at one size. Lists are taken for tuples; `check` says what is wrong with a value."""

    name: str = "phantom_cxr"  # which dataset: see data.NAMES
    dir: str = ""  # folder (or .npz file) of the source; phantoms need none
    cache: str = ".cache/data"  # folder for prepared data; never inside `dir`
    keep_records: bool = True  # keep the copy of the source too: other sizes then need no second copy
    image_size: int = 64  # height and width of the images, pixels
    channels: int = 1  # 1: gray (colour becomes luminance); 3: RGB (gray is repeated); brats, ixi: one a modality
    bits: int = 8  # stored bits per channel: 8 or 16
    window: tuple[
        float, ...
    ] = ()  # (low, high) stored intensities shown as black and white; (): the full range
    resize: str = "crop"  # aspect: "crop" centre square, "pad" black borders, "stretch"; Lanczos
    classes: tuple[str, ...] = ()  # subset and order of the classes; (): all the source has
    attributes: tuple[str, ...] = ()  # appended to the label: see data/attributes.py; -1 where unknown
    view: str = ""  # keep one view only: "PA", "AP", "frontal" or "lateral"; "": all
    uncertain: str = "zeros"  # CheXpert's -1: "zeros", "ones", "half" (0.5), "ignore" (-1, the null)
    split: tuple[float, ...] = (0.8, 0.1, 0.1)  # train, val, test as fractions of the patients; sum 1
    official_split: bool = True  # use the source's published split where there is one
    flip: bool = (
        False  # flip training images left to right at random, p 0.5; off: a flipped heart is a disease
    )
    on_error: str = "fail"  # a corrupt or missing image: "fail", or "skip" and count
    masks: str = ""  # folder: where the masks are, relative to `dir` or absolute; "": `masks/` when there
    labels: str = ""  # dicom, folder: CSV of labels, relative to `dir` or absolute; "": none
    modalities: tuple[str, ...] = ()  # brats, ixi: the volumes that become channels; (): the builder's first
    slices: tuple[float, ...] = (0.35, 0.65)  # brats, ixi: from where to where, as fractions from the lowest up
    slice_step: int = 4  # brats, ixi: every so many-th slice of those; neighbours are nearly the same image
    brain_fraction: float = 0.1  # brats, ixi: least share of a slice that is brain
    percentiles: tuple[float, ...] = (0.5, 99.5)  # brats, ixi: of the brain's intensities, black and white
    near_duplicates: int = 40  # folder: bits (of 256) in which hashes of images kept in one split differ; -1: off
    fraction: float = 1.0  # share of the training patients (images, where none is named); a smaller is part of a larger
    balance: bool = False  # training batches show each class equally often, images without a finding as one more
    stain: float = 0.0  # tissue: training images' stains change at random by up to this share; 0: none
    mix: tuple[str, ...] = ()  # mix: its members, "NAME@DIR=SHARE" or "NAME[option=value,...]@DIR=SHARE" each
    num_images: int = 10_000  # drawn datasets: images in all splits together
    seed: int = 0  # drawn datasets: another seed is another population

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))

    def check(self) -> None:
        """Raises UserError for a value that cannot be meant, naming the key and what is allowed."""
        for key, allowed in _CHOICES.items():
            if getattr(self, key) not in allowed:
                raise UserError(f"data.{key}={getattr(self, key)!r} is not known: use one of {allowed}.")
        for key, least in (("image_size", 1), ("num_images", 1), ("slice_step", 1), ("seed", 0)):
            if getattr(self, key) < least:
                raise UserError(f"data.{key}={getattr(self, key)} must be at least {least}.")
        if not 0 <= self.stain < 1:
            raise UserError(f"data.stain={self.stain} is a share of the stain: use 0 (none) to below 1, such as 0.05.")
        if self.stain and self.channels != 3:
            raise UserError(f"data.stain={self.stain} needs colour: set data.channels=3, or data.stain=0.")
        for key in ("classes", "attributes", "mix", "modalities"):
            if isinstance(getattr(self, key), str):
                raise UserError(f"data.{key} is a tuple of names: write ({getattr(self, key)!r},).")
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise UserError(f"data.{key}={getattr(self, key)} names one column twice.")
        if (
            len(self.split) != 3
            or min(self.split) < 0
            or abs(sum(self.split) - 1) > 1e-6
            or not self.split[0]
        ):
            raise UserError(
                f"data.split={self.split} must be three fractions (train, val, test) that sum to 1."
            )
        if not 0 < self.fraction <= 1:
            raise UserError(f"data.fraction={self.fraction} must be above 0 and at most 1.")
        if not -1 <= self.near_duplicates <= 256:
            raise UserError(f"data.near_duplicates={self.near_duplicates} must be from 0 to 256 bits, or -1 for off.")
        if self.window and not (len(self.window) == 2 and self.window[0] < self.window[1]):
            raise UserError(f"data.window={self.window} must be (low, high) with low < high, or ().")
        self._check_volumes()

    def _check_volumes(self) -> None:
        """What decides which slices of a volume are taken, and what becomes of them."""
        for key, top in (("slices", 1), ("percentiles", 100)):
            ends = getattr(self, key)
            if len(ends) != 2 or not 0 <= ends[0] < ends[1] <= top:
                raise UserError(f"data.{key}={ends} must be (low, high) with 0 <= low < high <= {top}.")
        if not 0 <= self.brain_fraction < 1:
            raise UserError(f"data.brain_fraction={self.brain_fraction} must be at least 0 and below 1.")
        if len(self.modalities) > 1 and self.channels != len(self.modalities):
            raise UserError(
                f"data.modalities={self.modalities} are {len(self.modalities)} channels: "
                f"set data.channels={len(self.modalities)}."
            )
