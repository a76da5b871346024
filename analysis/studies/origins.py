"""Which code, device and data made each run and each score of a study: a resumed one may hold several."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from analysis.studies.job import Job


def collect(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """What is there, together where it was made alike: [{"git", "device", "data", "jobs": names}].

    `data` is the fingerprint of the prepared images, None where a file says none. A training that was resumed stands
    in one entry for each start that differed.
    """
    found: dict[tuple, dict[str, None]] = {}  # names in order, each once
    for job in jobs:
        for origin in _of(job):
            found.setdefault(origin, {})[job.name] = None
    return [
        {"git": git, "device": device, "data": data, "jobs": list(names)}
        for (git, device, data), names in found.items()
    ]


def devices(origins: Iterable[dict[str, Any]]) -> str:
    """All of them, in one line."""
    return "; ".join(sorted({origin["device"] for origin in origins}))


def _of(job: Job) -> Iterator[tuple[str | None, str, str | None]]:
    for path in job.outputs:
        if path.suffix == ".json" and path.exists():
            for start in _starts(path):
                data = start.get("data")
                yield start["git"], start["device"], data["fingerprint"] if isinstance(data, dict) else data


def _starts(path: Path) -> list[dict[str, Any]]:
    """Every start of the training that wrote `path`, or the one command that did; none where the file does not say."""
    provenance = path.parent / "provenance.json"
    if provenance.exists():
        return json.loads(provenance.read_text())
    content = json.loads(path.read_text())
    return [content] if isinstance(content, dict) and {"git", "device"} <= content.keys() else []
