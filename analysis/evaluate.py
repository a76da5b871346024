"""python -m analysis.evaluate --run RUN [--n 1000] [--split test] [--out results] [--guidance 1 ...]

Scores a run's samples: KID on EfficientNet-Lite0 features against real images of a split, with its 95 % interval, and
beside it the same of real training images (the floor: what a perfect generator would score); and whether requested
findings are seen by a classifier of real images. Writes one result file, OUT/STUDY/NAME.json.
"""

import argparse
import dataclasses
import sys
import time
from typing import Any

import numpy as np

from analysis.options import add_result, add_sampling, result_path, sampling_changes
from data import UserError
from train.cli import guarded


def main(argv: list[str] | None = None) -> int:
    """Evaluates a run; returns the exit status."""
    args = parse(argv)
    from analysis.run import load
    from train.rundir import write_json

    run = load(args.run, args.checkpoint)
    if not hasattr(run.family, "sample"):
        raise UserError(f"{args.run} is a segmenter; use python -m analysis.segment")
    options = run.sample_options(**sampling_changes(args))
    result = evaluate(run, open_data(run, args.data_dir), options, args.n, args.split, args.seed)
    path = result_path(args, run)
    write_json(path, result | {"command": ["python -m analysis.evaluate", *(argv or sys.argv[1:])]})
    for name, words in (("kid", "generated"), ("floor", "real, training split")):
        value = result[name]
        print(f"{words}: KID {value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}], n = {value['n']}")
    for name, rows in result["label_fidelity"].items():
        words = [f"{kind} {row['auroc']:.3f}" for kind, row in rows.items() if row]
        print(f"{name}: AUROC of a classifier on {', '.join(words)}" if words else f"{name}: too few cases")
    print(path)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.evaluate", description=__doc__.split("\n\n")[1])
    add_result(parser)
    parser.add_argument("--n", type=int, default=1000, help="images drawn, and real ones taken at most")
    parser.add_argument("--split", default="test", choices=["val", "test"], help="real images to compare with")
    add_sampling(parser)
    args = parser.parse_args(argv)
    if args.n < 10:
        raise UserError("--n must be at least 10")
    return args


def evaluate(run, dataset, options: dict[str, Any], n: int, split: str, seed: int) -> dict[str, Any]:
    """The result file's content.

    Args:
      run: what `analysis.load` gives.
      dataset: what the run was trained on.
      options: fields of `config.sample`.
      n: images drawn; as many real ones at most.

    Raises:
      UserError: the split has too few images.
    """
    from analysis.features import efficientnet_lite0
    from analysis.labels import draw_labels
    from analysis.metrics.kid import kid
    from analysis.sampling import Sampler
    from train.rundir import device_name, git_revision

    extract = efficientnet_lite0.extractor()
    from analysis.label_fidelity import label_fidelity

    real = extract(real_images(dataset, split, n, seed))
    floor = extract(real_images(dataset, "train", n, seed + 1))
    begun = time.monotonic()
    labels = draw_labels(run.train_labels, n, seed)
    images = Sampler(run.family, options, run.info.bits).draw(run.state, labels, seed)
    seconds = time.monotonic() - begun
    return {
        "run": run.folder.resolve().name,
        "family": run.config.model.family,
        "dataset": run.info.name,
        "image_shape": run.info.image_shape,
        "step": run.step,
        "images_trained": run.step * run.config.train.batch_size,
        "parameters": run.parameters,
        "sampling": options | {"seed": seed, "images_per_second": n / seconds},
        "features": efficientnet_lite0.NAME,
        "split": split,
        "kid": dataclasses.asdict(kid(extract(images), real)),
        "floor": dataclasses.asdict(kid(floor, real)),
        "label_fidelity": label_fidelity(dataset, images, labels, split, seed) if run.info.classes else {},
        "device": device_name(),
        "git": git_revision(),
    }


def real_images(dataset, split: str, n: int, seed: int) -> np.ndarray:
    """At most n stored images of a split, drawn without replacement.

    Raises:
      UserError: no such split, or too few images in it.
    """
    if dataset.info.sizes.get(split, 0) < 10:
        sizes = ", ".join(f"{name} {size}" for name, size in dataset.info.sizes.items())
        raise UserError(f"--split {split}: at least 10 images are needed; {dataset.info.name} has {sizes}")
    images = dataset.arrays(split)["image"]
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(images))
    return np.asarray(images[np.sort(order[:n])])


def open_data(run, folder: str | None):
    """The dataset that a run was trained on, found at `folder` where one is given."""
    from data import DataOptions
    from data import load as load_data

    options = run.config.data.to_dict() | ({"dir": folder} if folder else {})
    return load_data(DataOptions(**options))


if __name__ == "__main__":
    guarded(main)
