"""All numbers of comparable results in full, for a table that a program reads."""

from collections.abc import Sequence
from typing import Any

from analysis.comparison.comparable import Group, reference
from analysis.comparison.result_files import Result
from analysis.comparison.tables import metric_names


def records(group: Group) -> list[dict[str, Any]]:
    """All numbers in full: a row for each result and feature network (and "images"), then the floor and the ceiling.

    Where the floor has another n, results have a second row, "run at the floor's n", of what depends on n.
    """
    rows = []
    for space in (*group.spaces, "images"):
        names = metric_names(group.results, space)
        for result in group.results:
            if result.metrics(space):
                facts = _record(group, result, space)
                rows.append(facts | _numbers(names, lambda n, r=result, s=space: r.value(s, n)))
                small = _numbers(names, lambda n, r=result, s=space: r.value(s, n, "generated_at_floor_n"))
                rows += [facts | {"row": "run at the floor's n"} | small] if small else []
        for kind in ("floor", "ceiling"):
            facts = {"group": group.name, "row": kind, "features": space}
            found = _numbers(names, lambda n, k=kind, s=space: reference(group.results, s, n, k))
            rows += [facts | found] if found else []
    return rows


def _record(group: Group, result: Result, space: str) -> dict[str, Any]:
    content, options = result.content, result.options
    network = result.features.get(space) or {}
    facts = {"group": group.name, "row": "run", "features": space, "weights_sha256": network.get("weights_sha256"),
             "resize": network.get("resize"), "family": result.family, "run": result.run}  # fmt: skip
    facts |= {key: content.get(key) for key in ("step", "parameters", "images_trained", "train_seconds")}
    facts |= {key: options.get(key) for key in ("sampler", "steps", "guidance", "seed")}
    facts |= {"images_per_second": result.sampling.get("images_per_second"), "device": result.device}
    facts |= {"likelihood": (content.get("likelihood") or {}).get("kind"), "file": str(result.path)}
    return facts | _numbers(["bits_per_dim"], lambda _: result.bits_per_dim)


def _numbers(names: Sequence[str], value_of) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        value = value_of(name)
        if value:
            found |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high,
                      f"{name}_n": " ".join(map(str, value.n)), f"{name}_singular": value.singular or None}  # fmt: skip
    return found
