"""Several datasets as one, in given proportions: data.mix.

A member's classes that have the name of another's, in capitals or not, are the same class; what a member does not tell
is unknown (-1). One more class for each member, of its name, says where an image is from. Masks, factors and attributes
are kept as far as members have the same. The proportions hold in training; the other splits are the members' one after
another.
"""

import contextlib
import dataclasses
import re
import typing
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data import attributes, cache, ranges, splits
from data.dataset import Dataset
from data.draws import TURNS
from data.errors import UserError
from data.info import Info
from data.npy import NpyWriter
from data.options import DataOptions
from data.prepare import DRAWN

_ENTRY = re.compile(r"(?P<name>[^\[@=]+)(\[(?P<options>[^\]]*)\])?(@(?P<dir>.*))?=(?P<share>[0-9]+\.?[0-9]*|\.[0-9]+)")
_FORM = '"NAME@DIR=SHARE" or "NAME[option=value,...]@DIR=SHARE"'
_OWN = ("classes", "attributes", "view", "masks", "window")  # options that each member gives itself
_SHARED = ("image_size", "channels", "bits", "flip", "stain")  # options that are the mix's, alike for all
_SPLITS = ("split", "official_split", "near_duplicates")  # options that decide which split an image is in
_KINDS = typing.get_type_hints(DataOptions)
_FORMAT = 2  # of the arrays: another where the same members would become other numbers
_CHUNK = 1024  # images copied at once


def members(options: DataOptions) -> tuple[list[DataOptions], list[float]]:
    """The options of each member, and its share of training (sum 1).

    Raises:
        UserError: an entry of data.mix that is not understood, an option that belongs into the entries, or one dataset
            that is split in two ways.
    """
    for name in _OWN:
        if getattr(options, name):
            raise UserError(f"data.{name} belongs to the members of a mix: give it in data.mix, as {_FORM}.")
    if options.balance:
        raise UserError("data.balance and data.mix both say what training batches hold: leave one of them out.")
    if not options.mix:
        raise UserError(f"data.name=mix needs data.mix: a tuple of {_FORM}.")
    found = [_ENTRY.fullmatch(entry) for entry in options.mix]
    for entry, match in zip(options.mix, found, strict=True):
        if not match or match["name"] == "mix" or not float(match["share"]) > 0:
            raise UserError(f"data.mix has the entry {entry!r}: write {_FORM}, with a share above 0.")
    shares = np.array([float(match["share"]) for match in found])
    shares /= shares.sum()
    if shares.min() < 1 / TURNS:
        raise UserError(
            f"data.mix gives {options.mix[shares.argmin()]!r} a share of {shares.min():.2g} of training: one in "
            f"{TURNS:,} is the least; raise it, or leave that member out."
        )
    shared = dataclasses.replace(options, name="", dir="", mix=())
    chosen = [_member(shared, match) for match in found]
    _check_splits(chosen)
    return chosen, shares.tolist()


def _member(shared: DataOptions, match: re.Match) -> DataOptions:
    changes = {"name": match["name"], "dir": match["dir"] or ""}
    for pair in filter(None, (match["options"] or "").split(",")):
        key, _, text = pair.partition("=")
        if key in _SHARED:
            raise UserError(f"data.mix: {match['name']} is given {key!r}, which is one for all: set data.{key}.")
        if key not in _KINDS or key in ("name", "dir", "mix", "cache", "balance"):
            raise UserError(f"data.mix: {match['name']} is given {key!r}, which is no option of a member.")
        changes[key] = _value(key, text)
    member = dataclasses.replace(shared, **changes)
    member.check()
    return member


def _check_splits(chosen: list[DataOptions]) -> None:
    """UserError for a dataset that is split in two ways: one person would be in training and in the test."""
    first: dict[tuple, DataOptions] = {}
    for member in chosen:
        other = first.setdefault(_source(member), member)
        for key in _SPLITS:
            one, two = getattr(other, key), getattr(member, key)
            if one != two:
                where = f"{member.name}@{member.dir}" if member.dir else member.name
                raise UserError(
                    f"data.mix splits {where} in two ways, data.{key}={one} and {two}, which would put one person in "
                    f"training and in the test: give its members the same {key}."
                )


def _source(member: DataOptions) -> tuple:
    """What members have in common that show the same people; of what is drawn, another seed is another population."""
    folder = Path(member.dir).expanduser().resolve() if member.dir else None
    return member.name, folder, member.seed if member.name in DRAWN else 0


