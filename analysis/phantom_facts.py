"""What a phantom's images hold, by label: the factors that are measured on what was drawn, and gray levels by mask.

    python -m analysis.phantom_facts --phantom mri --out FILE.json [--n 1000] [--size 64] [--seed 0]

Groups are images with exactly the same labels. Tables of docs/phantom_*.md are read off such files, which lie in
results/phantom_check.
"""

import argparse
import importlib
import json
from pathlib import Path

import numpy as np

from train.cli import guarded

PHANTOMS = ("cxr", "mri", "us", "tissue", "natural")  # modules of data/phantom
PIXELS = 12  # of a mask that an image must have, for its gray level to count
BATCH = 200  # images drawn at once


def draw(module, seed, n, size):
    """(labels [n, k], factors [n, f], mean gray level under each mask [n, m], nan where it has too few pixels)."""
    parts = []
    for first in range(0, n, BATCH):
        drawn = module.generate(seed, np.arange(first, min(first + BATCH, n)), size)
        parts.append((drawn["label"], drawn["factors"], gray_levels(drawn["image"], drawn["mask"])))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def gray_levels(images, masks):
    """Mean gray level, in [0, 1], of images [n, s, s, c] under masks [n, s, s, m]: [n, m]; nan below PIXELS pixels."""
    inside = masks > 0.5
    pixels = inside.sum((1, 2))
    sums = (images.mean(-1, keepdims=True) * inside).sum((1, 2), dtype=np.float64)
    return np.where(pixels >= PIXELS, sums / np.maximum(pixels, 1), np.nan)


def facts(module, labels, factors, levels):
    """{labels, joined: {"n", "factors": {name: ...}, "gray_levels": {mask: ...}}} of each combination that occurs."""
    derived = getattr(module, "DERIVED", module.FACTORS)
    columns = {name: factors[:, module.FACTORS.index(name)] for name in derived}
    found = {}
    for combination in np.unique(labels > 0.5, axis=0):
        rows = ((labels > 0.5) == combination).all(1)
        name = ", ".join(c for c, there in zip(module.CLASSES, combination, strict=True) if there) or "none"
        found[name] = {
            "n": int(rows.sum()),
            "factors": {factor: spread(column[rows]) for factor, column in columns.items()},
            "gray_levels": {mask: spread(column[rows]) for mask, column in zip(module.MASKS, levels.T, strict=True)},
        }
    return found


def spread(values):
    """Mean, standard deviation and the quantiles 2.5 and 97.5 % of the values that are finite; None of none."""
    values = values[np.isfinite(values)].astype(np.float64)
    if not len(values):
        return None
    low, high = np.quantile(values, (0.025, 0.975))
    return {"n": len(values), "mean": values.mean(), "std": values.std(), "low": low, "high": high}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantom", choices=PHANTOMS, required=True)
    parser.add_argument("--out", required=True, help="the JSON file")
    parser.add_argument("--n", type=int, default=1000, help="images")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    module = importlib.import_module(f"data.phantom.{args.phantom}")
    found = facts(module, *draw(module, args.seed, args.n, args.size))
    result = {"phantom": args.phantom, "n": args.n, "size": args.size, "seed": args.seed, "groups": found}
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    Path(args.out).write_text(json.dumps(result, indent=1))
    for name, group in found.items():
        print(f"{name}: {group['n']} images")


if __name__ == "__main__":
    guarded(main)
