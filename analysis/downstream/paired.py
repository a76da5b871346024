"""python -m analysis.downstream.paired --a MIXED_0.json [...] --b DUPLICATED_0.json [...] [--out FILE.json]

What one arm gains over another on the same test patients: every metric of a less that of b, with a 95 % interval from
draws of the patients that both arms share. Several files of an arm are its seeds, in the same order for both: the
interval is then of patients and seeds, with one file of the patients alone.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from analysis.downstream import seeds
from analysis.downstream.measures import ALL
from analysis.downstream.predictions import Predictions, load
from data import UserError
from train.cli import guarded

ALIKE = ("dataset", "image_shape", "classes", "test")
ARM = ("arm", "ratio", "fraction")


def main(argv: list[str] | None = None) -> int:
    """Compares; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse(argv)
    from train.rundir import git_revision, write_json

    a, b = ([_read(Path(path)) for path in paths] for paths in (args.a, args.b))
    check([result for result, _ in a], [result for result, _ in b])
    sides = [[predictions for _, predictions in side] for side in (a, b)]
    found = compare(*sides, args.resamples)
    facts = {side: _facts(held) for side, held in (("a", a), ("b", b))}
    for metric, row in found[ALL].items():
        print(f"{metric:<18}{row['a']['value']:.3f} - {row['b']['value']:.3f} = {row['difference']['value']:+.3f} "
              f"[{row['difference']['low']:+.3f}, {row['difference']['high']:+.3f}]")  # fmt: skip
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        command = ["python -m analysis.downstream.paired", *argv]
        write_json(Path(args.out), facts | {"metrics": found, "command": command, "git": git_revision()})
        print(args.out)
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.downstream.paired", description=__doc__.split("\n\n")[1])
    parser.add_argument("--a", nargs="+", required=True, help="result files of one arm, one a seed")
    parser.add_argument("--b", nargs="+", required=True, help="and of the other")
    parser.add_argument("--out", help="file of the result; default: printed only")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    args = parser.parse_args(argv)
    if args.resamples < 20:
        raise UserError("--resamples must be at least 20")
    return args


def _read(path: Path) -> tuple[dict[str, Any], Predictions]:
    from train.rundir import read_json

    try:
        result = read_json(path)
        return result, load(path.parent / result["scores"])
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is no result of python -m analysis.downstream ({error})") from error


def check(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> None:
    """Raises UserError where two results differ in more than the arm and the seed, or two of a side in the arm."""
    first = a[0]
    for result in [*a, *b]:
        differ = [key for key in ALIKE if result[key] != first[key]]
        settings = result["settings"] | {"seed": first["settings"]["seed"]}
        differ += [key for key in settings if settings[key] != first["settings"][key]]
        if differ:
            raise UserError(f"results differ in {', '.join(differ)}: compare arms that differ in their images alone")
    for option, side in (("--a", a), ("--b", b)):
        arms = {tuple(result[key] for key in ARM) for result in side}
        if len(arms) > 1 or len({result["settings"]["seed"] for result in side}) < len(side):
            raise UserError(f"{option}: the files of one side are one arm, each of another seed")
    if [result["settings"]["seed"] for result in a] != [result["settings"]["seed"] for result in b]:
        raise UserError("--a and --b: give both the same seeds, in the same order, as they are compared by pairs")


def compare(a: list[Predictions], b: list[Predictions], resamples: int) -> dict[str, Any]:
    """{"all" or class: {metric: {"a", "b", "difference"}}} of two arms' seeds, each {"value", "low", "high"}.

    Raises:
      UserError: predictions of other images, or of other patients.
    """
    if any(p.truth_sha256() != a[0].truth_sha256() or (p.group != a[0].group).any() for p in [*a, *b]):
        raise UserError("the predictions are of other test images: compare arms tested on the same")
    sides = [seeds.measured(side, resamples) for side in (a, b)]
    found = {"a": seeds.mean(sides[0]), "b": seeds.mean(sides[1]), "difference": seeds.difference(*sides)}
    return {name: {metric: {part: rows[name][metric] for part, rows in found.items()} for metric in metrics}
            for name, metrics in found["a"].items()}  # fmt: skip


def _facts(held: list[tuple[dict[str, Any], Predictions]]) -> dict[str, Any]:
    """Which arm it is, and {seed: {metric: value}} of all classes together."""
    values = {str(result["settings"]["seed"]): {metric: row["value"] for metric, row in result["metrics"][ALL].items()}
             for result, _ in held}  # fmt: skip
    return {key: held[0][0][key] for key in ARM} | {"seeds": values}


if __name__ == "__main__":
    guarded(main)
