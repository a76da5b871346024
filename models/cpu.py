"""What XLA must be told on a CPU to be fast there; on a GPU or TPU these are the plain identity, sum and broadcast.

`materialise`: XLA fuses cheap element-wise producers into every consumer. The gradient along a chain of residual
blocks is a sum over all blocks passed so far, and each consumer of it computes that sum anew, at a cost that grows
with the square of the depth. An optimisation barrier does not help, since it is removed before fusion; a conditional
cannot be fused. `materialise_gradient` does it to the gradient alone.

`sum_over_space` and its transpose `spread`: a reduction over height and width, channels last, is compiled to one scalar
addition after the other. Additions of one half of the positions to the other are vectorised, and several times as
fast; as long as the number of positions is even, rounding errors grow with its logarithm instead of with itself.

`jit`: of XLA's two CPU libraries for convolutions and matrix products the newer one (YNNPACK) is the slower on the
convolutions of a U-Net, so that it is left out. `analysis.bench` measures both.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Array = jax.Array
COMPILER_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}


def jit(function: Callable, **options) -> Callable:
    """`jax.jit` with the compiler options of this backend; takes the options of `jax.jit`."""
    compiler = COMPILER_OPTIONS if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=compiler, **options)


def materialise(x: Array) -> Array:
    """x, written to memory once on a CPU, and so its gradient; elsewhere nothing at all."""
    return materialise_p.bind(x)


def materialise_gradient(x: Array) -> Array:
    """x; the gradient with respect to it is written to memory once on a CPU."""
    return materialise_gradient_p.bind(x)


def sum_over_space(x: Array) -> Array:
    """The sum over positions, [..., h, w, c] -> [..., c]; its gradient is `spread`."""
    return sum_over_space_p.bind(x)


def spread(x: Array, height: int, width: int) -> Array:
    """x at every position, [..., c] -> [..., height, width, c]; its gradient is `sum_over_space`."""
    return spread_p.bind(x, height=height, width=width)


def identity(x: Array) -> Array:
    return x


def write_out(x: Array) -> Array:
    # Both branches give x, whatever the first element is, but the compiler does not know.
    return jax.lax.cond(x[(0,) * x.ndim] == 0, lambda x: x + 0, lambda x: x, x)


def add_up(x: Array) -> Array:
    return x.sum((-3, -2))


def add_halves(x: Array) -> Array:
    *lead, height, width, channels = x.shape
    dtype, x = x.dtype, x.reshape(*lead, height * width, channels)
    x = x.astype(jnp.promote_types(dtype, jnp.float32))  # as `sum` does: half precision would lose the small terms
    while x.shape[-2] and x.shape[-2] % 2 == 0:
        half = x.shape[-2] // 2
        x = x[..., :half, :] + x[..., half:, :]
    return x.sum(-2).astype(dtype)


def broadcast(x: Array, height: int, width: int) -> Array:
    return jnp.broadcast_to(x[..., None, None, :], (*x.shape[:-1], height, width, x.shape[-1]))


def define(name: str, anywhere: Callable, on_cpu: Callable, shape: Callable, transpose: Callable) -> Primitive:
    """A linear primitive of one array of floats whose leading axes are a batch; not for use under `shard_map`.

    Args:
      anywhere, on_cpu: (x, **parameters) -> result, for each kind of device.
      shape: (shape of x, **parameters) -> shape of the result.
      transpose: (gradient, abstract x, **parameters) -> gradient with respect to x.
    """
    primitive = Primitive(name)
    primitive.def_impl(anywhere)
    primitive.def_abstract_eval(lambda x, **parameters: _abstract(x, shape(x.shape, **parameters)))
    ad.deflinear2(primitive, lambda gradient, x, **parameters: [transpose(gradient, x.aval, **parameters)])

    def batch(arrays, axes, **parameters):
        return primitive.bind(jnp.moveaxis(arrays[0], axes[0], 0), **parameters), 0

    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(anywhere, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(on_cpu, multiple_results=False), platform="cpu")
    return primitive


def _abstract(x: ShapedArray, shape: tuple[int, ...]) -> ShapedArray:
    return x if shape == x.shape else ShapedArray(shape, x.dtype)


materialise_p = define("materialise", identity, write_out, identity, lambda gradient, x: materialise(gradient))
materialise_gradient_p = define(
    "materialise_gradient", identity, identity, identity, lambda gradient, x: materialise(gradient)
)
sum_over_space_p = define(
    "sum_over_space", add_up, add_halves, lambda shape: (*shape[:-3], shape[-1]),
    lambda gradient, x: spread(gradient, *x.shape[-3:-1]),
)  # fmt: skip
spread_p = define(
    "spread", broadcast, broadcast, lambda shape, height, width: (*shape[:-1], height, width, shape[-1]),
    lambda gradient, x, height, width: sum_over_space(gradient),
)  # fmt: skip
