"""What the loop evaluates as it goes: the validation loss, and grids of samples."""

import functools
import math
from pathlib import Path

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from analysis.evaluation.sets import LEAST, take
from analysis.features import efficientnet_lite0
from analysis.grid import make_grid, save_png
from analysis.labels import caption, draw_labels, grid_labels
from analysis.metrics.kid import kid
from analysis.sampling import Sampler
from data import UserError
from data.dataset import Dataset
from data.ranges import to_uint
from models.cpu import jit
from models.family import Family
from models.state import State
from train import build, sharding
from train.loop import Evaluator


def build_evaluators(
    config: ml_collections.ConfigDict, family: Family, dataset: Dataset, mesh: Mesh, folder: Path
) -> list[Evaluator]:
    """The evaluators of a run, in the order in which they are called.

    Raises:
      UserError: `config.checkpoint.best` is no scalar that they give, `config.sample` cannot be drawn with, or there
        are too few images for KID.
    """
    _check_sample(config, family, dataset, mesh)
    plan = build.make_plan(config, dataset.info.sizes["train"])
    evaluators = []
    _check_best(config, family, dataset, mesh, plan)
    if _validates(dataset, plan):
        evaluators.append(Evaluator("val", plan.eval_every, validation(config, family, dataset, mesh)))
    if plan.kid_every and hasattr(family, "predict"):
        raise UserError("config.eval.kid_every scores generated images; a segmenter makes none: leave it empty")
    if plan.kid_every:
        _check_kid(config, dataset)
        evaluators.append(Evaluator("samples", plan.kid_every, kid_score(config, family, dataset)))
    draw = segmentation_preview if hasattr(family, "predict") else preview
    evaluators.append(Evaluator("samples", plan.preview_every, draw(config, family, dataset, folder, plan.total)))
    return evaluators


def _validates(dataset: Dataset, plan: build.Plan) -> bool:
    return bool(plan.eval_every and dataset.info.sizes.get("val"))


def _check_best(config, family: Family, dataset: Dataset, mesh: Mesh, plan: build.Plan) -> None:
    names = ["samples_kid"] if plan.kid_every else []
    if _validates(dataset, plan):
        state, batch = build.state_shapes(family, dataset.info, mesh), build.example_batch(dataset.info)
        scalars = jax.eval_shape(family.eval_step, state, batch, jax.random.key(0))
        names = [f"val_{name}" for name in scalars] + names
    elif not config.checkpoint.best:
        return  # nothing was asked for: no checkpoint is the best
    if config.checkpoint.keep_best and plan.best not in names:
        known = ", ".join(names) or "what is scored: there is no validation split, or config.eval.every is empty"
        raise UserError(f"config.checkpoint.best={plan.best!r} is none of {known}")


def _check_kid(config, dataset: Dataset) -> None:
    """Before there is a run: the first scoring would come after hundreds of steps."""
    n = dataset.info.sizes.get("val", 0)
    if n < LEAST:
        raise UserError(
            f"config.eval.kid_every scores samples against {LEAST} validation images or more, and {dataset.info.name} "
            f"has {n}: leave it empty, or give the validation split more by config.data.split"
        )
    if config.eval.kid_images < LEAST:
        raise UserError(f"config.eval.kid_images={config.eval.kid_images} must be at least {LEAST}")


def _check_sample(config, family: Family, dataset: Dataset, mesh: Mesh) -> None:
    """Before there is a run: a mistake that the first preview found would come too late to be corrected."""
    state, options = build.state_shapes(family, dataset.info, mesh), config.sample.to_dict()
    if not hasattr(family, "predict"):
        Sampler(family, options, dataset.info.bits).check(state, len(dataset.info.labels))
        return
    batch = build.example_batch(dataset.info)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    try:
        jax.eval_shape(lambda *given: family.predict(*given, **options), state, batch["image"], keys)
    except (ValueError, TypeError) as error:
        raise UserError(f"segmenting: {error}") from error


