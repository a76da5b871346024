"""python -m analysis.evaluate --run RUN [--run RUN ...] [--n 2048] [--features efficientnet_lite0] [--out results]

Scores runs of any family alike, against the same real images: distances and diversity in feature space with intervals,
and beside each the same between two real sets (the floor) and of a Gaussian fitted to the pixels (the ceiling);
likelihood; whether requested findings are seen; each finding and subgroup apart. Writes OUT/STUDY/NAME.json a run, and
beside it a strip of samples and NAME_worst.png, those farthest from all real images. --vary steps=5,10,20 repeats it
for each value, --vary checkpoint=500,1000 for each of a run's kept checkpoints. --real DIR --fake DIR scores any two
folders of images.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.evaluation.ground import Settings
from analysis.options import FIELDS, add_result, add_sampling, result_path, sampling_changes
from data import UserError
from train.cli import guarded

SHOWN = ("kid", "fd_infinity", "precision", "recall", "density", "coverage", "ms_ssim", "spectrum")
# Of runs that differ in how they are sampled, what depends on it and is worth its time at every point.
VARIED = ("findings",)


def main(argv: list[str] | None = None) -> int:
    """Evaluates; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse(argv)
    command = {"command": ["python -m analysis.evaluate", *argv]}
    if args.fake:
        _folders(args, command)
        return 0
    grounds: dict[str, Any] = {}
    for folder in args.run:
        _run(folder, args, grounds, command)
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    from analysis.evaluation.result import PARTS

    parser = argparse.ArgumentParser(prog="python -m analysis.evaluate", description=__doc__.split("\n\n")[1])
    add_result(parser, several=True)
    parser.add_argument("--real", help="folder of real images, instead of runs")
    parser.add_argument("--fake", help="folder of images to score against them")
    parser.add_argument("--n", type=int, default=2048, help="images drawn, and real ones taken at most")
    parser.add_argument("--split", default="test", choices=["val", "test"], help="real images to compare with")
    parser.add_argument("--features", default="efficientnet_lite0", help="feature networks, comma-separated")
    parser.add_argument("--resize", default="", help="of Inception: clean, legacy-tensorflow, legacy-pytorch")
    parser.add_argument("--parts", help=f"beside the metrics, comma-separated; all: {','.join(PARTS)}; none: ''")
    parser.add_argument("--vary", action="append", default=[], help="FIELD=VALUE,VALUE,...: all of them in turn")
    parser.add_argument("--likelihood-n", type=int, default=100, help="real images whose likelihood is computed")
    parser.add_argument("--influence", action="store_true", help="write KID's influence values too, NAME.npz")
    parser.add_argument("--segmenter", default="", help="run of a segmenter, for the anatomy of what is drawn")
    parser.add_argument("--feature-cache", default=".cache/features", help="folder of computed features; '' keeps none")
    add_sampling(parser)
    args = parser.parse_args(argv)
    _check(args, tuple(PARTS))
    return args


def _check(args: argparse.Namespace, known: tuple[str, ...]) -> None:
    if bool(args.real) != bool(args.fake) or bool(args.run) == bool(args.fake):
        raise UserError("give --run RUN (once or more), or --real DIR and --fake DIR")
    if args.n < 10 or args.likelihood_n < 2:
        raise UserError("--n must be at least 10 and --likelihood-n at least 2")
    if args.name and len(args.run or ()) > 1:
        raise UserError("--name is of one result file, and several runs are given; leave it out")
    names = [Path(folder).resolve().name for folder in args.run]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"several runs are called {twice[0]}, and so would be their result files: give each its own "
                        "command and --name")  # fmt: skip
    args.grid = [_values(text) for text in args.vary]
    args.checkpoints = [value for values in args.grid for name, value in values if name == "checkpoint"]
    args.grid = [values for values in args.grid if values[0][0] != "checkpoint"]
    if args.checkpoint and args.checkpoints:
        raise UserError("--checkpoint and --vary checkpoint=... are both given; leave one out")
    if args.influence and (args.fake or not args.features):
        raise UserError("--influence is of runs, in the space of the first of --features")
    default = VARIED if args.vary else known
    args.parts = default if args.parts is None else tuple(part for part in args.parts.split(",") if part)
    unknown = [part for part in args.parts if part not in known]
    if unknown:
        raise UserError(f"--parts {','.join(unknown)}: unknown; known: {', '.join(known)}")


def _values(text: str) -> list[tuple[str, Any]]:
    """[(field, value), ...] of one --vary."""
    name, _, values = text.partition("=")
    known = {name: kind for name, (kind, _) in FIELDS.items()} | {"checkpoint": str}
    if name not in known or not values:
        raise UserError(f"--vary {text}: FIELD=VALUE,VALUE,... is needed, FIELD one of {', '.join(known)}")
    try:
        return [(name, known[name](value)) for value in values.split(",")]
    except ValueError as error:
        raise UserError(f"--vary {text}: {error}") from error