def _value(key: str, text: str):
    """`text` as what the option takes; the items of a tuple stand between bars."""
    kind = _KINDS[key]
    try:
        if typing.get_origin(kind) is tuple:
            return tuple(map(typing.get_args(kind)[0], text.split("|")))
        return {"true": True, "false": False}[text.casefold()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        raise UserError(f"data.mix: {key}={text!r} is not understood; {key} is {_words(kind)}.") from error


def _words(kind) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a row, with | between them, each {_words(typing.get_args(kind)[0])}"
    return {bool: "True or False", int: "a whole number", float: "a number", str: "a word"}[kind]


def write(folders: list[Path], options: DataOptions, shares: list[float], folder: Path) -> None:
    """Writes the prepared members as one dataset into an existing, empty folder."""
    parts = [Dataset(path) for path in folders]
    joined = _Joined(parts, _names(options), shares)
    for split in splits.NAMES:
        if any(part.info.sizes.get(split) for part in parts):
            (folder / split).mkdir()
            joined.write(split, folder / split)
    joined.info.write(folder)


def _names(options: DataOptions) -> list[str]:
    """One name a member: the dataset's, numbered where two have the same."""
    names = [member.name for member in members(options)[0]]
    return [name if names.count(name) == 1 else f"{name}_{names[: i + 1].count(name)}" for i, name in enumerate(names)]


class _Joined:
    """The members, and what they become together."""

    def __init__(self, parts: list[Dataset], names: list[str], shares: list[float]):
        self._parts, self._names = parts, names
        self._first = {name: np.cumsum([0] + [_top(part, name) for part in parts]) for name in ("id", "patient")}
        infos = [part.info for part in parts]
        same = lambda field: getattr(infos[0], field) if len({getattr(i, field) for i in infos}) == 1 else ()  # noqa: E731
        masks = same("mask_channels") if all(info.raters == 1 for info in infos) else ()
        self.info = Info(
            name="mix",
            image_shape=infos[0].image_shape,
            bits=infos[0].bits,
            classes=_distinct([c for info in infos for c in info.classes] + names),
            exclusive=False,
            attributes=(),
            mask_channels=masks,
            raters=int(bool(masks)),
            factors=same("factors"),
            sizes={split: sum(info.sizes.get(split, 0) for info in infos) for split in splits.NAMES},
            patients=_patients(infos),
            **_moments(infos, np.array(shares)),
            licence="; ".join(dict.fromkeys(info.licence for info in infos)),
            citation=" ".join(dict.fromkeys(info.citation for info in infos)),
            skipped=sum(info.skipped for info in infos),
            shares=tuple(shares),
            recorded=same("recorded"),
        )

    def write(self, split: str, folder: Path) -> None:
        """The arrays of one split, the members' one after another."""
        info, small = self.info, {}
        with contextlib.ExitStack() as files:
            stored = ranges.DTYPES[info.bits]
            writers = {"image": files.enter_context(NpyWriter(folder / "image.npy", info.image_shape, stored))}
            if info.mask_channels:
                shape = (*info.image_shape[:2], len(info.mask_channels))
                writers["mask"] = files.enter_context(NpyWriter(folder / "mask.npy", shape, np.uint8))
            for number, part in enumerate(self._parts):
                if part.info.sizes.get(split):
                    arrays = part.arrays(split)
                    for name, writer in writers.items():
                        _copy(arrays[name], writer)
                    for name, rows in self._small(number, arrays).items():
                        small.setdefault(name, []).append(rows)
        for name, rows in small.items():
            np.save(folder / f"{name}.npy", np.concatenate(rows))

    def _small(self, number: int, arrays: dict) -> dict[str, np.ndarray]:
        """A few numbers an image, of one member's split; ids and patients follow on those of the members before it."""
        info, mine, n = self.info, self._parts[number].info, len(arrays["id"])
        label = np.full((n, len(info.classes)), attributes.UNKNOWN, np.float32)
        label[:, _columns(info.classes, self._names)] = np.eye(len(self._names))[number]
        label[:, _columns(info.classes, mine.classes)] = arrays["label"][:, : len(mine.classes)]
        keys = [f"{self._names[number]}/{key.decode()}" for key in arrays["key"]]
        patient = np.asarray(arrays["patient"])
        rows = {
            "label": label,
            "key": np.array([key.encode() for key in keys], np.bytes_),
            "id": np.int32(arrays["id"] + self._first["id"][number]),
            "patient": np.where(patient < 0, -1, patient + self._first["patient"][number]).astype(np.int32),
            "member": np.full(n, number, np.int8),
        }
        if info.recorded:
            rows["attributes"] = arrays["attributes"]
        return rows | ({"factors": arrays["factors"]} if info.factors else {})


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Each name once, as it is first written: sources write "Pneumonia" and "pneumonia"."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.casefold(), name)
    return tuple(found.values())


def _columns(classes: tuple[str, ...], names: Sequence[str]) -> list[int]:
    folded = [name.casefold() for name in classes]
    return [folded.index(name.casefold()) for name in names]


def _copy(rows: np.ndarray, writer: NpyWriter) -> None:
    for at in range(0, len(rows), _CHUNK):
        writer.append(np.asarray(rows[at : at + _CHUNK]))


def _top(part: Dataset, name: str) -> int:
    """One more than the largest number in use, over all splits."""
    return 1 + max(int(part.arrays(split)[name].max()) for split in splits.NAMES if part.info.sizes.get(split))


def _patients(infos: list[Info]) -> dict[str, int] | None:
    if any(info.patients is None for info in infos):
        return None
    return {split: sum(info.patients.get(split, 0) for info in infos) for split in splits.NAMES}


def _moments(infos: list[Info], shares: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Mean and deviation of the pixels that training sees, of the members' own and their shares."""
    means, stds = (np.array([getattr(info, name) for info in infos]) for name in ("mean", "std"))
    mean = shares @ means
    std = np.sqrt(shares @ (stds**2 + means**2) - mean**2)
    return {"mean": tuple(mean.tolist()), "std": tuple(std.tolist())}


def digest(folders: list[Path], options: DataOptions) -> str:
    """Depends on the members' own keys and on their shares."""
    return cache.digest(_FORMAT, [folder.name for folder in folders], list(options.mix))
