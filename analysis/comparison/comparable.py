"""Which results may stand in one table, and what each row is called there."""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from analysis.comparison.result_files import Result
from analysis.evaluation.metrics import OF_SIZE
from data import UserError

FAMILY_NAMES = {"gan": "GAN", "vae": "VAE", "ddpm": "DDPM", "flow": "Flow", "folder": "Folder"}
SETTINGS = ("k", "scales", "splits", "data_range")  # with another one of these, or without, it is another metric


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Results of one dataset, image size, split and n, in their order."""

    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        """For files and folders, such as phantom_cxr_64_test_n1000_1000."""
        first = self.results[0]
        words = f"{first.content['dataset']}_{size(first)}_{first.split}_n{first.n[0]}_{first.n[1]}"
        return re.sub(r"[^\w.-]+", "_", words)

    @property
    def spaces(self) -> list[str]:
        """Feature networks of any result, in the order in which they come."""
        return list(dict.fromkeys(s for result in self.results for s in result.content["metrics"] if s != "images"))


def size(result: Result) -> str:
    """64 of square gray images, otherwise heightxwidthxchannels."""
    height, width, channels = result.content["image_shape"]
    return str(height) if height == width and channels == 1 else f"{height}x{width}x{channels}"


def group(results: Sequence[Result]) -> list[Group]:
    """Results that are comparable, together; those of another dataset, size, split or n are in another group.

    KID and the Frechet distance at infinity are the only ones that could be read across n.

    Raises:
      UserError: results of one group that cannot be compared: other data under one name, other weights or another
        resizing under one network's name, or a metric with other settings.
    """
    groups: dict[tuple, list[Result]] = {}
    for result in results:
        key = (result.content["dataset"], tuple(result.content["image_shape"]), result.split, result.n)
        groups.setdefault(key, []).append(result)
    for members in groups.values():
        _check(members)
    return [Group(tuple(members)) for members in groups.values()]


def _check(results: Sequence[Result]) -> None:
    """Raises UserError at the first two results that differ in what must be equal."""
    seen: dict[tuple, tuple[Any, Result]] = {}
    known = all(_checksum(result) for result in results)
    for result in results:
        for key, value in _must_agree(result, known):
            before, other = seen.setdefault(key, (value, result))
            if before != value:
                raise UserError(
                    f"{other.path} and {result.path} cannot be compared: {' '.join(key)} is {before} in one and "
                    f"{value} in the other; evaluate both alike, or compare them apart"
                )


def _checksum(result: Result) -> str | None:
    """Of the real images."""
    return (result.content.get("real") or {}).get("sha256")


def _must_agree(result: Result, checksums: bool):
    """Yields ((words that name it), value); `checksums`: all results tell that of their real images."""
    if _checksum(result):
        yield ("the checksum of the real images",), _checksum(result)
    if not checksums and result.content.get("data"):
        yield ("the fingerprint of the data",), result.content["data"]
    for name, network in result.features.items():
        for field in ("weights_sha256", "resize"):
            yield ("features", name, field), network.get(field)
    for space, metrics in result.content["metrics"].items():
        for metric, row in metrics.items():
            generated = row.get("generated") or {}
            if metric in OF_SIZE and generated.get("n"):
                yield (space, metric, "n"), generated["n"]
            for field in SETTINGS:
                yield (space, metric, field), generated.get(field)


def family_name(result: Result) -> str:
    """As it is written in tables and figures."""
    return FAMILY_NAMES.get(result.family, result.family)


def labels(results: Sequence[Result]) -> list[str]:
    """The shortest name of each result that tells it from the others: family; run; sampling; file."""
    ladder = [_ladder(result, results) for result in results]
    counts = [Counter(rungs) for rungs in zip(*ladder, strict=True)]
    return [
        next((text for text, count in zip(rungs, counts, strict=True) if count[text] == 1), rungs[-1])
        for rungs in ladder
    ]


def _ladder(result: Result, results: Sequence[Result]) -> tuple[str, ...]:
    family = family_name(result)
    same = [other.options | _step(other) for other in results if other.run == result.run]
    own = result.options | _step(result)
    differing = [key for key in own if any(other.get(key) != own[key] for other in same)]
    words = ", ".join([result.run, *(f"{key} {own[key]}" for key in differing)])
    return family, f"{family} ({result.run})", f"{family} ({words})", f"{family} ({result.path})"


def _step(result: Result) -> dict[str, Any]:
    return {"step": result.content.get("step")}


def reference(results: Sequence[Result], space: str, metric: str, kind: str):
    """The floor or ceiling of a group: that of the first result which has one."""
    values = (result.value(space, metric, kind) for result in results)
    return next((value for value in values if value), None)


def references_differ(results: Sequence[Result], space: str, metric: str, kind: str) -> bool:
    """Whether the results hold several floors (ceilings): of other real images, by another seed."""
    values = [result.value(space, metric, kind) for result in results]
    return len({round(value.value, 9) for value in values if value}) > 1


def describe(results: Sequence[Result], space: str = "") -> str:
    """Dataset, size, n and features in words, for captions."""
    first = results[0]
    words = f"{describe_images(first)}; n = {first.n[0]:,} generated and {first.n[1]:,} real images{first.owners}"
    words += f" of the {first.split} split" if first.split else ""
    network = next((result.features[space] for result in results if space in result.features), None)
    if network:
        digest = network.get("weights_sha256") or ""
        words += f"; features of {space}" + (f" (weights {digest[:8]}" if digest else " (no weights")
        words += f", resize {network.get('resize') or 'unknown'})"
    return words


def describe_images(result: Result) -> str:
    """Dataset and size in words."""
    height, width, channels = result.content["image_shape"]
    return f"{result.content['dataset']}, {height}x{width} pixels, {channels} channel{'s' if channels > 1 else ''}"


def devices(results: Sequence[Result]) -> str:
    """The device in words; which run on which, where there are several."""
    names = {result.device for result in results}
    if len(names) == 1:
        return names.pop()
    return "; ".join(
        f"{', '.join(text for text, r in zip(labels(results), results, strict=True) if r.device == name)}: {name}"
        for name in sorted(names)
    )
