"""python -m analysis.segment --run RUN [--split test] [--ensemble 8] [--steps 4] [--out results] [--beside RESULT.json]

Segments a split and scores every image: Dice, IoU, HD95, normalised surface Dice, relative area error, each with a
bootstrap interval over the patients (over the images, where no patient is named); calibration of the ensemble; the
energy distance. Writes OUT/STUDY/NAME.json with every image's scores and a picture of best, median and worst cases.
--beside takes such a file of another segmenter and adds the differences of the scores, image by image.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.options import add_result, result_path
from analysis.seg_metrics import (
    bootstrap,
    energy_distance,
    expected_calibration_error,
    mask_scores,
    mean_distance,
    risk_coverage,
)
from data import UserError
from train.cli import guarded

SCORES = ("dice", "iou", "hd95", "surface_dice", "area_error")


def main(argv: list[str] | None = None) -> int:
    """Segments and scores; returns the exit status."""
    args = parse(argv)
    from analysis.evaluation.sets import open_data, patients_of
    from analysis.progress import Clock
    from analysis.run import load
    from train.rundir import device_name, git_revision, write_json

    run = load(args.run, args.checkpoint)
    if not hasattr(run.family, "predict"):
        raise UserError(f"{args.run} is no segmenter; use python -m analysis.sample or python -m analysis.evaluate")
    options = run.sample_options(sampler=args.sampler, steps=args.steps, ensemble=args.ensemble)
    other = read_result(Path(args.beside)) if args.beside else None
    dataset = open_data(run, args.data_dir)
    clock = Clock()
    images, truths, raters, sdf, ids = predict(run, dataset, args.split, options, args.seed, args.batch, clock)
    groups = patients_of(dataset, args.split, ids)
    result = score(sdf, truths, raters, groups) | {
        "run": run.folder.resolve().name, "family": run.config.model.family, "dataset": run.info.name,
        "image_shape": list(run.info.image_shape),
        "data": run.info.fingerprint, "split": args.split, "step": run.step, "parameters": run.parameters,
        "sampling": options | {"seed": args.seed, "images_per_second": clock.speed},
        "ids": ids.tolist(), "groups": groups.tolist(), "device": device_name(), "git": git_revision(),
        "command": ["python -m analysis.segment", *(argv or sys.argv[1:])],
    }  # fmt: skip
    if other:
        result["difference"] = differences(result, other) | {"from": Path(args.beside).name}
    path = result_path(args, run, "_seg")
    write_json(path, result)
    draw_cases(images, truths, sdf, np.asarray(result["images"]["dice"]), path.with_suffix(".png"))
    for name in SCORES:
        value = result[name]
        print(f"{name:<14}{value['mean']:8.4f} [{value['low']:.4f}, {value['high']:.4f}]{_beside(result, name)}")
    print(f"n = {len(ids)}  {path}")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.segment", description=__doc__.split("\n\n")[1])
    add_result(parser)
    parser.add_argument("--split", default="test", help="train, val or test")
    parser.add_argument("--batch", type=int, default=16, help="images at once; no number depends on it")
    parser.add_argument("--beside", default="", help="result file of another segmenter on the same images")
    parser.add_argument("--sampler", help="of a flow: euler, midpoint, heun, rk4, adaptive, flowsdf")
    parser.add_argument("--steps", type=int, help="steps of the solver")
    parser.add_argument("--ensemble", type=int, help="masks drawn an image")
    return parser.parse_args(argv)


def predict(
    run, dataset, split: str, options: dict[str, Any], seed: int, batch_size: int,
    report: Callable[[int], None] = lambda done: None,
):  # fmt: skip
    """Of a split: images [n, h, w, c], true masks [n, h, w], each rater's [n, r, h, w], SDFs [n, k, h, w], ids [n].

    Args:
      report: called with the number of images done.
    """
    predict_batch, parts = predictor(run, options, seed), []
    for batch in dataset.epoch(split, batch_size):
        sdf = predict_batch(batch["image"], batch["id"])
        real = batch["weight"] > 0
        truth = batch["mask"][..., run.family.channel] > 0.5
        raters = batch["masks"][..., run.family.channel] > 0.5 if "masks" in batch else truth[:, None]
        parts.append([a[real] for a in (batch["image"], truth, raters, sdf, batch["id"])])
        report(sum(len(part[-1]) for part in parts))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def predictor(run, options: dict[str, Any], seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A compiled function of images [b, h, w, c] in [-1, 1] and their ids [b] that gives SDFs [b, k, h, w].

    Args:
      options: fields of `config.sample`.

    Raises:
      UserError: when called, an option that the family does not take.
    """
    import jax

    from models.cpu import jit
    from train.build import root_key

    predict_batch = jit(lambda state, image, keys: run.family.predict(state, image, keys, **options))
    state, key = run.state.replace(opt_state={}), root_key(seed, "sample")

    def predict_images(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
        try:
            return np.asarray(predict_batch(state, image, keys))
        except (ValueError, TypeError) as error:
            raise UserError(f"segmenting: {error}") from error

    return predict_images


def score(sdf: np.ndarray, truths: np.ndarray, raters: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Scores of the mean SDF's mask and of the ensemble, with each image's own.

    Args:
      sdf: [n, k, h, w] samples.
      truths: [n, h, w] (bool), what at least half of the raters drew.
      raters: [n, r, h, w] (bool), what each of them drew; the energy distance and the calibration are to these.
      groups: [n] which images are of one patient; intervals are over patients.
    """
    samples, mean = sdf <= 0, sdf.mean(1)
    rows = [mask_scores(m <= 0, t) for m, t in zip(mean, truths, strict=True)]
    images = {name: [row[name] for row in rows] for name in SCORES}
    result = {name: _with_interval(images[name], groups) for name in SCORES} | {"n": len(rows)}
    result["patients"] = int(groups.max()) + 1
    images["energy"] = [energy_distance(s, r) for s, r in zip(samples, raters, strict=True)]
    result |= {"energy": _with_interval(images["energy"], groups), "raters": raters.shape[1]}
    if sdf.shape[1] == 1:
        return result | {"uncertainty": None, "images": images}
    probability = samples.mean(1)
    images["deviation"] = sdf.std(1).mean((1, 2)).tolist()
    images["pairwise"] = [_of_different(s) for s in samples]
    result["pairwise"] = _with_interval(images["pairwise"], groups)
    risk = 1.0 - np.asarray(images["dice"])
    curve, area = risk_coverage(np.asarray(images["deviation"]), risk)
    spread = np.std(images["deviation"]) * np.std(risk)
    result["uncertainty"] = {
        "expected_calibration_error": expected_calibration_error(probability, raters.mean(1)),
        "correlation_of_deviation_with_error": float(np.corrcoef(images["deviation"], risk)[0, 1]) if spread else None,
        "risk_coverage": curve.tolist(),
        "area_under_risk_coverage": area,
    }
    return result | {"images": images}


def _of_different(samples: np.ndarray) -> float:
    """Mean 1 - IoU of two different samples of [k, h, w]."""
    k = len(samples)
    return mean_distance(samples, samples) * k / (k - 1)


def _with_interval(values, groups) -> dict[str, float]:
    mean, low, high = bootstrap(np.asarray(values), groups)
    return {"mean": mean, "low": low, "high": high}


def read_result(path: Path) -> dict[str, Any]:
    """A file that this command wrote.

    Raises:
      UserError: it is none.
    """
    try:
        result = json.loads(path.read_text())
        return {"images": result["images"], "ids": result["ids"], "split": result["split"], "data": result["data"]}
    except FileNotFoundError as error:
        raise UserError(f"--beside {path} is not there; give a result of python -m analysis.segment") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"--beside {path} is no result of python -m analysis.segment ({error})") from error


def differences(result: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """{score: mean difference of the two on the same images, with a bootstrap interval over the patients}.

    Raises:
      UserError: the images are not the same.
    """
    if any(result[key] != other[key] for key in ("split", "data", "ids")):
        raise UserError("--beside: that result is of other images; segment the same split of the same data")
    pairs = {name: [np.asarray(r["images"][name], np.float64) for r in (result, other)] for name in SCORES}
    return {name: _with_interval(mine - theirs, result["groups"]) for name, (mine, theirs) in pairs.items()}


def _beside(result: dict[str, Any], name: str) -> str:
    if "difference" not in result:
        return ""
    value = result["difference"][name]
    return f"   difference {value['mean']:+.4f} [{value['low']:+.4f}, {value['high']:+.4f}]"


def draw_cases(images, truths, sdf, dice, path: Path) -> None:
    """Two best, two median and two worst images: image, truth, mask, two samples, deviation and error in a row."""
    from analysis.grid import make_grid, save_png
    from data.ranges import to_uint

    order = np.argsort(-dice)
    middle = len(order) // 2
    tiles, words = [], []
    for index in [*order[:2], *order[middle : middle + 2], *order[-2:]]:
        samples, mean = sdf[index] <= 0, sdf[index].mean(0) <= 0
        columns = {
            f"Dice {dice[index]:.3f}": images[index], "truth": truths[index], "mean SDF's mask": mean,
            "sample": samples[0], "sample ": samples[-1], "deviation": np.minimum(sdf[index].std(0), 1.0),
            "error": mean != truths[index],
        }  # fmt: skip
        for word, tile in columns.items():
            tile = tile if tile.ndim == 3 else tile[..., None] * 2.0 - 1.0
            tiles.append(np.broadcast_to(tile, images.shape[1:]))
            words.append(word)
    grid = make_grid(to_uint(np.stack(tiles).astype(np.float32), 8), 7, captions=words)
    save_png(path, grid, {}, synthetic=False)


if __name__ == "__main__":
    guarded(main)
