"""The vision transformer of DINOv2 (Oquab et al. 2024; Dosovitskiy et al. 2021) without registers, in plain JAX.

Patches of 14 pixels and a class token, a learned position added to each, then blocks of attention and of a perceptron,
each behind a layer norm, scaled channel by channel and added to what came in (Touvron et al. 2021, "layer scale").
"""

import dataclasses

import jax
import jax.numpy as jnp

PATCH, SIZE = 14, 224
SIDE = SIZE // PATCH  # patches along a side of an image
HEAD = 64  # channels a head of the attention, in every size that was published
EPSILON = 1e-6  # of the layer norms

Array = jax.Array
Params = dict[str, Array | dict[str, Array]]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Channels of a token, and the number of blocks."""

    width: int
    depth: int


def features(params: Params, x: Array) -> Array:
    """Images [b, 224, 224, 3], ImageNet-normalised -> the class token behind the last norm, [b, width]."""
    with jax.default_matmul_precision("highest"):  # a GPU would round float32 to TF32 otherwise
        return _norm(params, "norm", run_blocks(params, embed(params, x))[0][:, 0])


def embed(params: Params, x: Array) -> Array:
    """Images [b, 224, 224, 3] -> tokens [b, 1 + 256, width], the class first, positions added."""
    x = x.reshape(-1, SIDE, PATCH, SIDE, PATCH, 3).swapaxes(2, 3).reshape(-1, SIDE * SIDE, PATCH * PATCH * 3)
    tokens = _dense(params, "patch", x)
    first = jnp.broadcast_to(params["class"], (len(x), 1, tokens.shape[-1]))
    return jnp.concatenate([first, tokens], 1) + params["position"]


def run_blocks(params: Params, x: Array, keep: bool = False) -> tuple[Array, Array | None]:
    """Tokens [b, n, width] behind the last block, and where `keep` behind each, [depth, b, n, width].

    The blocks' arrays are stacked along a leading axis, so that one block is compiled and not `depth`.
    """

    def step(x: Array, block: dict[str, Array]) -> tuple[Array, Array | None]:
        x = _block(block, x)
        return x, x if keep else None

    return jax.lax.scan(step, x, params["blocks"])


def _block(block: dict[str, Array], x: Array) -> Array:
    x = x + block["scale1"] * _attention(block, _norm(block, "norm1", x))
    hidden = jax.nn.gelu(_dense(block, "fc1", _norm(block, "norm2", x)), approximate=False)
    return x + block["scale2"] * _dense(block, "fc2", hidden)


def _attention(block: dict[str, Array], x: Array) -> Array:
    qkv = _dense(block, "qkv", x).reshape(*x.shape[:2], 3, -1, HEAD)
    return _dense(block, "proj", jax.nn.dot_product_attention(*jnp.moveaxis(qkv, 2, 0)).reshape(x.shape))


def _dense(params: Params, name: str, x: Array) -> Array:
    return x @ params[f"{name}_kernel"] + params[f"{name}_bias"]


def _norm(params: Params, name: str, x: Array) -> Array:
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(x.var(-1, keepdims=True) + EPSILON) * params[f"{name}_gain"] + params[f"{name}_bias"]
