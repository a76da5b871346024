"""Low-rank adapters (Hu et al. 2022): a trained kernel W stays, and alpha / rank A B is learned beside it.

The factors lie beside the kernel that they add to, as `lora_a` and `lora_b`, so that every other parameter keeps its
path. B begins at zero: at the start the network computes what it did without them.
"""

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from models.layers import lecun_normal

FACTORS = ("lora_a", "lora_b")


@dataclasses.dataclass(frozen=True, eq=False)
class LowRank:
    """A Flax module with adapters on its convolutions and attention; `init` and `apply` are those of a module.

    Whatever else is asked of it is answered by the module itself.

    Attributes:
      net: the module.
      rank: of each adapter; less where a kernel has fewer channels.
      alpha: the adapters' product is scaled by alpha / rank.
    """

    net: nn.Module
    rank: int
    alpha: float

    def init(self, key: jax.Array, *args, **kwargs) -> dict[str, Any]:
        variables = self.net.init(key, *args, **kwargs)
        return {**variables, "params": add_factors(variables["params"], key, self.rank)}

    def apply(self, variables: Mapping[str, Any], *args, **kwargs):
        merged = merge_factors(variables["params"], self.alpha / self.rank)
        return self.net.apply({**variables, "params": merged}, *args, **kwargs)

    def __getattr__(self, name: str):
        return getattr(self.net, name)


def add_factors(params: Mapping[str, Any], key: jax.Array, rank: int, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """`params` with lora_a [..., c, r] and lora_b [r, d] beside each kernel [..., c, d] that is adapted.

    A is drawn normal with variance 1 / c n^2 of an n x n kernel; B is zero.
    """
    out = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            out[name] = add_factors(value, key, rank, (*path, name))
            continue
        out[name] = value
        if name == "kernel" and is_adapted(path, value.ndim):
            *window, c, d = value.shape
            r = min(rank, c, d)
            place = jax.random.fold_in(key, zlib.crc32("/".join(path).encode()))
            out["lora_a"] = lecun_normal(place, (*window, c, r), jnp.float32)
            out["lora_b"] = jnp.zeros((r, d))
    return out


def is_factor(path: tuple[str, ...]) -> bool:
    """Whether the parameter at `path` is a factor of an adapter."""
    return path[-1] in FACTORS


def is_adapted(path: tuple[str, ...], dimensions: int) -> bool:
    """Whether the kernel of the module at `path` is adapted: convolutions and the layers of attention are."""
    return dimensions == 4 or (dimensions == 2 and any("attention" in part for part in path))


def merge_factors(params: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """`params` without the factors, `scale` times their product added to the kernels."""
    merged = {
        name: merge_factors(value, scale) if isinstance(value, Mapping) else value
        for name, value in params.items()
        if name not in FACTORS
    }
    if "lora_a" in params:
        merged["kernel"] = params["kernel"] + scale * (params["lora_a"] @ params["lora_b"])
    return merged
