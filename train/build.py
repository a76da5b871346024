"""A family, its shardings and its steps, from a config and what is known of the data."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh

from data import Info, UserError
from data.covariance import PixelCovariance
from data.dataset import Dataset
from data.label_means import LabelMeans
from data.ranges import to_float
from models import family as families
from models.cpu import jit
from models.family import Family, Setting
from models.pixel_prior import chosen_prior
from models.state import State
from models.update import EMA, Updater
from train.durations import to_steps
from train.fine_tune import Start, options_of
from train.optim import build_optimizer
from train.sharding import batch_sharding, replicated, state_shardings

PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16, "float16": jnp.float16}


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The durations of a config, in optimiser steps, and the scalar of which the best checkpoint has least."""

    total: int
    log_every: int
    eval_every: int
    preview_every: int
    kid_every: int
    save_every: int
    restart_at: int
    milestones: tuple[int, ...]
    best: str


def make_plan(config: ml_collections.ConfigDict, train_images: int) -> Plan:
    """Raises UserError where a duration cannot be read or leaves nothing to do."""

    def steps(duration: str, field: str) -> int:
        return to_steps(duration, field, config.train.batch_size, train_images)

    total = steps(config.train.duration, "config.train.duration")
    plan = Plan(
        total=total,
        log_every=steps(config.train.log_every, "config.train.log_every") or total,
        eval_every=steps(config.eval.every, "config.eval.every"),
        preview_every=steps(config.eval.preview_every, "config.eval.preview_every"),
        kid_every=steps(config.eval.kid_every, "config.eval.kid_every"),
        save_every=steps(config.checkpoint.every, "config.checkpoint.every") or total,
        restart_at=steps(config.train.restart_at, "config.train.restart_at"),
        milestones=tuple(steps(d, "config.checkpoint.milestones") for d in config.checkpoint.milestones),
        best=config.checkpoint.best or ("samples_kid" if config.eval.kid_every else "val_loss"),
    )
    if plan.total < 1:
        raise UserError(f"config.train.duration={config.train.duration!r} is no step; make it longer")
    return plan


def build_family(
    config: ml_collections.ConfigDict,
    info: Info,
    means: LabelMeans,
    start: Start | None = None,
    covariance: PixelCovariance | None = None,
) -> Family:
    """The family of `config.model`, with optimisers, for images as `info`, `means` and `covariance` describe them.

    Args:
      start: how a fine-tuned run began: which parameters are frozen, and at which rate the others are trained.

    Raises:
      UserError: something in the config that cannot be built, in the words of who noticed.
    """
    options = config.model.to_dict()
    name, dtype = options.pop("family"), compute_dtype(config.precision)
    init, roles = options_of(config), start.roles if start else {}
    setting = Setting(
        info.image_shape, len(info.labels), info.mean, info.std, info.bits, dtype, means, info.mask_channels,
        init.adapters, covariance,
    )  # fmt: skip
    train_images = info.sizes["train"]

    def steps(duration: str, field: str) -> int:
        return to_steps(duration, field, config.train.batch_size, train_images)

    total = steps(config.train.duration, "config.train.duration")
    try:
        networks = families.networks(name, options)
        missing = [network for network in networks if network not in config.optim]
        if missing:
            raise UserError(
                f"config.optim.{missing[0]} is missing: with these options the family {name!r} has a network of that "
                f"name; a preset may bring both (see the config file's first lines)"
            )
        optimizers = {
            n: build_optimizer(config.optim[n].to_dict(), total, steps, n, roles.get(n), init.rate) for n in networks
        }
        frozen = {n: frozenset(path for path, role in roles[n].items() if role == "frozen") for n in roles}
        ema, scaling = EMA(**config.ema.to_dict()), dtype == jnp.float16
        updater = Updater(optimizers, ema, config.train.accumulate, scaling, frozen)
        return families.build(name, options, setting, updater)
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from error


