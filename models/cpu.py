"""What XLA must be told on a CPU to be fast there; on a GPU or TPU nothing here does anything.

`materialise`: XLA fuses cheap element-wise producers into every consumer. The gradient along a chain of residual
blocks is a sum over all blocks passed so far, and each consumer of it computes that sum anew, at a cost that grows
with the square of the depth. An optimisation barrier does not help, since it is removed before fusion; a conditional
cannot be fused.

`jit`: of XLA's two CPU libraries for convolutions and matrix products the newer one (YNNPACK) is the slower on the
convolutions of a U-Net, so that it is left out. `analysis.bench` measures both.
"""

from collections.abc import Callable

import jax
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


def write_out(x: Array) -> Array:
    # Both branches give x, whatever the first element is, but the compiler does not know.
    return jax.lax.cond(x[(0,) * x.ndim] == 0, lambda x: x + 0, lambda x: x, x)


materialise_p = Primitive("materialise")
materialise_p.def_impl(lambda x: x)
materialise_p.def_abstract_eval(lambda x: x)
ad.deflinear2(materialise_p, lambda cotangent, _: [materialise(cotangent)])
batching.defvectorized(materialise_p)
mlir.register_lowering(materialise_p, mlir.lower_fun(lambda x: x, multiple_results=False))
mlir.register_lowering(materialise_p, mlir.lower_fun(write_out, multiple_results=False), platform="cpu")
