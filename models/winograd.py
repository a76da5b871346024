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


def conv3x3_transpose(y: Array, kernel: Array) -> Array:
    """Its transpose in x: [b, h, w, d], [3, 3, c, d] -> [b, h, w, c]."""
    return transpose_p.bind(y, kernel)


def conv3x3_kernel(x: Array, y: Array) -> Array:
    """Its transpose in the kernel: [b, h, w, c], [b, h, w, d] -> [3, 3, c, d]."""
    return kernel_p.bind(x, y)


# The same three by XLA's convolution.


def direct(x: Array, kernel: Array) -> Array:
    ones = (1, 1)
    return jax.lax.conv_general_dilated(x, kernel, ones, (ones, ones), dimension_numbers=("NHWC", "HWIO", "NHWC"))


def direct_transpose(y: Array, kernel: Array) -> Array:
    x = jax.ShapeDtypeStruct((*y.shape[:3], kernel.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: direct(x, kernel), x)(y)[0]


def direct_kernel(x: Array, y: Array) -> Array:
    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda kernel: direct(x, kernel), kernel)(y)[0]


# The same three by Winograd's algorithm.


def winograd(x: Array, kernel: Array) -> Array:
    return from_products(x.shape, [v @ u for v, u in zip(input_tiles(x), kernel_tiles(kernel), strict=True)])


def winograd_transpose(y: Array, kernel: Array) -> Array:
    # The kernel turned by half a circle has the same tiles with the first and last row and column exchanged.
    u = grid(kernel_tiles(kernel))
    u = [u[i][j].T for i in (3, 1, 2, 0) for j in (3, 1, 2, 0)]
    return from_products(y.shape, [v @ a for v, a in zip(input_tiles(y), u, strict=True)])


def winograd_kernel(x: Array, y: Array) -> Array:
    # The barrier keeps XLA from holding the forward pass's tiles, four times the size of x, until here.
    x, y = jax.lax.optimization_barrier((x, y))
    tiles = [m.reshape(-1, m.shape[-1]) for m in flat(both(output_line_t, split(materialise(y))))]
    kernel = jnp.stack([v.T @ m for v, m in zip(input_tiles(x), tiles, strict=True)])
    columns = jnp.stack(kernel_line_t(kernel.reshape(4, 4, *kernel.shape[1:])))
    return jnp.stack(kernel_line_t(columns.swapaxes(0, 1)), axis=1)


def input_tiles(x: Array) -> list[Array]:
    """B^T d B of every tile: [b, h, w, c] -> 16 arrays [tiles, c]."""
    b, h, w, c = x.shape
    padded = jnp.pad(materialise(x), ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(b, h // 2 + 1, 2, w // 2 + 1, 2, c)
    # Pixel i of a tile is pixel i % 2 of a pair: of the tile's own pair, or of the next.
    rows, columns = ((slice(0, n), slice(1, n + 1)) for n in (h // 2, w // 2))
    tile = [[padded[:, rows[i // 2], i % 2, columns[j // 2], j % 2] for j in range(4)] for i in range(4)]
    return [v.reshape(-1, c) for v in flat(both(input_line, tile))]


def kernel_tiles(kernel: Array) -> list[Array]:
    """G k G^T: [3, 3, c, d] -> 16 arrays [c, d]."""
    rows = jnp.stack(kernel_line(kernel))
    tiles = jnp.stack(kernel_line(rows.swapaxes(0, 1)), axis=1)
    return list(tiles.reshape(16, *kernel.shape[2:]))


def from_products(shape: tuple[int, ...], products: list[Array]) -> Array:
    """A^T m A of every tile: 16 arrays [tiles, d] -> [b, h, w, d]."""
    b, h, w, _ = shape
    return join(both(output_line, grid([m.reshape(b, h // 2, w // 2, -1) for m in products])))


def materialise(x: Array) -> Array:
    return x if NOMAT else x / (1 + 0 * x[0, 0, 0, 0])


import os
NOMAT = os.environ.get("NOMAT")


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


def bilinear(name: str, fast: Callable, plain: Callable, x_rule: Callable, y_rule: Callable) -> Primitive:
    """A bilinear primitive, `fast` on a CPU and `plain` elsewhere; x_rule(ct, y), y_rule(ct, x) are its transposes."""
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(primitive.bind))
    primitive.def_abstract_eval(lambda x, y: jax.core.ShapedArray(jax.eval_shape(plain, x, y).shape, x.dtype))
    ad.defbilinear(primitive, lambda ct, _, y: x_rule(ct, y), lambda ct, x, _: y_rule(ct, x))
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(fast, multiple_results=False), platform="cpu")
    batching.primitive_batchers[primitive] = lambda operands, axes: batch(primitive, plain, operands, axes)
    return primitive


def batch(primitive: Primitive, plain: Callable, operands: tuple[Array, Array], axes: tuple) -> tuple[Array, int]:
    """vmap: more images where only they are mapped, XLA's convolution otherwise."""
    (x, y), (x_axis, y_axis) = operands, axes
    if y_axis is not None:
        return jax.vmap(plain, axes)(x, y), 0
    x = jnp.moveaxis(x, x_axis, 0)
    out = primitive.bind(x.reshape(-1, *x.shape[2:]), y)
    return out.reshape(*x.shape[:2], *out.shape[1:]), 0


conv_p = bilinear(
    "winograd_conv3x3",
    winograd,
    direct,
    lambda ct, kernel: conv3x3_transpose(ct, kernel),
    lambda ct, x: conv3x3_kernel(x, ct),
)
transpose_p = bilinear(
    "winograd_conv3x3_transpose",
    winograd_transpose,
    direct_transpose,
    lambda ct, kernel: conv3x3(ct, kernel),
    lambda ct, y: conv3x3_kernel(ct, y),
)
kernel_p = bilinear(
    "winograd_conv3x3_kernel",
    winograd_kernel,
    direct_kernel,
    lambda ct, y: conv3x3_transpose(y, ct),
    lambda ct, x: conv3x3(x, ct),
)
batching.primitive_batchers[kernel_p] = lambda operands, axes: (jax.vmap(direct_kernel, axes)(*operands), 0)
