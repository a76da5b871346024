"""One optimiser step: exact gradient accumulation, loss scaling, the update and the moving average.

Shared by the families; each calls it once a network.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from models.state import PyTree, State

Batch = dict[str, jax.Array]
_NO_ID = 2**32 - 1  # what is folded into a step's key for all of its examples; theirs fold their ids
# (params, batch) -> (per-example loss [b], {name: per-example [b]})
LossFn = Callable[[PyTree, Batch], tuple[jax.Array, dict[str, jax.Array]]]


@dataclasses.dataclass(frozen=True)
class EMA:
    """Moving average whose half-life is stated in images, with a ramp (Karras et al. 2022, EDM's training loop).

    Attributes:
      halflife_images: images after which an old weight counts half; 0 keeps no average.
      rampup: early on the half-life is at most this share of the images seen, so a short run is not all history.
    """

    halflife_images: float = 500_000.0
    rampup: float = 0.05

    @property
    def on(self) -> bool:
        return self.halflife_images > 0

    def decay(self, step: jax.Array, batch_size: int) -> jax.Array:
        """Decay of the average after optimiser step `step` (1, 2, ...)."""
        images = step.astype(jnp.float32) * batch_size
        halflife = jnp.minimum(self.halflife_images, self.rampup * images)
        return 0.5 ** (batch_size / jnp.maximum(halflife, 1e-8))


@dataclasses.dataclass(frozen=True, eq=False)
class Updater:
    """How the networks of a family are updated.

    Attributes:
      optimizers: network -> optax transformation.
      ema: the moving average kept of every network named in `averaged`.
      accumulate: micro-batches a step; the gradient is that of the whole batch.
      loss_scaling: scale the loss against underflow (float16), skip steps that overflow.
      frozen: network -> paths ("a/b/kernel") of parameters that stay as they are: no gradient is computed for them,
        and their average is themselves. Their optimiser must leave them too.
    """

    optimizers: dict[str, optax.GradientTransformation]
    ema: EMA = EMA()
    accumulate: int = 1
    loss_scaling: bool = False
    frozen: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)

    def init(self, params: dict[str, PyTree], averaged: tuple[str, ...]) -> State:
        """A fresh state for `params`, networks in `averaged` with a moving average."""
        extra: dict[str, Any] = {}
        if self.loss_scaling:
            extra["loss_scale"] = {name: init_loss_scale() for name in params}
        return State(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state={name: self.optimizers[name].init(value) for name, value in params.items()},
            ema={name: jax.tree.map(jnp.copy, params[name]) for name in averaged} if self.ema.on else {},
            extra=extra,
        )

    def step(self, state: State, name: str, loss: LossFn, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        """The whole step of a family with one network: (state, {name: weighted mean} and the gradient's norm)."""
        state, scalars = self.move(state, name, loss, batch)
        return state.replace(step=state.step + 1), scalars

    def move(self, state: State, name: str, loss: LossFn, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        """The same for one network of several; `state.step` is the family's to raise."""
        grads, sums = self.gradient(state, name, loss, batch)
        state, norms = self.apply(state, name, grads, batch["weight"].shape[0])
        return state, sums | norms

    def gradient(self, state: State, name: str, loss: LossFn, batch: Batch):
        """Gradient of the weighted mean loss over the whole batch.

        Returns:
          (gradient, {name: weighted mean}); the loss itself is under "loss".
        """
        scale = state.extra["loss_scale"][name]["scale"] if self.loss_scaling else jnp.ones(())
        total = jnp.maximum(jnp.sum(batch["weight"]), 1e-8)

        def objective(params, part):
            value, scalars = loss(self._stopped(name, params), part)
            sums = {k: jnp.sum(part["weight"] * v) / total for k, v in ({"loss": value} | scalars).items()}
            return sums["loss"] * scale, sums

        grad_fn = jax.value_and_grad(objective, has_aux=True)

        def one(part):
            (_, sums), grads = grad_fn(state.params[name], part)
            return grads, sums

        if self.accumulate == 1:
            grads, sums = one(batch)
        else:
            grads, sums = _sum_over_parts(one, split_batch(batch, self.accumulate))
        return jax.tree.map(lambda g: g.astype(jnp.float32) / scale, grads), sums

    def apply(self, state: State, name: str, grads: PyTree, batch_size: int) -> tuple[State, dict[str, jax.Array]]:
        """Takes the optimiser step for one network, and moves its average. `state.step` is the family's to raise."""
        updates, opt_state = self.optimizers[name].update(grads, state.opt_state[name], state.params[name])
        params = optax.apply_updates(state.params[name], updates)
        norm = optax.tree.norm(grads)
        extra, finite = state.extra, None
        if self.loss_scaling:
            finite = jnp.isfinite(norm)
            keep = lambda new, old: jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)  # noqa: E731
            params, opt_state = keep(params, state.params[name]), keep(opt_state, state.opt_state[name])
            scales = extra["loss_scale"] | {name: next_loss_scale(extra["loss_scale"][name], finite)}
            extra = extra | {"loss_scale": scales}
        ema = state.ema
        if name in ema:
            decay = self.ema.decay(state.step + 1, batch_size)
            frozen = self.frozen.get(name, ())
            follow = lambda path, e, p: p if path_name(path) in frozen else decay * e + (1 - decay) * p  # noqa: E731
            ema = ema | {name: jax.tree.map_with_path(follow, ema[name], params)}
        state = state.replace(
            params=state.params | {name: params},
            opt_state=state.opt_state | {name: opt_state},
            ema=ema,
            extra=extra,
        )
        scalars = {"grad_norm": norm}
        if self.loss_scaling:
            scalars = {"grad_norm": jnp.where(finite, norm, 0.0), "loss_scale": extra["loss_scale"][name]["scale"]}
        return state, scalars

    def _stopped(self, name: str, params: PyTree) -> PyTree:
        """`params` of which the frozen ones are constants, so that no time goes into their gradient."""
        frozen = self.frozen.get(name, ())
        stop = lambda path, p: jax.lax.stop_gradient(p) if path_name(path) in frozen else p  # noqa: E731
        return jax.tree.map_with_path(stop, params) if frozen else params


def path_name(path: tuple) -> str:
    """A path of jax.tree_util as "a/b/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _sum_over_parts(fn, parts: Batch):
    """The sum of fn over the leading axis of `parts`, one part in memory at a time."""
    shapes = jax.eval_shape(fn, jax.tree.map(lambda a: a[0], parts))
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    total, _ = jax.lax.scan(lambda carry, part: (jax.tree.map(jnp.add, carry, fn(part)), None), zeros, parts)
    return total


def split_batch(batch: Batch, parts: int) -> Batch:
    """[b, ...] -> [parts, b / parts, ...]; part i takes examples i, i + parts, ..., so every device keeps its share."""
    return jax.tree.map(lambda a: jnp.swapaxes(a.reshape(a.shape[0] // parts, parts, *a.shape[1:]), 0, 1), batch)


def example_keys(key: jax.Array, ids: jax.Array) -> jax.Array:
    """[b] one key an example, from its id: the draw does not depend on where in which batch it stands.

    An example that stands more than once in a batch, as those of a rare class do where classes are balanced, has
    another key each time.
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
    before = jnp.sum(jnp.tril(ids[:, None] == ids[None], -1), 1)  # how often it stood there already
    again = jax.vmap(jax.random.fold_in)(keys, before)
    return jnp.where(before > 0, again, keys)


def strata(u: jax.Array, key: jax.Array) -> jax.Array:
    """[b] numbers in [0, 1), one in each of b equal parts, from uniform ones u [b] in [0, 1).

    Which place of the batch has which part changes with `key`, that of the step: where a place is always of one class
    (balanced classes, mixed datasets), every class must see every part. All are below 1 also after rounding.
    """
    b = len(u)
    moved = jax.random.randint(jax.random.fold_in(key, _NO_ID), (), 0, b)
    part = (jnp.arange(b) + moved) % b
    return jnp.minimum((part + u) / b, 1 - 2**-24)


def even_draws(ids: jax.Array) -> jax.Array:
    """[b] numbers in [0, 1), even over any run of consecutive ids: the golden ratio's multiples (Weyl's sequence).

    For evaluation, where an example's draw must depend on nothing but its id.
    """
    return (ids.astype(jnp.uint32) * jnp.uint32(2654435769)).astype(jnp.float32) * (1.0 - 2.0**-24) / 2.0**32


def init_loss_scale(initial: float = 2.0**15) -> dict[str, jax.Array]:
    """Dynamic loss scale (Micikevicius et al. 2018): halved on overflow, doubled after 2000 good steps."""
    return {"scale": jnp.asarray(initial, jnp.float32), "good_steps": jnp.zeros((), jnp.int32)}


def next_loss_scale(state: dict[str, jax.Array], finite: jax.Array, growth_every: int = 2000) -> dict[str, jax.Array]:
    good = jnp.where(finite, state["good_steps"] + 1, 0)
    grow = good >= growth_every
    factor = jnp.where(finite, jnp.where(grow, 2.0, 1.0), 0.5)
    return {
        "scale": jnp.clip(state["scale"] * factor, 1.0, 2.0**24),
        "good_steps": jnp.where(grow, 0, good),
    }
