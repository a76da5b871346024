"""Results of one trained model that differ in how it was sampled, and in nothing else."""

import json
from collections.abc import Sequence

from analysis.comparison.result_files import Result


def sweeps(results: Sequence[Result], fields: Sequence[str]) -> list[list[Result]]:
    """Groups of two results or more that differ in these sampling options only, and in the first of them at least.

    Each in the order of the first option; of two results with equal options the first.
    """
    groups: dict[tuple, dict[tuple, Result]] = {}
    for result in results:
        rest = {key: value for key, value in result.options.items() if key not in fields}
        point = tuple(result.options.get(field) for field in fields)
        if point[0] is not None:
            groups.setdefault((result.training, json.dumps(rest, sort_keys=True)), {}).setdefault(point, result)
    return [
        sorted(group.values(), key=lambda result: result.options[fields[0]])
        for group in groups.values()
        if len({point[0] for point in group}) > 1
    ]