def _settings(args: argparse.Namespace) -> Settings:
    return Settings(
        args.n, args.split, args.seed, args.parts, args.likelihood_n, tuple(filter(None, args.features.split(","))),
        args.resize, args.feature_cache, args.segmenter,
    )  # fmt: skip


def _run(folder: str, args: argparse.Namespace, grounds: dict[str, Any], command: dict[str, Any]) -> None:
    for name in args.checkpoints or [args.checkpoint]:
        _checkpoint(folder, name, args, grounds, command)


def _checkpoint(
    folder: str, name: str, args: argparse.Namespace, grounds: dict[str, Any], command: dict[str, Any]
) -> None:
    from analysis.domain.store import share
    from analysis.evaluation.ground import lay
    from analysis.evaluation.result import evaluate
    from analysis.evaluation.sets import open_data
    from analysis.run import load

    run = load(folder, name)
    if not hasattr(run.family, "sample"):
        raise UserError(f"{folder} is a segmenter; use python -m analysis.segment")
    points = list(_points(run, args))
    dataset = open_data(run, args.data_dir)
    readers = [Path(args.feature_cache), run.folder / "domain"] if args.feature_cache else []
    share(dataset.info.fingerprint, *readers)
    ground = grounds.get(dataset.info.fingerprint) or lay(dataset, _settings(args))
    grounds[dataset.info.fingerprint] = ground
    kept = f"_checkpoint_{name}" if args.checkpoints else ""
    for ending, options in points:
        result, generated = evaluate(run, ground, options)
        path = result_path(args, run)
        path = path.with_name(f"{path.stem}{kept}{ending}.json")
        if args.influence:
            _write_influence(path.with_suffix(".npz"), generated, ground.real)
        _write(path, result | command, generated, ground, run)
    share(dataset.info.fingerprint, *readers)


def _write_influence(path: Path, generated, real) -> None:
    """KID's influence values for intervals over several results: see kid_influence.

    "generated" [n] and "real" [m], and whose images the real ones are, "real_groups" int [m] from 0.
    """
    import os

    import numpy as np

    from analysis.metrics.kid import kid_influence

    space = next(iter(generated.features))
    values = kid_influence(generated.features[space], real.features[space], (None, real.groups))
    with open(path.with_suffix(".tmp"), "wb") as file:
        of_drawn, of_real = (part.astype(np.float32) for part in values)
        np.savez_compressed(file, generated=of_drawn, real=of_real, real_groups=real.groups)
    os.replace(path.with_suffix(".tmp"), path)


def _points(run, args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what is added to the file's name, sampling options) of all combinations of --vary."""
    changes = sampling_changes(args)
    for values in itertools.product(*args.grid):
        yield "".join(f"_{name}_{value}" for name, value in values), run.sample_options(**(changes | dict(values)))


def _write(path: Path, result: dict[str, Any], generated, ground, run) -> None:
    from analysis.evaluation.strip import write_strip, write_worst
    from train.rundir import device_name, git_revision, write_json

    result["grid"] = write_strip(path.with_suffix(".png"), generated, run)
    if generated.features:
        worst = path.with_name(f"{path.stem}_worst.png")
        result["worst"] = write_worst(worst, generated, ground.features(), run)
    write_json(path, result | {"device": device_name(), "git": git_revision()})
    show(result, path)


def _folders(args: argparse.Namespace, command: dict[str, Any]) -> None:
    from analysis.evaluation.folders import compare_folders
    from train.rundir import device_name, git_revision, write_json

    result = compare_folders(args.real, args.fake, _settings(args))
    name, study = args.name or Path(args.fake).resolve().name, args.study or f"{Path(args.real).resolve().name}_folder"
    path = Path(args.out) / study / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result | command | {"device": device_name(), "git": git_revision()})
    show(result, path)


def show(result: dict[str, Any], path: Path) -> None:
    """Prints the metrics that lead, one a line, beside their floor and ceiling."""
    real = result["real"]["n"]
    print(f"{result['run']}: {result['sampling']['n']} generated beside {real} real images")
    for space, rows in result["metrics"].items():
        print(f"{space:<22}{'generated':<30}{'real (floor)':<30}Gaussian (ceiling)")
        for name in (name for name in SHOWN if name in rows):
            cells = [_cell(rows[name].get(kind)) for kind in ("generated", "floor", "ceiling")]
            print(f"  {name:<20}" + "".join(f"{cell:<30}" for cell in cells).rstrip())
    likelihood = result.get("likelihood")
    if likelihood:
        print(f"bits/dim {_cell(likelihood['bits_per_dim'])} ({likelihood['kind']})")
    for name, row in (result.get("label_fidelity") or {}).items():
        words = [f"{kind} {value['auroc']:.3f}" for kind, value in row.items() if value]
        print(f"{name}: AUROC of a classifier on {', '.join(words)}" if words else f"{name}: too few cases")
    print(path)


def _cell(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return ""
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.4g}, {estimate['high']:.4g}]"
    return f"{estimate['value']:.4g}{interval}{' (n <= d)' if estimate.get('singular') else ''}"


if __name__ == "__main__":
    guarded(main)
