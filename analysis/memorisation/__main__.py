"""python -m analysis.memorisation --run RUN --n 500 --out DIR [--features efficientnet_lite0,pixels_32,pixels]

Draws samples of a run and asks whether they, or the run's own scores, give training images away. Writes
DIR/memorisation.json and for each space DIR/closest_SPACE.png, the samples closest to training images beside the
closest of real images that the run has not learned from. Those pictures hold images of the dataset.
"""

import argparse
import sys
from pathlib import Path

from analysis.memorisation.spaces import SPACES, build_networks
from analysis.options import add_sampling, sampling_changes
from data import UserError
from train.cli import guarded


def main(argv: list[str] | None = None) -> int:
    """Audits a run; returns the exit status."""
    args = parse(argv)
    from analysis.evaluation.sets import open_data
    from analysis.labels import draw_labels
    from analysis.memorisation.audit import audit
    from analysis.memorisation.pairs_figure import save_pairs
    from analysis.memorisation.unseen import seen_images, unseen_images
    from analysis.run import load
    from analysis.sampling import Sampler
    from train.rundir import device_name, git_revision, write_json

    run = load(args.run, args.checkpoint)
    if not hasattr(run.family, "sample"):
        raise UserError(f"{args.run} is a segmenter, which draws no images; give a run of a generative family")
    options = run.sample_options(**sampling_changes(args))
    dataset = open_data(run, args.data_dir)
    networks = build_networks(args.features, run.config.data.cache, dataset)
    unseen = unseen_images(dataset, args.seed)  # at once: a dataset too small is told before the samples are drawn
    images = Sampler(run.family, options, run.info.bits).draw(
        run.state, draw_labels(run.train_labels, args.n, args.seed), args.seed
    )
    result, found = audit(run, dataset, images, networks, args.seed)
    train, out = seen_images(run, dataset), Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    facts = {"run": run.folder.resolve().name, "dataset": run.info.name, "step": run.step}
    for name, space in found.items():
        sets = {"sample": (images, space.samples), "unseen": (unseen.check["image"], space.held_out)}
        save_pairs(out / f"closest_{name}.png", sets, train, facts)
    about = {"sampling": options | {"seed": args.seed}, "device": device_name(), "git": git_revision()}
    about["command"] = ["python -m analysis.memorisation", *(argv or sys.argv[1:])]
    write_json(out / "memorisation.json", facts | result | about)
    print("\n".join(report(result)))
    print(out / "memorisation.json")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.memorisation", description=__doc__.split("\n\n")[1])
    parser.add_argument("--run", required=True, help="run directory")
    parser.add_argument("--n", type=int, default=500, help="samples drawn")
    parser.add_argument("--out", required=True, help="folder to write into")
    parser.add_argument("--features", default=SPACES, help="feature networks, or domain, comma-separated")
    parser.add_argument("--data-dir", help="where the dataset lies now, if not where the run found it")
    parser.add_argument("--checkpoint", default="", help="latest, best, a step, or a duration kept by the config")
    parser.add_argument("--seed", type=int, default=0)
    add_sampling(parser)
    args = parser.parse_args(argv)
    if args.n < 2:
        raise UserError("--n must be at least 2")
    return args


def report(result: dict) -> list[str]:
    """The result in lines, for a terminal."""
    lines = []
    for name, space in result["spaces"].items():
        for measure in ("distance", "ratio"):
            part = space[measure]
            shares = [f"{part[kind]['value']:.3f} [{part[kind]['low']:.3f}, {part[kind]['high']:.3f}]"
                      for kind in ("samples", "held_out")]  # fmt: skip
            lines.append(f"{name}, {measure}: too close {shares[0]}, of unseen images {shares[1]}, P {part['p']:.2g}")
    for name, score in (result["membership"] or {}).items():
        auc = score["auc"]
        lines.append(f"membership by {name}: AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]")
    said = ", ".join(result["suspected"])
    lines.append(f"copies suspected by {said}" if said else "no sign of copies in these samples")
    return lines


if __name__ == "__main__":
    guarded(main)