def validation(config, family: Family, dataset: Dataset, mesh: Mesh):
    """Means of `family.eval_step` over the validation split; the same draws at every call."""
    step = build.jit_eval_step(family, mesh, build.root_key(config.seed, "eval"))
    limit = config.eval.max_images or dataset.info.sizes["val"]
    # Padded batches have one shape, and every device gets its share of them.
    size = -(-min(config.eval.batch_size, limit) // mesh.size) * mesh.size

    def evaluate(state: State, at: int):
        sums: dict[str, float] = {}
        count = 0.0
        for batch in dataset.epoch("val", size, limit=limit):
            values = step(state, sharding.put_whole(batch, mesh))
            for name, value in jax.device_get(values).items():
                sums[name] = sums.get(name, 0.0) + float(np.sum(value * batch["weight"]))
            count += float(np.sum(batch["weight"]))
        return {name: total / count for name, total in sums.items()}, {}

    return evaluate


def preview(config, family: Family, dataset: Dataset, folder: Path, total: int):
    """A grid of samples, first of single findings, then with labels as in training; the last one is larger."""
    sampler = Sampler(family, config.sample.to_dict(), dataset.info.bits)
    info = dataset.info

    def evaluate(state: State, step: int):
        n = config.eval.final_images if step == total else config.eval.preview_images
        if not n:
            return {}, {}
        columns = math.ceil(math.sqrt(n))
        labels = grid_labels(dataset.arrays("train")["label"], info, n, columns, config.seed)
        images = sampler.draw(state, labels, config.seed)
        grid = make_grid(images, columns, captions=[caption(label, info) for label in labels])
        if jax.process_index() == 0:
            save_png(folder / "samples" / f"step_{step:07d}.png", grid, {"step": str(step), "run": config.name})
        return {}, {"grid": grid}

    return evaluate


def segmentation_preview(config, family: Family, dataset: Dataset, folder: Path, total: int):
    """Validation images, each beside its mask, the share of samples that hold a pixel, and their deviation."""
    options = config.sample.to_dict()
    predict = jit(lambda state, image, keys: family.predict(state, image, keys, **options))
    channel = dataset.info.mask_channels.index(config.model.mask) if config.model.mask else 0

    def evaluate(state: State, step: int):
        n = config.eval.final_images if step == total else config.eval.preview_images
        if not n:
            return {}, {}
        split = "val" if dataset.info.sizes.get("val") else "train"
        batch = next(dataset.epoch(split, max(n // 4, 1), limit=max(n // 4, 1)))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(build.root_key(config.seed, "sample"), batch["id"])
        sdf = np.asarray(predict(state.replace(opt_state={}), batch["image"], keys))
        tiles = [batch["image"], batch["mask"][..., channel, None] * 2 - 1, (sdf <= 0).mean(1)[..., None] * 2 - 1]
        tiles.append(np.clip(sdf.std(1)[..., None] * 2 - 1, -1, 1))
        shape = batch["image"].shape
        rows = np.stack([np.broadcast_to(tile, shape) for tile in tiles], 1).reshape(-1, *shape[1:])
        words = ["image", "mask", "predicted", "deviation of SDF"] * len(shape)
        grid = make_grid(to_uint(rows, 8), 4, captions=(words * len(rows))[: len(rows)])
        if jax.process_index() == 0:
            facts = {"step": str(step), "run": config.name}
            save_png(folder / "samples" / f"step_{step:07d}.png", grid, facts, synthetic=False)
        return {}, {"grid": grid}

    return evaluate


def kid_score(config, family: Family, dataset: Dataset):
    """KID of `config.eval.kid_images` samples against as many validation images, and half of its 95 % interval."""
    sampler = Sampler(family, config.sample.to_dict(), dataset.info.bits)
    n, seed = config.eval.kid_images, config.seed

    @functools.cache
    def reference():
        extract, real = efficientnet_lite0.extractor(), take(dataset, "val", n, seed)
        return extract, extract(real.images), real.groups

    def evaluate(state: State, step: int):
        extract, real, groups = reference()
        labels = draw_labels(dataset.arrays("train")["label"], n, seed)
        estimate = kid(extract(sampler.draw(state, labels, seed)), real, (None, groups))
        half = estimate.high - estimate.value
        return {"kid": estimate.value} | ({"kid_interval": half} if np.isfinite(half) else {}), {}

    return evaluate
