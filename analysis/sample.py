"""python -m analysis.sample --run RUN --n 64 [--label pneumonia] [--sampler dpmpp --steps 20 --guidance 2] --out DIR

Writes n PNGs, a grid and samples.npz, each marked as synthetic. Of a VAE, `--latent interpolation` draws what lies
between the codes of test images, and `--latent traversal` what a unit of the code does. With `--privacy-filter` an
image that is closer to a training image than real images of the other splits are is dropped, and drawn again.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis import codes
from analysis.options import add_sampling, sampling_changes
from data import UserError
from train.cli import guarded


def main(argv: list[str] | None = None) -> int:
    """Draws images from a run; returns the exit status."""
    args = parse(argv)
    from analysis.labels import caption
    from analysis.run import load

    run = load(args.run, args.checkpoint)
    if not hasattr(run.family, "sample"):
        raise UserError(f"{args.run}: a segmenter draws masks of images; use python -m analysis.segment")
    options = run.sample_options(**sampling_changes(args))
    facts = {"run": str(run.folder.name), "step": run.step, "seed": args.seed, "options": options,
             "dataset": run.info.name, "label_names": run.info.labels, "latent": args.latent,
             "data": {"fingerprint": run.info.fingerprint, "fraction": run.config.data.fraction}}  # fmt: skip
    if args.latent:
        images, labels, captions = _walk(args, run)
    else:
        labels = _labels(args, run)
        images, privacy = _draw(run, options, labels, args)
        captions, facts = [caption(label, run.info) for label in labels], facts | privacy
    write(Path(args.out), images, labels, captions, facts, codes.STEPS if args.latent else 0)
    if args.privacy_filter:
        of_draws, of_real = facts["privacy_filter"]["rejected"], facts["privacy_filter"]["expected"]
        print(f"privacy filter: {of_draws['value']:.3f} [{of_draws['low']:.3f}, {of_draws['high']:.3f}] of "
              f"{of_draws['n'][0]} draws rejected; of unseen real images {of_real:.3f} would be")  # fmt: skip
    print(f"{len(images)} synthetic images: {Path(args.out) / 'grid.png'}")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.sample", description=__doc__.split("\n\n")[1])
    parser.add_argument("--run", required=True, help="run directory")
    parser.add_argument("--n", type=int, default=64, help="number of images")
    parser.add_argument("--label", help="findings, comma-separated; default: drawn as in the training split")
    parser.add_argument("--out", required=True, help="folder to write, new or empty")
    parser.add_argument("--seed", type=int, default=0, help="image i of a seed is always the same")
    parser.add_argument("--checkpoint", default="", help="latest, best, a step, or a duration kept by the config")
    parser.add_argument("--batch", type=int, default=64, help="images drawn at once; no image depends on it")
    parser.add_argument("--latent", choices=codes.WALKS, help="of a VAE: a walk through its codes, instead of samples")
    parser.add_argument("--privacy-filter", metavar="SPACE", nargs="?", const="pixels_32",
                        help="drop copies of training images, by these features; default %(const)s")  # fmt: skip
    parser.add_argument("--data-dir", help="of --latent, --privacy-filter: where the dataset is now, if moved")
    add_sampling(parser)
    args = parser.parse_args(argv)
    if args.n < 1 or args.batch < 1:
        raise UserError("--n and --batch must be at least 1")
    if args.latent and args.privacy_filter:
        raise UserError("--privacy-filter is of samples; leave it out with --latent")
    return args


def write(
    out: Path, images: np.ndarray, labels: np.ndarray, captions: Sequence[str], facts: dict, columns: int = 0
) -> None:
    """Writes PNGs, grid.png and samples.npz into `out`, all or nothing.

    Args:
      images: [n, h, w, c] of uint8 or uint16.
      labels: [n, k].
      captions: a line under each image of the grid.
      facts: JSON values that go into every file's metadata.
      columns: of the grid; 0 makes it about square.

    Raises:
      UserError: `out` is there and not empty.
    """
    from analysis.grid import SYNTHETIC, make_grid, save_png

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty; give --out another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        for index, image in enumerate(images):
            label = [round(float(v), 3) for v in labels[index]]
            save_png(temporary / f"{index:06d}.png", image, {"facts": json.dumps(facts | {"label": label})})
        save_png(temporary / "grid.png", make_grid(images, columns, captions=captions), {"facts": json.dumps(facts)})
        np.savez(
            temporary / "samples.npz", images=images, labels=labels, synthetic=np.array(SYNTHETIC),
            facts=np.array(json.dumps(facts)),
        )  # fmt: skip
        os.chmod(temporary, 0o755)
        if out.exists():
            out.rmdir()
        os.replace(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _walk(args, run) -> tuple[np.ndarray, np.ndarray, list[str]]:
    from analysis.evaluation.sets import open_data

    if not hasattr(run.family, "codes"):
        raise UserError(f"{args.run}: the family {run.config.model.family!r} has no code, --latent needs a VAE's")
    read = codes.read_codes(run, open_data(run, args.data_dir), "test", 256)
    return getattr(codes, args.latent)(run, read)


def _labels(args, run) -> np.ndarray:
    from analysis.labels import draw_labels, fill_open, label_of_names

    if args.label is None:
        return draw_labels(run.train_labels, args.n, args.seed)
    asked = np.tile(label_of_names(args.label, run.info), (args.n, 1))
    return fill_open(asked, run.train_labels, args.seed)


def _draw(run, options, labels, args) -> tuple[np.ndarray, dict]:
    """Images [n, h, w, c], and the facts of the privacy filter where there is one."""
    from rich.console import Console
    from rich.progress import Progress

    from analysis.sampling import Sampler

    sampler = Sampler(run.family, options, run.info.bits, args.batch)
    keep = _privacy_filter(args, run) if args.privacy_filter else None
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("sampling", total=len(labels))
        if keep is None:
            report = lambda done: bar.update(task, completed=done)  # noqa: E731
            return sampler.draw(run.state, labels, args.seed, report=report), {}
        from analysis.memorisation.filter import draw_filtered

        draw = lambda part, first: sampler.draw(run.state, part, args.seed, first)  # noqa: E731
        report = lambda passed: bar.update(task, completed=passed)  # noqa: E731
        found = draw_filtered(draw, keep, labels, args.batch, report)
    return found.images, {"privacy_filter": keep.describe() | found.describe(run.info.classes)}


def _privacy_filter(args, run):
    """The filter, whose space takes its features from beside the prepared data."""
    from analysis.evaluation.sets import open_data
    from analysis.memorisation.filter import build_filter
    from analysis.memorisation.spaces import build_networks
    from analysis.memorisation.unseen import seen_images, unseen_images

    dataset = open_data(run, args.data_dir)
    network = build_networks(args.privacy_filter, run.config.data.cache, dataset)[0]
    return build_filter(network, seen_images(run, dataset), unseen_images(dataset))


if __name__ == "__main__":
    guarded(main)
