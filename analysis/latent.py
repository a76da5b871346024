"""python -m analysis.latent --run RUN --out DIR [--n 1000] [--k 100]

What the code of a VAE holds. Writes interpolations.png (between two test images' codes), traversals.png (a unit of
the coarsest group at a time, from -3 to 3 of its own deviations) and latent.json: the bound and the importance-weighted
bound in bits/dim, KL of each group, active units, and how well each finding is read off the code by a linear probe.
Of a plain or denoising autoencoder, which bounds no likelihood, the reconstruction takes the bounds' place.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from analysis.auroc import auroc
from analysis.seg_metrics import bootstrap
from data import UserError
from train.cli import guarded

STEPS, PAIRS, UNITS = 8, 6, 8
BITS = ("elbo", "importance", "reconstruction")
ACTIVE = 0.01  # variance of a unit's posterior mean over the data, above which it is active (Burda et al. 2016)


def main(argv: list[str] | None = None) -> int:
    """Draws and measures; returns the exit status."""
    args = parse(argv)
    from analysis.evaluate import open_data
    from analysis.grid import make_grid, save_png
    from analysis.run import load
    from train.rundir import device_name, git_revision, write_json

    run = load(args.run, args.checkpoint)
    if not hasattr(run.family, "codes"):
        raise UserError(f"{args.run}: the family {run.config.model.family!r} has no code; give a run of a VAE")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    dataset = open_data(run, args.data_dir)
    train, test = (read_codes(run, dataset, split, args.n) for split in ("train", "test"))
    for name, images in (("interpolations", interpolate(run, test)), ("traversals", traverse(run, test))):
        save_png(out / f"{name}.png", make_grid(images, STEPS), {"run": run.folder.resolve().name})
    result = measure(run, dataset, train, test, args)
    facts = {"run": run.folder.resolve().name, "step": run.step, "n": len(test["label"]), "device": device_name()}
    write_json(out / "latent.json", facts | result | {"git": git_revision()})
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


def read_codes(run, dataset, split: str, n: int) -> dict[str, Any]:
    """{"codes": [[n, h, w, latent] of each group], "label": [n, k]} of at most n images of a split."""
    from models.cpu import jit

    encode = jit(lambda state, batch: run.family.codes(state, batch))
    state, codes, labels = run.state.replace(opt_state={}), [], []
    for batch in dataset.epoch(split, 64, limit=n):
        real = batch["weight"] > 0
        part = encode(state, {"image": batch["image"], "label": batch["label"]})
        codes.append([np.asarray(group)[real] for group in part])
        labels.append(batch["label"][real])
    return {"codes": [np.concatenate(group) for group in zip(*codes, strict=True)], "label": np.concatenate(labels)}


def interpolate(run, test) -> np.ndarray:
    """Images between the codes of neighbouring test images, PAIRS rows of STEPS; the label is the first one's."""
    share = np.linspace(0.0, 1.0, STEPS)[None, :, None, None, None]
    pairs = min(PAIRS, len(test["label"]) // 2)
    codes = []
    for group in test["codes"]:
        a, b = group[0 : 2 * pairs : 2, None], group[1 : 2 * pairs : 2, None]
        codes.append(((1 - share) * a + share * b).reshape(-1, *group.shape[1:]))
    return _decode(run, codes, test["label"][0 : 2 * pairs : 2].repeat(STEPS, axis=0))


def traverse(run, test) -> np.ndarray:
    """The first test image with one unit of the coarsest group moved, the UNITS most active ones, a row each."""
    coarse = test["codes"][0]
    spread = coarse.std(0)
    units = np.argsort(-spread.ravel())[:UNITS]
    moved = np.repeat(coarse[:1], len(units) * STEPS, axis=0).reshape(len(units), STEPS, -1)
    for row, unit in enumerate(units):
        moved[row, :, unit] = coarse.mean(0).ravel()[unit] + np.linspace(-3, 3, STEPS) * spread.ravel()[unit]
    count = len(units) * STEPS
    codes = [moved.reshape(count, *coarse.shape[1:]), *(g[:1].repeat(count, axis=0) for g in test["codes"][1:])]
    return _decode(run, codes, test["label"][:1].repeat(count, axis=0))


def _decode(run, codes, label) -> np.ndarray:
    import jax.numpy as jnp

    from data.ranges import to_uint

    images = run.family.decode(run.state, [jnp.asarray(c, jnp.float32) for c in codes], jnp.asarray(label))
    return to_uint(np.asarray(images), run.info.bits)


def measure(run, dataset, train, test, args) -> dict[str, Any]:
    """The content of latent.json."""
    import jax

    from models.cpu import jit
    from train.build import root_key

    state, key = run.state.replace(opt_state={}), root_key(0, "eval")
    step = jit(lambda state, batch: run.family.eval_step(state, batch, key))
    bound = jit(lambda state, batch: run.family.importance_bits_per_dim(state, batch, key, args.k))
    rows: dict[str, list] = {}
    for batch in dataset.epoch("test", 16, limit=args.n):
        real = batch["weight"] > 0
        values = jax.device_get(step(state, batch))
        loss = values.pop("loss")  # an autoencoder's is its reconstruction
        if not run.family.is_point:
            values |= {"elbo": loss, "importance": jax.device_get(bound(state, batch))}
        for name, value in values.items():
            rows.setdefault(name, []).append(value[real])
    result = {}
    for name, parts in rows.items():
        mean, low, high = bootstrap(np.concatenate(parts))
        result[name] = {"mean": mean, "low": low, "high": high}
    variances = [group.var(0) for group in train["codes"]]
    return result | {
        "k": args.k,
        "units": [int(v.size) for v in variances],
        "active_units": [int((v > ACTIVE).sum()) for v in variances],
        "probe": probe(train, test, run.info.classes),
    }


def probe(train, test, classes: tuple[str, ...], ridge: float = 10.0) -> dict[str, Any]:
    """AUROC on the test split of a ridge regression of each finding on the coarsest group's code."""
    x, y = (part["codes"][0].reshape(len(part["label"]), -1) for part in (train, test))
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, y = ((a - mean) / scale for a in (x, y))
    gram, found = x.T @ x + ridge * np.eye(x.shape[1]), {}
    for j, name in enumerate(classes):
        target, truth = train["label"][:, j], test["label"][:, j]
        if len(np.unique(truth[truth >= 0])) < 2 or target.max() <= 0:
            found[name] = None
            continue
        weights = np.linalg.solve(gram, x.T @ (np.maximum(target, 0) - np.maximum(target, 0).mean()))
        known = (truth == 0) | (truth == 1)
        found[name] = auroc((y @ weights)[known], truth[known])
    return found


if __name__ == "__main__":
    guarded(main)
