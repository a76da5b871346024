"""3 x 3 convolution by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin and Gray, 2016), for CPUs.

XLA runs matrix products near a CPU's peak and convolutions below it, and this takes 16 products where a direct
convolution takes 36: with 96 channels or more a convolution and its derivatives take about 0.6 of the time. The
result is the same sum in another order; float32 agrees to about 3e-6. Each 4 x 4 tile of the image (at a stride of 2)
gives 2 x 2 results: Y = A^T [(G k G^T) * (B^T d B)] A.

Two JAX primitives, each the other's derivative, so that every mode of differentiation and vmap work: autodiff of
the tile arithmetic itself is correct but slow, since it scatters into zeros. On a GPU or TPU they lower to XLA's
convolution.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Array = jax.Array
Grid = list[list[Array]]


def conv3x3(x: Array, kernel: Array) -> Array:
    """Convolution with a border of zeros: [b, h, w, c], [3, 3, c, d] -> [b, h, w, d]; h and w even."""
    return conv_p.bind(x, kernel)


def conv3x3_kernel_gradient(x: Array, cotangent: Array) -> Array:
    """Derivative of <conv3x3(x, k), cotangent> by k: [b, h, w, c], [b, h, w, d] -> [3, 3, c, d]."""
    return kernel_gradient_p.bind(x, cotangent)


def direct(x: Array, kernel: Array) -> Array:
    """`conv3x3` by XLA's convolution."""
    ones = (1, 1)
    return jax.lax.conv_general_dilated(
        x, kernel, ones, (ones, ones), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def direct_kernel_gradient(x: Array, cotangent: Array) -> Array:
    """`conv3x3_kernel_gradient` by XLA's convolution."""
    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[-1], cotangent.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda k: direct(x, k), kernel)(cotangent)[0]


