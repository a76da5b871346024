"""Published weights -> parameters of our networks: pure functions of arrays, named as the source names them.

Sources: diffusers' UNet2DModel and guided-diffusion's UNetModel. Every array of the source must find its place: an
unknown name is an error, not a warning. Label embeddings of one-hot classes become the rows for a known label; there
is no null label in them, so its rows are zero.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]

DIFFUSERS = (
    (r"conv_in\.", "conv_in/"),
    (r"conv_norm_out\.", "norm_out/"),
    (r"conv_out\.", "conv_out/"),
    (r"time_embedding\.linear_(\d)\.", lambda m, _: f"time_embedding/dense_{int(m[1]) - 1}/"),
    (r"class_embedding\.", "label_embedding/"),
    (r"down_blocks\.(\d+)\.resnets\.(\d+)\.", r"down_\1_block_\2/"),
    (r"down_blocks\.(\d+)\.attentions\.(\d+)\.", r"down_\1_attention_\2/"),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down_\1_downsample/"),
    (r"mid_block\.resnets\.(\d)\.", r"mid_block_\1/"),
    (r"mid_block\.attentions\.0\.", "mid_attention/"),
    (r"up_blocks\.(\d+)\.resnets\.(\d+)\.", lambda m, n: f"up_{n - 1 - int(m[1])}_block_{m[2]}/"),
    (r"up_blocks\.(\d+)\.attentions\.(\d+)\.", lambda m, n: f"up_{n - 1 - int(m[1])}_attention_{m[2]}/"),
    (r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m, n: f"up_{n - 1 - int(m[1])}_upsample/"),
)
LAYERS = {
    "norm1.": "norm_0/",
    "conv1.": "conv_0/",
    "time_emb_proj.": "embedding/",
    "norm2.": "norm_1/",
    "conv2.": "conv_1/",
    "conv_shortcut.": "shortcut/",
    "group_norm.": "norm/",
    "to_q.": "query/",
    "to_k.": "key/",
    "to_v.": "value/",
    "to_out.0.": "out/",
    "query.": "query/",  # the names before 2023, in many published files
    "key.": "key/",
    "value.": "value/",
    "proj_attn.": "out/",
    "conv.": "conv/",
    # guided-diffusion
    "in_layers.0.": "norm_0/",
    "in_layers.2.": "conv_0/",
    "emb_layers.1.": "embedding/",
    "out_layers.0.": "norm_1/",
    "out_layers.3.": "conv_1/",
    "skip_connection.": "shortcut/",
    "op.": "conv/",
    "norm.": "norm/",
    "qkv.": "qkv/",
    "proj_out.": "out/",
    "weight": "weight",
    "bias": "bias",
}


def unet_from_published(weights: Arrays) -> tuple[str, dict]:
    """(layout's name, parameters) of published weights, the layout told by their names.

    Raises:
      KeyError: neither layout, or a name that `models.unet.UNet` has no place for.
    """
    if any(name.startswith("down_blocks.") for name in weights):
        return "diffusers", unet_from_diffusers(weights)
    if any(name.startswith("input_blocks.") for name in weights):
        return "guided-diffusion", unet_from_guided_diffusion(weights, *guided_shape(weights))
    raise KeyError(
        f"weights of neither diffusers' UNet2DModel (down_blocks...) nor guided-diffusion (input_blocks...); "
        f"they begin with {', '.join(list(weights)[:3])}"
    )


def guided_shape(weights: Arrays) -> tuple[int, int]:
    """(levels, blocks a level) of guided-diffusion's UNetModel: where its way up first changes resolution."""
    outputs = 1 + max(int(m[1]) for name in weights if (m := re.match(r"output_blocks\.(\d+)\.", name)))
    ups = [int(m[1]) for name in weights
           if (m := re.match(r"output_blocks\.(\d+)\.[12]\.(?:conv|in_layers\.0)\.weight$", name))]  # fmt: skip
    blocks = min(ups, default=outputs - 1)
    return outputs // (blocks + 1), blocks


def unet_from_diffusers(weights: Arrays) -> dict:
    """State of diffusers' UNet2DModel -> parameters of `models.unet.UNet` with attention_layout "separate"."""
    levels = 1 + max(int(m[1]) for name in weights if (m := re.match(r"down_blocks\.(\d+)\.", name)))
    return nest((diffusers_path(name, levels), array) for name, array in weights.items())


def diffusers_path(name: str, levels: int) -> str:
    for pattern, place in DIFFUSERS:
        if match := re.match(pattern, name):
            prefix = match.expand(place) if isinstance(place, str) else place(match, levels)
            return prefix + layer(name[match.end() :], name)
    raise KeyError(f"{name} is no weight of a UNet2DModel that models.unet.UNet can express")


def unet_from_guided_diffusion(weights: Arrays, levels: int, blocks: int) -> dict:
    """State of guided-diffusion's UNetModel -> parameters of `models.unet.UNet`, attention "legacy" or "split".

    Args:
      weights: the state, by name.
      levels: number of channel multipliers.
      blocks: num_res_blocks.
    """
    return nest((guided_path(name, weights, levels, blocks), array) for name, array in weights.items())


def guided_path(name: str, weights: Arrays, levels: int, blocks: int) -> str:
    fixed = {
        "input_blocks.0.0": "conv_in/",
        "time_embed.0": "time_embedding/dense_0/",
        "label_emb": "label_embedding/",
    }
    fixed |= {"time_embed.2": "time_embedding/dense_1/", "out.0": "norm_out/", "out.2": "conv_out/"}
    fixed |= {
        "middle_block.0": "mid_block_0/",
        "middle_block.1": "mid_attention/",
        "middle_block.2": "mid_block_1/",
    }
    for place, prefix in fixed.items():
        if name.startswith(place + "."):
            return prefix + layer(name[len(place) + 1 :], name)
    match = re.match(r"(input|output)_blocks\.(\d+)\.(\d+)\.(.*)", name)
    if not match:
        raise KeyError(f"{name} is no weight of a UNetModel that models.unet.UNet can express")
    side, n, part, rest = match[1], int(match[2]), int(match[3]), match[4]
    if side == "input":
        level, i = divmod(n - 1, blocks + 1)
        place = (
            f"down_{level}_downsample"
            if i == blocks
            else f"down_{level}_" + ("block", "attention")[part] + f"_{i}"
        )
    else:
        level, i = levels - 1 - n // (blocks + 1), n % (blocks + 1)
        attention = f"output_blocks.{n}.{part}.qkv.weight" in weights
        kind = "block" if part == 0 else "attention" if attention else "upsample"
        place = f"up_{level}_{kind}" + (f"_{i}" if kind != "upsample" else "")
    return f"{place}/{layer(rest, name)}"


def layer(rest: str, name: str) -> str:
    """Our name of a layer within a block, and "weight" or "bias"."""
    for theirs in LAYERS:
        if rest.startswith(theirs):
            return LAYERS[theirs] + rest[len(theirs) :]
    raise KeyError(f"{name}: unknown layer {rest!r}")


def nest(named: Iterable[tuple[str, np.ndarray]]) -> dict:
    """Paths a/b/weight and PyTorch's arrays -> the nested dict of ours."""
    tree: dict = {}
    for path, array in named:
        *place, leaf = path.split("/")
        node = tree
        for part in place:
            node = node.setdefault(part, {})
        node |= leaf_from_torch(place[-1], leaf, np.asarray(array))
    return tree


def leaf_from_torch(module: str, leaf: str, array: np.ndarray) -> dict[str, np.ndarray]:
    if module == "label_embedding":
        return {"kernel": array, "null": np.zeros_like(array)}
    if leaf == "bias":
        return {"bias": array}
    if array.ndim == 1:
        return {"scale": array}
    if array.ndim == 4:
        return {"kernel": array.transpose(2, 3, 1, 0)}
    return {
        "kernel": (array[..., 0] if array.ndim == 3 else array).T
    }  # attention: linear, or 1-d convolution
