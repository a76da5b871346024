"""Whether the audit and the privacy filter work, shown on leaks that are known to be there.

    python -m analysis.memorisation.leak_check --out results/leak_check --seeds 3 [--runs runs/leak_check]

On the chest radiograph phantom at 32x32, a flow is trained on 50 images, which it learns by heart, and one of the
same size for as many steps on 2,000, for each seed with images of its own. Samples of each are audited. So is the half
leak: samples of the second one, 5 % of them replaced by training images that were changed by a little noise, a shift of
a pixel and brightness. Filters are then put behind both models. Since a model may pass because it is poor, the phantom
itself is audited too, with and without planted copies: see `leak_rates`. Writes OUT/leak_check.json and pictures of the
closest pairs, all of them of the phantom. What is done already is not done again. About 4 minutes a model on one core
of an AMD EPYC that does nothing else.
"""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from analysis.memorisation.spaces import SPACES, build_networks
from analysis.memorisation.unseen import Unseen
from data import UserError
from train.cli import guarded

OVERFITTED, GENERALISING, HALF_LEAK = "overfitted", "generalising", "half_leak"
SAMPLES, LEAKED = 500, 0.05
PERFECT = 20  # sets of samples that the phantom itself draws
PICTURED = "pixels_32"
SHARES = {OVERFITTED: 0.025, GENERALISING: 1.0}  # of the 2,000 training images
OPTIONS = (
    "--config.data.image_size=32", "--config.data.num_images=3000", "--config.data.split=(0.66668,0.16666,0.16666)",
    "--config.model.center=pixels", "--config.model.label_drop=0.0", "--config.model.unet.patch=8",
    "--config.model.unet.multipliers=(1,)", "--config.model.unet.blocks=1", "--config.model.unet.local_channels=16",
    "--config.model.unet.attention=()", "--config.model.unet.mid_attention=False",
    "--config.sample.sampler=euler", "--config.sample.steps=20", "--config.sample.guidance=1.0",
    "--config.optim.net.learning_rate=1e-3", "--config.model.time_mean=0.0", "--config.model.time_std=1.0",
    "--config.train.duration=1500 steps", "--config.eval.every=", "--config.eval.preview_every=",
    "--config.checkpoint.keep_best=0",
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Trains, audits and filters; returns the exit status."""
    args = parse(argv)
    from analysis.memorisation.leak_rates import error_rates
    from train.rundir import git_revision, read_json, write_json

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seeds):
        for kind in SHARES:
            if not (out / f"{kind}_{seed}.json").exists():
                measure(Path(args.runs) / f"{kind}_{seed}", kind, seed, out)
    kinds = (OVERFITTED, HALF_LEAK, GENERALISING)
    results = {kind: [read_json(out / f"{kind}_{seed}.json") for seed in range(args.seeds)] for kind in kinds}
    summary = {kind: summarise(found) for kind, found in results.items()}
    if not (out / "phantom.json").exists():
        write_json(out / "phantom.json", error_rates(PERFECT, plant) | {"git": git_revision()})
    summary["phantom"] = read_json(out / "phantom.json")
    summary["command"] = ["python -m analysis.memorisation.leak_check", *(argv or sys.argv[1:])]
    write_json(out / "leak_check.json", summary)
    for kind in kinds:
        print(f"{kind}: copies suspected in {summary[kind]['suspected']} of {summary[kind]['of']} sets of samples")
    for name in ("fresh", "planted"):
        row = summary["phantom"][name]
        print(f"drawn by the phantom, {name}: copies suspected in {row['value']:.3f} of {row['n'][0]} sets")
    print(out / "leak_check.json")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.memorisation.leak_check", description=__doc__.split("\n\n")[2]
    )
    parser.add_argument("--out", default="results/leak_check", help="folder of the results; what is there is kept")
    parser.add_argument("--seeds", type=int, default=3, help="models of each kind")
    parser.add_argument("--runs", default="runs/leak_check", help="folder of the models")
    args = parser.parse_args(argv)
    if args.seeds < 1:
        raise UserError("--seeds must be at least 1")
    return args


def train(folder: Path, kind: str, seed: int) -> None:
    """`python -m train`, which goes on where it was interrupted."""
    command = [sys.executable, "-m", "train", "--config", "configs/flow_cxr.py", "--workdir", str(folder), *OPTIONS]
    command += [f"--config.data.fraction={SHARES[kind]}", f"--config.data.seed={seed}", f"--config.seed={seed}"]
    if subprocess.run(command).returncode:
        raise UserError(f"{folder}: training failed, see above")


def measure(folder: Path, kind: str, seed: int, out: Path) -> None:
    """Trains a run and writes what is found of it; where it generalises, also of the half leak made of its samples."""
    from analysis.evaluation.sets import open_data
    from analysis.labels import draw_labels
    from analysis.memorisation.unseen import unseen_images
    from analysis.run import load
    from analysis.sampling import Sampler
    from train.rundir import device_name, git_revision, write_json

    train(folder, kind, seed)
    run = load(folder)
    dataset = open_data(run, None)
    unseen, train_images = unseen_images(dataset, seed), dataset.arrays("train")["image"]
    labels = draw_labels(run.train_labels, SAMPLES, seed)
    sets = {kind: Sampler(run.family, run.sample_options(), run.info.bits).draw(run.state, labels, seed)}
    if kind == GENERALISING:
        sets = {HALF_LEAK: plant(sets[kind], train_images, seed)} | sets  # the run's own last: it says that all is done
    about = {"seed": seed, "device": device_name(), "git": git_revision()}
    for name, images in sets.items():
        result = examine(run, dataset, images, unseen, name, seed, out)
        write_json(out / f"{name}_{seed}.json", about | result)


def examine(run, dataset, images: np.ndarray, unseen: Unseen, name: str, seed: int, out: Path) -> dict[str, Any]:
    """The audit of one set of samples, what filters would reject of it, and its closest pairs as a picture."""
    from analysis.memorisation.audit import MEASURES, audit_samples, members
    from analysis.memorisation.filter import build_filter
    from analysis.memorisation.pairs_figure import save_pairs
    from analysis.metrics.shares import share

    networks, train_images = build_networks(SPACES, run.config.data.cache), dataset.arrays("train")["image"]
    result, found = audit_samples(train_images, images, networks, unseen, seed)
    near = found[PICTURED]
    pairs = {"sample": (images, near.samples), "unseen": (unseen.check["image"], near.held_out)}
    save_pairs(out / f"{name}_{seed}.png", pairs, train_images, {"of": name}, synthetic=True)
    filters = {
        f"{net.name}, {measure}": build_filter(net, train_images, unseen, measure).rejects(images)
        for net in networks
        for measure in MEASURES
    }
    result["rejected"] = {filter_: dataclasses.asdict(share(flags)) for filter_, flags in filters.items()}
    return result | ({"membership": None} if name == HALF_LEAK else members(run, dataset, unseen, seed))


def plant(samples: np.ndarray, train: np.ndarray, seed: int) -> np.ndarray:
    """The samples, uint8 [n, h, w, c], a share replaced by training images with noise, shifted and brightened."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    count, leaked = round(LEAKED * len(samples)), samples.copy()
    rows = rng.permutation(len(samples))[:count]
    copies = np.asarray(train[np.sort(rng.permutation(len(train))[:count])], np.float64)
    for row, copy in zip(rows, copies, strict=True):
        step = rng.integers(-1, 2, 2)
        shifted = np.pad(copy, ((1, 1), (1, 1), (0, 0)), mode="edge")
        shifted = shifted[1 + step[0] : 1 + step[0] + len(copy), 1 + step[1] : 1 + step[1] + copy.shape[1]]
        changed = shifted + rng.normal(0, 4, copy.shape) + rng.uniform(-8, 8)
        leaked[row] = np.clip(np.rint(changed), 0, 255)
    return leaked


def summarise(found: list[dict[str, Any]]) -> dict[str, Any]:
    """In how many of the sets copies are suspected, by what, and what each filter rejects of them all together."""
    from analysis.metrics.shares import share

    rejected = {name: [round(one["rejected"][name]["value"] * one["samples"]) for one in found]
                for name in found[0]["rejected"]}  # fmt: skip
    drawn = sum(one["samples"] for one in found)
    return {
        "of": len(found),
        "suspected": sum(bool(one["suspected"]) for one in found),
        "by": [one["suspected"] for one in found],
        "rejected": {name: dataclasses.asdict(share(np.arange(drawn) < sum(n))) for name, n in rejected.items()},
    }


if __name__ == "__main__":
    guarded(main)
