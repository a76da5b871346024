"""python -m analysis.latent --run RUN --out DIR [--n 1000] [--k 100]

What the code of a VAE holds. Writes latent.json: the bound and the importance-weighted bound in bits/dim, KL of each
group, active units, and how well each finding is read off the code by a linear probe. Of a plain or denoising
autoencoder, which bounds no likelihood, the reconstruction takes the bounds' place. What lies between codes is drawn by
`python -m analysis.sample --latent`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from analysis.auroc import auroc
from analysis.codes import coarsest, read_codes
from analysis.metrics.patients import Groups
from analysis.seg_metrics import bootstrap
from data import UserError
from train.cli import guarded

BITS = ("elbo", "importance", "reconstruction")
ACTIVE = 0.01  # variance over the data of a posterior's mean, relative to the prior, above which a unit is active


def main(argv: list[str] | None = None) -> int:
    """Measures; returns the exit status."""
    args = parse(argv)
    from analysis.evaluation.sets import open_data
    from analysis.run import load
    from train.rundir import device_name, git_revision, write_json

    run = load(args.run, args.checkpoint)
    if not hasattr(run.family, "codes"):
        raise UserError(f"{args.run}: the family {run.config.model.family!r} has no code; give a run of a VAE")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    dataset = open_data(run, args.data_dir)
    result = measure(run, dataset, args)
    n = min(args.n, dataset.info.sizes["test"])
    facts = {"run": run.folder.resolve().name, "step": run.step, "n": n, "device": device_name()}
    facts |= {"git": git_revision(), "command": ["python -m analysis.latent", *(argv or sys.argv[1:])]}
    write_json(out / "latent.json", facts | result)
    print("  ".join(f"{name} {result[name]['mean']:.4f}" for name in BITS if name in result), "bits/dim")
    print(f"active units {result['active_units']} of {result['units']}")
    for name, value in result["probe"].items():
        print(f"{name}: AUROC of a linear probe {value['auroc']:.3f}" if value else f"{name}: too few cases")
    print(out)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.latent", description=__doc__.split("\n\n")[1])
    parser.add_argument("--run", required=True, help="run directory of a VAE")
    parser.add_argument("--out", required=True, help="folder to write into")
    parser.add_argument("--n", type=int, default=1000, help="images of the training and of the test split, at most")
    parser.add_argument("--k", type=int, default=100, help="codes an image of the importance-weighted bound")
    parser.add_argument("--data-dir", help="where the dataset lies now, if not where the run found it")
    parser.add_argument("--checkpoint", default="", help="latest, best, a step, or a duration kept by the config")
    return parser.parse_args(argv)


def measure(run, dataset, args) -> dict[str, Any]:
    """The content of latent.json."""
    import jax

    from analysis.evaluation.sets import patients_of
    from models.cpu import jit
    from train.build import root_key

    state, key = run.state.replace(opt_state={}), root_key(0, "eval")
    step = jit(lambda state, batch: run.family.eval_step(state, batch, key))
    bound = jit(lambda state, batch: run.family.importance_bits_per_dim(state, batch, key, args.k))
    rows: dict[str, list] = {}
    ids = []
    for batch in dataset.epoch("test", 16, limit=args.n):
        real = batch["weight"] > 0
        values = jax.device_get(step(state, batch))
        ids.append(batch["id"][real])
        loss = values.pop("loss")  # an autoencoder's is its reconstruction
        if not run.family.is_point:
            values |= {"elbo": loss, "importance": jax.device_get(bound(state, batch))}
        for name, value in values.items():
            rows.setdefault(name, []).append(value[real])
    result, groups = {}, patients_of(dataset, "test", np.concatenate(ids))
    for name, parts in rows.items():
        mean, low, high = bootstrap(np.concatenate(parts), groups)
        result[name] = {"mean": mean, "low": low, "high": high}
    # Burda et al. (2016) count where the prior is fixed. Here the groups above move it, and the posterior with it.
    variances = [group.var(0) for group in read_codes(run, dataset, "train", args.n, reader="shifts")["codes"]]
    blind = [read_codes(run, dataset, split, args.n, told=False) for split in ("train", "test")]
    return result | {
        "k": args.k,
        "units": [int(v.size) for v in variances],
        "active_units": [int((v > ACTIVE).sum()) for v in variances],
        "probe": probe(*blind, run.info.classes, patients_of(dataset, "test", blind[1]["id"])),
    }


def probe(train, test, classes: tuple[str, ...], groups: Groups = None, ridge: float = 10.0) -> dict[str, Any]:
    """AUROC on the test split of a ridge regression of each finding on the coarsest level's codes.

    Both splits are read without their labels being told. Intervals are over the patients of the test images, `groups`.
    """
    x, y = (coarsest(part["codes"])[0].reshape(len(part["label"]), -1) for part in (train, test))
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, y = ((a - mean) / scale for a in (x, y))
    gram, found = x.T @ x + ridge * np.eye(x.shape[1]), {}
    for j, name in enumerate(classes):
        target, truth = train["label"][:, j], test["label"][:, j]
        known, told = (truth == 0) | (truth == 1), target >= 0
        if len(np.unique(truth[known])) < 2 or target.max() <= 0:
            found[name] = None
            continue
        known_gram = gram if told.all() else gram - x[~told].T @ x[~told]
        weights = np.linalg.solve(known_gram, x[told].T @ (target[told] - target[told].mean()))
        found[name] = auroc((y @ weights)[known], truth[known], None if groups is None else groups[known])
    return found


if __name__ == "__main__":
    guarded(main)