def winograd(x: Array, kernel: Array) -> Array:
    b, h, w, _ = x.shape
    products = [v @ u for v, u in zip(input_tiles(x), kernel_tiles(kernel), strict=True)]
    return join(both(output_line, grid([m.reshape(b, h // 2, w // 2, -1) for m in products])))


def winograd_kernel_gradient(x: Array, cotangent: Array) -> Array:
    # The barrier keeps XLA from holding the forward pass's tiles, four times the size of x, until here.
    x, cotangent = jax.lax.optimization_barrier((x, cotangent))
    tiles = [m.reshape(-1, m.shape[-1]) for m in flat(both(output_line_t, split(cotangent)))]
    gradient = jnp.stack([v.T @ m for v, m in zip(input_tiles(x), tiles, strict=True)])
    gradient = gradient.reshape(4, 4, *gradient.shape[1:])
    columns = jnp.stack(kernel_line_t(gradient))
    return jnp.stack(kernel_line_t(columns.swapaxes(0, 1)), axis=1)


def input_tiles(x: Array) -> list[Array]:
    """B^T d B of every tile: [b, h, w, c] -> 16 arrays [tiles, c]."""
    b, h, w, c = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(b, h // 2 + 1, 2, w // 2 + 1, 2, c)
    # Without the barrier XLA may repeat the producer of x (a norm, an activation) in each of the 16 results.
    padded = jax.lax.optimization_barrier(padded)
    # Pixel i of a tile is pixel i % 2 of a pair: of the tile's own pair, or of the next.
    rows, columns = ((slice(0, n), slice(1, n + 1)) for n in (h // 2, w // 2))
    tile = [[padded[:, rows[i // 2], i % 2, columns[j // 2], j % 2] for j in range(4)] for i in range(4)]
    return [v.reshape(-1, c) for v in flat(both(input_line, tile))]


def kernel_tiles(kernel: Array) -> list[Array]:
    """G k G^T: [3, 3, c, d] -> 16 arrays [c, d]."""
    rows = jnp.stack(kernel_line(kernel))
    tiles = jnp.stack(kernel_line(rows.swapaxes(0, 1)), axis=1)
    return list(tiles.reshape(16, *kernel.shape[2:]))


# One-dimensional transforms, on sequences of arrays: B^T, G and its transpose, A^T and its transpose.


def input_line(d: Sequence[Array]) -> list[Array]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def kernel_line(k: Sequence[Array]) -> list[Array]:
    even, odd = (k[0] + k[2]) / 2, k[1] / 2
    return [k[0], even + odd, even - odd, k[2]]


def kernel_line_t(u: Sequence[Array]) -> list[Array]:
    even = (u[1] + u[2]) / 2
    return [u[0] + even, (u[1] - u[2]) / 2, u[3] + even]


def output_line(m: Sequence[Array]) -> list[Array]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def output_line_t(y: Sequence[Array]) -> list[Array]:
    return [y[0], y[0] + y[1], y[0] - y[1], -y[1]]


def both(line: Callable, tile: Grid) -> Grid:
    """Applies a one-dimensional transform along the columns of a grid and then along its rows."""
    columns = [line(column) for column in zip(*tile, strict=True)]
    return [line(row) for row in zip(*columns, strict=True)]


def grid(arrays: list[Array]) -> Grid:
    return [arrays[4 * i : 4 * i + 4] for i in range(4)]


def flat(tile: Grid) -> list[Array]:
    return [a for row in tile for a in row]


def split(x: Array) -> Grid:
    """[b, h, w, c] -> 2 x 2 grid of [b, h / 2, w / 2, c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c)
    return [[x[:, :, i, :, j] for j in range(2)] for i in range(2)]


def join(tile: Grid) -> Array:
    """Inverse of `split`."""
    x = jnp.stack([jnp.stack(row, axis=3) for row in tile], axis=2)
    b, h, _, w, _, c = x.shape
    return x.reshape(b, 2 * h, 2 * w, c)


def adjoint(kernel: Array) -> Array:
    """Kernel [3, 3, d, c] of the convolution that is the transpose of the one by `kernel` [3, 3, c, d]."""
    return jnp.flip(kernel, (0, 1)).swapaxes(2, 3)


def make_primitive(
    name: str, fast: Callable, plain: Callable, x_rule: Callable, y_rule: Callable
) -> Primitive:
    """A bilinear primitive: `fast` on a CPU, `plain` elsewhere; x_rule(ct, y) and y_rule(ct, x) are its transposes."""
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(primitive.bind))
    primitive.def_abstract_eval(lambda x, y: jax.core.ShapedArray(jax.eval_shape(plain, x, y).shape, x.dtype))
    ad.defbilinear(primitive, lambda ct, _, y: x_rule(ct, y), lambda ct, x, _: y_rule(ct, x))
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(fast, multiple_results=False), platform="cpu")
    return primitive


conv_p = make_primitive(
    "winograd_conv3x3",
    winograd,
    direct,
    lambda cotangent, kernel: conv3x3(cotangent, adjoint(kernel)),
    lambda cotangent, x: conv3x3_kernel_gradient(x, cotangent),
)
kernel_gradient_p = make_primitive(
    "winograd_conv3x3_kernel_gradient",
    winograd_kernel_gradient,
    direct_kernel_gradient,
    lambda kernel, cotangent: conv3x3(cotangent, adjoint(kernel)),
    lambda kernel, x: conv3x3(x, kernel),
)


def batch_conv(operands: tuple[Array, Array], axes: tuple) -> tuple[Array, int]:
    """vmap: more images where only x is mapped, XLA's convolution where the kernel is."""
    (x, kernel), (x_axis, kernel_axis) = operands, axes
    if kernel_axis is not None:
        return jax.vmap(direct, (x_axis, kernel_axis))(x, kernel), 0
    x = jnp.moveaxis(x, x_axis, 0)
    y = conv3x3(x.reshape(-1, *x.shape[2:]), kernel)
    return y.reshape(*x.shape[:2], *y.shape[1:]), 0


def batch_kernel_gradient(operands: tuple[Array, Array], axes: tuple) -> tuple[Array, int]:
    return jax.vmap(direct_kernel_gradient, axes)(*operands), 0


batching.primitive_batchers[conv_p] = batch_conv
batching.primitive_batchers[kernel_gradient_p] = batch_kernel_gradient
