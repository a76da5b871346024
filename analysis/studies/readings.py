"""What studies take from the result files of analysis.evaluate and from finished trainings."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ml_collections

from analysis.studies import pairs

METRICS = ("kid", "fd_infinity", "precision", "recall")
COUNTED = ("precision", "recall")  # of which values of different numbers of images are not comparable
IMAGES = ("spectrum",)  # of the images themselves, which tells blur and grain that a network's features overlook
_ALIKE = "generated_at_floor_n"


def scored(
    config: ml_collections.ConfigDict,
    path: Path,
    facts: dict[str, Any],
    more: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> pairs.Scored | None:
    """A result file as a row: `facts`, step, seconds of training, metrics, and what `more` takes; None if missing."""
    if not path.exists():
        return None
    result = json.loads(path.read_text())
    facts = facts | {"step": result["step"], "seconds": result["train_seconds"]} | metrics(config, result)
    row = pairs.read(facts, path.with_suffix(".npz"))  # first, since it refuses results of before
    return dataclasses.replace(row, facts=row.facts | more(result)) if more else row


def metrics(config: ml_collections.ConfigDict, result: dict[str, Any]) -> dict[str, Any]:
    """METRICS of the generated images in the study's first space, and IMAGES, each {"value", "low", "high"}.

    One of fewer images than features is left out: it is mostly bias. Precision and recall depend on how many images
    there are, and are taken of as many as their floor has.
    """
    rows = result["metrics"][space(config)]
    known = [name for name in METRICS if name in rows and not rows[name]["generated"].get("singular")]
    which = {name: _ALIKE if name in COUNTED and _ALIKE in rows[name] else "generated" for name in known}
    found = {name: estimate(rows[name][which[name]]) for name in known}
    return found | {name: estimate(row["generated"]) for name, row in _of_images(result).items()}


def _of_images(result: dict[str, Any]) -> dict[str, Any]:
    rows = result["metrics"].get("images", {})
    return {name: rows[name] for name in IMAGES if name in rows}


def limits(name: str) -> tuple[float, float] | None:
    """Least and greatest value of a metric that is a share, or a distance of spectra."""
    return (0.0, 1.0) if name in COUNTED else (0.0, float("inf")) if name in IMAGES else None


def space(config: ml_collections.ConfigDict) -> str:
    """The feature network that the study reads."""
    return config.evaluate.features.partition(",")[0]


def estimate(row: dict[str, Any]) -> dict[str, Any]:
    """{"value", "low", "high"} of a number in a result file."""
    return {key: row.get(key) for key in ("value", "low", "high")}


def references(config: ml_collections.ConfigDict, path: Path) -> dict[str, Any]:
    """What was measured, and floor and ceiling of KID, of a result file; {} where it is missing."""
    if not path.exists():
        return {}
    result = json.loads(path.read_text())
    rows = result["metrics"][space(config)]
    facts = {key: result[key] for key in ("dataset", "image_shape", "data", "features", "real")}
    facts |= {"n": config.evaluate.n, "floor": rows["kid"].get("floor"), "ceiling": rows["kid"].get("ceiling")}
    rows = rows | _of_images(result)
    bounds = {
        name: {metric: estimate(rows[metric][bound]) for metric in metrics(config, result) if bound in rows[metric]}
        for name, bound in (("floors", "floor"), ("ceilings", "ceiling"))
    }
    return facts | bounds


def references_of_fractions(config: ml_collections.ConfigDict, ends: Iterable[tuple[float, Path]]) -> dict[str, Any]:
    """The same of runs on several fractions of the data: {"floor", ..., "ceilings": [{"fraction", "ceiling"}]}.

    The Gaussian of the ceiling is fitted to the fraction; all else is of the largest.
    """
    found: dict[str, Any] = {}
    ceilings = {}
    for fraction, path in sorted(ends, key=lambda end: -end[0]):
        reference = references(config, path)
        if reference and fraction not in ceilings:
            ceilings[fraction] = reference.pop("ceiling")
            found = found or reference
    return found | {"ceilings": [{"fraction": fraction, "ceiling": row} for fraction, row in sorted(ceilings.items())]}


def training_seconds(run: Path) -> float | None:
    """Of a finished training, without compiling; None where it is not finished."""
    path = run / "summary.json"
    return json.loads(path.read_text())["train_seconds"] if path.exists() else None


def strip(path: Path, name: str) -> dict[str, Any]:
    """Of a result file's strip of samples: the file that it is kept as, the size of its images and their labels."""
    result = json.loads(path.read_text())
    return {"file": f"{name}.png", "image_shape": result["image_shape"], "captions": result["grid"]["captions"]}
