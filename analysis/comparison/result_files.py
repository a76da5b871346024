"""Result files of analysis.evaluate, read for tables and figures."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data import UserError
from train.plain_json import finite

NEEDED = ("run", "family", "dataset", "image_shape", "metrics")
FAMILIES = ("gan", "vae", "ddpm", "flow")  # in this order everywhere; others follow
MEASURED = ("seconds", "images_per_second")  # of `sampling`: what came of it, where the rest is how it was done


@dataclasses.dataclass(frozen=True)
class Value:
    """A number with its 95 % interval (None where there is no honest one) and the numbers of images behind it."""

    value: float
    low: float | None = None
    high: float | None = None
    n: tuple[int, ...] = ()
    singular: bool = False  # no more images than features: mostly bias

    @property
    def has_interval(self) -> bool:
        return self.low is not None and self.high is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """One result file; `content` is what it holds, with null in the place of NaN and Infinity."""

    path: Path
    content: dict[str, Any]

    @property
    def run(self) -> str:
        return self.content["run"]

    @property
    def family(self) -> str:
        return self.content["family"]

    @property
    def sampling(self) -> dict[str, Any]:
        return self.content.get("sampling") or {}

    @property
    def options(self) -> dict[str, Any]:
        """How the images were sampled, without what was measured of it."""
        return {key: value for key, value in self.sampling.items() if key not in MEASURED}

    @property
    def device(self) -> str:
        return self.content.get("device") or "unknown device"

    @property
    def split(self) -> str:
        return (self.content.get("real") or {}).get("split") or ""

    @property
    def n(self) -> tuple[int, int]:
        """Numbers of generated and of real images; 0 where the file does not say."""
        return self.sampling.get("n") or 0, (self.content.get("real") or {}).get("n") or 0

    @property
    def owners(self) -> str:
        """Whose images the real ones are, see `owner_words`."""
        return owner_words(self.content.get("real") or {})

    @property
    def features(self) -> dict[str, dict[str, str]]:
        return self.content.get("features") or {}

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        return self.content.get("label_fidelity") or {}

    @property
    def training(self) -> tuple:
        """Which trained model was evaluated: of the same one several files differ in how it was sampled."""
        return self.family, self.run, self.content.get("step"), self.content.get("parameters")

    def metrics(self, space: str) -> dict[str, dict[str, Any]]:
        """{metric: {"generated", "floor", ...}} in a feature network's space, or in "images"."""
        return self.content["metrics"].get(space) or {}

    def value(self, space: str, metric: str, kind: str = "generated") -> Value | None:
        """A metric's value of a kind: generated, generated_at_floor_n, floor, ceiling; None where it is missing."""
        return to_value((self.metrics(space).get(metric) or {}).get(kind))

    def better(self, space: str, metric: str) -> str:
        """lower, higher or closer (to the floor); "" where the file does not say."""
        return (self.metrics(space).get(metric) or {}).get("better") or ""

    @property
    def bits_per_dim(self) -> Value | None:
        return to_value((self.content.get("likelihood") or {}).get("bits_per_dim"))

    def auroc(self, finding: str, kind: str) -> Value | None:
        """How well a classifier tells a finding in "real" images or in "samples"."""
        row = (self.findings.get(finding) or {}).get(kind)
        if not row:
            return None
        low, high = row.get("interval") or (None, None)
        return to_value({"value": row.get("auroc"), "low": low, "high": high, "n": row.get("n")})


def owner_words(real: dict[str, Any]) -> str:
    """In words, as " of 49 patients"; "" where each of the `real` images is of another, or a file does not say."""
    several = real.get("groups", real.get("n")) != real.get("n")
    return f" of {real['groups']:,} {real['groups_are']}" if several else ""


def to_value(row: dict[str, Any] | None) -> Value | None:
    """A `Value` of a file's {"value", "low", "high", "n", ...}."""
    if not row or row.get("value") is None:
        return None
    n = row.get("n") or ()
    counts = tuple(n) if isinstance(n, (list, tuple)) else (n,)
    return Value(row["value"], row.get("low"), row.get("high"), counts, bool(row.get("singular")))


def read_results(paths: Iterable[str | Path]) -> tuple[list[Result], list[Path]]:
    """(the results in the order of `sort_key`, JSON files of folders that hold something else).

    Args:
      paths: result files, or folders that are searched with all their subfolders.

    Raises:
      UserError: a file that is missing, damaged or no result of analysis.evaluate; or no result at all.
    """
    found: dict[Path, Result] = {}
    others: list[Path] = []
    paths = [Path(path) for path in paths]
    for path in paths:
        for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
            content = _read(file)
            lacking = _lacking(content)
            if lacking and path.is_dir():
                others.append(file)
            elif lacking:
                raise UserError(f"{file} lacks {lacking[0]!r}: it is no result of python -m analysis.evaluate, or of "
                                "an older one; evaluate the run again")  # fmt: skip
            else:
                found[file.resolve()] = Result(file, content)
    if not found:
        raise UserError(
            f"{', '.join(map(str, paths))}: no results of python -m analysis.evaluate among {len(others)} JSON files; "
            "those of an older version do not count: evaluate the runs again"
        )
    return sorted(found.values(), key=sort_key), others


def is_result(content: dict[str, Any]) -> bool:
    """Whether a JSON file holds a result of analysis.evaluate."""
    return not _lacking(content)


def _lacking(content: dict[str, Any]) -> list[str]:
    return [key for key in NEEDED if key not in content]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}); evaluate the run again") from error
    return finite(content) if isinstance(content, dict) else {}


def sort_key(result: Result) -> tuple:
    """Families in their fixed order, then runs by name and their samplings."""
    place = FAMILIES.index(result.family) if result.family in FAMILIES else len(FAMILIES)
    options = result.options
    numbers = [options.get(name) or 0 for name in ("steps", "guidance")]
    return place, result.family, result.run, str(options.get("sampler", "")), *numbers, str(result.path)


def one_a_run(results: Sequence[Result]) -> list[Result]:
    """One result of each trained model: that in the file named after the run, or else the first by its file's name.

    Never the best: of many samplings one would be best by chance.
    """
    chosen: dict[tuple, Result] = {}
    for result in sorted(results, key=lambda r: (r.path.stem != r.run, str(r.path))):
        chosen.setdefault(result.training, result)
    return [result for result in results if chosen[result.training] is result]
