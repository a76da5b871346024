"""Optimisers by name, through optax."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from data import UserError
from models.update import path_name

SCHEDULES = ("constant", "cosine", "multistep")


def build_optimizer(
    settings: Mapping[str, Any],
    total_steps: int,
    steps_of: Callable[[str, str], int],
    name: str,
    roles: Mapping[str, str] | None = None,
    rate: float = 1.0,
) -> optax.GradientTransformation:
    """The optimiser of one network from `config.optim.<name>` (fields in configs/base.py).

    Args:
      total_steps: of the whole run.
      steps_of: (duration, field) -> steps.
      name: of the network, for messages.
      roles, rate: see `by_role`; None where the network does not begin from a source.

    Raises:
      UserError: an unknown optimiser or schedule.
    """
    field = f"config.optim.{name}"
    schedule = build_schedule(settings, total_steps, steps_of, field)
    mask = None if settings["decay_all"] else kernels_only
    makers = {
        "adam": lambda: optax.adam(schedule, settings["b1"], settings["b2"], settings["epsilon"]),
        "adamw": lambda: optax.adamw(
            schedule, settings["b1"], settings["b2"], settings["epsilon"],
            weight_decay=settings["weight_decay"], mask=mask,
        ),
        "lion": lambda: optax.lion(
            schedule, settings["b1"], settings["b2"], weight_decay=settings["weight_decay"], mask=mask
        ),
        "sgd": lambda: optax.sgd(schedule, settings["momentum"]),
        "rmsprop": lambda: optax.rmsprop(schedule, momentum=settings["momentum"], eps=settings["epsilon"]),
    }  # fmt: skip
    if settings["name"] not in makers:
        raise UserError(f"{field}.name={settings['name']!r} is unknown; choose one of {', '.join(makers)}")
    if settings["clip"] < 0:
        raise UserError(f"{field}.clip={settings['clip']:g} would turn gradients round; 0 clips none")
    clip = optax.clip_by_global_norm(settings["clip"]) if settings["clip"] else optax.identity()
    step = makers[settings["name"]]()
    # One norm for all that is trained; what is frozen has no gradient (models/update.py).
    return optax.chain(clip, step if roles is None else by_role(step, roles, rate))


def by_role(
    optimizer: optax.GradientTransformation, roles: Mapping[str, str], rate: float
) -> optax.GradientTransformation:
    """The optimiser of a network that begins from a source.

    Args:
      roles: {"a/b/kernel": role}: new is trained as `optimizer` says, pretrained at `rate` of its learning rate, and
        frozen not at all: neither is it decayed, nor has it moments to keep.
    """

    def labels(params):
        return jax.tree.map_with_path(lambda path, _: roles.get(path_name(path), "new"), params)

    slowed = optax.chain(optimizer, optax.scale(rate))
    return optax.partition({"new": optimizer, "pretrained": slowed, "frozen": optax.set_to_zero()}, labels)


def build_schedule(
    settings: Mapping[str, Any], total_steps: int, steps_of: Callable[[str, str], int], field: str
) -> optax.Schedule:
    """Learning rate by step: a linear warm-up, then constant, cosine to zero, or multistep."""
    peak, warmup = settings["learning_rate"], steps_of(settings["warmup"], f"{field}.warmup")
    kind = settings["schedule"]
    if kind not in SCHEDULES:
        raise UserError(f"{field}.schedule={kind!r} is unknown; choose one of {', '.join(SCHEDULES)}")
    if kind == "cosine":
        main = optax.cosine_decay_schedule(peak, max(total_steps - warmup, 1))
    elif kind == "multistep":
        marks = (steps_of(mark, f"{field}.milestones") - warmup for mark in settings["milestones"])
        main = optax.piecewise_constant_schedule(peak, {mark: settings["gamma"] for mark in marks})
    else:
        main = optax.constant_schedule(peak)
    if not warmup:
        return main
    # The first step already moves: a rate of 0 would waste it.
    return optax.join_schedules([optax.linear_schedule(peak / warmup, peak, warmup - 1 or 1), main], [warmup])


def kernels_only(params):
    """Which parameters decay: weights of two and more dimensions, but no embedding's null vectors."""
    return jax.tree.map_with_path(lambda path, p: p.ndim > 1 and "null" not in jax.tree_util.keystr(path), params)