def covariance_rank(config: ml_collections.ConfigDict) -> int:
    """Directions of the pixels' covariance that the model asks for; 0: none."""
    model = config.model.to_dict()
    return model["prior_rank"] if chosen_prior(model) == "gaussian" else 0


def covariance_of(config: ml_collections.ConfigDict, dataset: Dataset) -> PixelCovariance | None:
    """The covariance of the training split's pixels; None where the model asks for none."""
    rank = covariance_rank(config)
    return dataset.covariance(rank) if rank else None


def compute_dtype(precision: str):
    """dtype of the networks' arithmetic: auto is bfloat16 on an accelerator and float32 on a CPU.

    Raises:
      UserError: an unknown precision.
    """
    if precision == "auto":
        return jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    if precision not in PRECISIONS:
        raise UserError(f"config.precision={precision!r} is unknown; choose auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def example_batch(info: Info) -> dict[str, jax.Array]:
    """A batch of one, for its shapes."""
    batch = {
        "image": jnp.zeros((1, *info.image_shape)), "label": jnp.zeros((1, len(info.labels))),
        "id": jnp.zeros((1,), jnp.int32), "weight": jnp.ones((1,)),
    }  # fmt: skip
    if info.mask_channels:
        batch["mask"] = jnp.zeros((1, *info.image_shape[:2], len(info.mask_channels)))
    return batch


def state_shapes(family: Family, info: Info, mesh: Mesh) -> State:
    """Shapes of a state with its shardings: what a checkpoint is restored into.

    Raises:
      UserError: the network cannot take images of this size.
    """
    try:
        shapes = _jit_init(family).eval_shape(jax.random.key(0), example_batch(info))
    except (ValueError, TypeError) as error:
        raise UserError(f"config.model does not fit the data: {str(error).splitlines()[0]}") from error
    places = state_shardings(shapes, mesh)
    return jax.tree.map(lambda s, p: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=p), shapes, places)


def init_state(family: Family, info: Info, mesh: Mesh, seed: int) -> State:
    """A fresh state, made where it will lie."""
    places = jax.tree.map(lambda s: s.sharding, state_shapes(family, info, mesh))
    init = jax.jit(lambda key: _jit_init(family)(key, example_batch(info)), out_shardings=places)
    return init(root_key(seed, "init"))


@functools.lru_cache(maxsize=2)
def _jit_init(family: Family):
    """One function a family: its trace, which takes a second, is kept from one use to the next."""
    return jax.jit(family.init)


def root_key(seed: int, purpose: str) -> jax.Array:
    """One root key a purpose."""
    purposes = ("init", "train", "eval", "sample")
    return jax.random.fold_in(jax.random.key(seed), purposes.index(purpose))


def jit_train_step(family: Family, info: Info, mesh: Mesh, key: jax.Array):
    """The compiled step (state, batch) -> (state, scalars); the state is donated, stored pixels become floats."""
    places = jax.tree.map(lambda s: s.sharding, state_shapes(family, info, mesh))

    def step(state: State, batch):
        batch = as_floats(batch)
        return family.train_step(state, batch, jax.random.fold_in(key, state.step))

    shardings = (places, batch_sharding(mesh))
    return jit(step, in_shardings=shardings, out_shardings=(places, replicated(mesh)), donate_argnums=0)


def jit_eval_step(family: Family, mesh: Mesh, key: jax.Array):
    """The compiled (state, batch) -> {name: [b]}."""
    return jit(lambda state, batch: family.eval_step(state, as_floats(batch), key), out_shardings=replicated(mesh))


def as_floats(batch: dict[str, Any]) -> dict[str, Any]:
    """Stored pixels (uint8 or uint16) of a batch to [-1, 1], on the device."""
    if not np.issubdtype(batch["image"].dtype, np.unsignedinteger):
        return batch
    return batch | {"image": to_float(batch["image"])}
