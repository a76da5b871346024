"""The published weights of DINOv2: found or downloaded, checked, and read without torch.

The authors publish a state dict a size. Its name holds no hash; the SHA-256 here are those that users of the files have
put on record. Hugging Face's safetensors file of the same network is read too; its hash
is not known here, and stands in result files as it is.
"""

from pathlib import Path

import numpy as np

from analysis.features.dinov2_net import PATCH, SIDE, Architecture, Params
from analysis.features.published import CACHE, Published
from data import UserError
from train.weight_files import read_weights

URL = "https://dl.fbaipublicfiles.com/dinov2"
ARCHITECTURES = {
    "dinov2": Architecture(1024, 24),  # ViT-L/14, that of FD-DINOv2 (Stein et al. 2023)
    "dinov2_vitb14": Architecture(768, 12),
    "dinov2_vits14": Architecture(384, 12),
}
SHA256 = {
    "dinov2": "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    "dinov2_vitb14": "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    "dinov2_vits14": "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
}
GRID = 37  # positions along a side that were learned, of images of 518 pixels
OFFSET = 0.1  # which the authors add to the new side, against rounding; it moves the places a little
# Hugging Face's names and the authors'.
NAMES = (
    ("embeddings.cls_token", "cls_token"), ("embeddings.mask_token", "mask_token"),
    ("embeddings.position_embeddings", "pos_embed"), ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("encoder.layer.", "blocks."), (".attention.output.dense.", ".attn.proj."), (".attention.attention.", ".attn."),
    (".layer_scale1.lambda1", ".ls1.gamma"), (".layer_scale2.lambda1", ".ls2.gamma"), ("layernorm.", "norm."),
)  # fmt: skip


def published(name: str) -> Published:
    """The file of one of ARCHITECTURES; the environment's variable is MEDGEN_ and the name in capitals."""
    file = "dinov2_vitl14" if name == "dinov2" else name
    names = (f"{file}_pretrain.pth",)
    variable = f"MEDGEN_{name.upper()}"
    return Published(name, names, f"{URL}/{file}/{names[0]}", SHA256[name], variable, (".safetensors",))


def find(name: str, path: str | Path | None = None, cache: Path = CACHE) -> Path:
    """The file: `path`, else what the environment's variable names, else in `cache`, else downloaded into it.

    Raises:
      UserError: no file where one was named, a download that failed, or a .pth file that is not the published one.
    """
    return published(name).find(path, cache)


def load(name: str, path: Path) -> Params:
    """Parameters for `dinov2_net.features`.

    Raises:
      UserError: the file is damaged or of another network.
    """
    try:
        return to_params(_authors_names(read_weights(path)), ARCHITECTURES[name])
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as the weights of {name} ({error})") from error


def to_params(raw: dict[str, np.ndarray], architecture: Architecture) -> Params:
    """A state dict under the authors' names -> arrays for `dinov2_net`, positions brought to 16 x 16.

    Raises:
      ValueError: arrays that are lacking, of another shape, or not of this network.
    """
    _check(raw, architecture)
    kernel, position = raw["patch_embed.proj.weight"], raw["pos_embed"][0]
    blocks = [_block(raw, f"blocks.{i}.") for i in range(architecture.depth)]
    return {
        "patch_kernel": kernel.transpose(2, 3, 1, 0).reshape(-1, architecture.width),
        "patch_bias": raw["patch_embed.proj.bias"],
        "class": raw["cls_token"],
        "position": np.concatenate([position[:1], resize_positions(position[1:], SIDE)]),
        "blocks": {name: np.stack([block[name] for block in blocks]) for name in blocks[0]},
        "norm_gain": raw["norm.weight"],
        "norm_bias": raw["norm.bias"],
    }


def resize_positions(position: np.ndarray, side: int) -> np.ndarray:
    """Learned positions [37 * 37, width] -> [side * side, width], as the authors' code brings them there.

    Bicubic (a = -0.75), not antialiased, place i at (i + 1/2) 37 / (side + 0.1) - 1/2; beyond the edge its value holds.
    """
    matrix = _bicubic(side)
    grid = position.reshape(GRID, GRID, -1).astype(np.float64)
    return np.einsum("ip,jq,pqc->ijc", matrix, matrix, grid, optimize=True).reshape(side * side, -1).astype(np.float32)


def _bicubic(side: int, a: float = -0.75) -> np.ndarray:
    """Weights [side, 37] of the learned positions in each new one (Keys 1981, eq. 5)."""
    places = (np.arange(side) + 0.5) * (GRID / (side + OFFSET)) - 0.5
    matrix = np.zeros((side, GRID))
    for tap in range(-1, 3):
        at = np.floor(places).astype(int) + tap
        d = np.abs(places - at)
        near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * (d**3 - 5 * d**2 + 8 * d - 4)
        matrix[np.arange(side), at.clip(0, GRID - 1)] += np.where(d <= 1, near, far)
    return matrix


def _block(raw: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    block = {"scale1": raw[f"{prefix}ls1.gamma"], "scale2": raw[f"{prefix}ls2.gamma"]}
    for ours, theirs in (("qkv", "attn.qkv"), ("proj", "attn.proj"), ("fc1", "mlp.fc1"), ("fc2", "mlp.fc2")):
        block[f"{ours}_kernel"] = raw[f"{prefix}{theirs}.weight"].T
        block[f"{ours}_bias"] = raw[f"{prefix}{theirs}.bias"]
    for name in ("norm1", "norm2"):
        block[f"{name}_gain"], block[f"{name}_bias"] = raw[f"{prefix}{name}.weight"], raw[f"{prefix}{name}.bias"]
    return block


def shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """{the authors' name: shape} of every array that is used."""
    d = architecture.width
    block = {"norm1.weight": (d,), "norm1.bias": (d,), "attn.qkv.weight": (3 * d, d), "attn.qkv.bias": (3 * d,),
             "attn.proj.weight": (d, d), "attn.proj.bias": (d,), "ls1.gamma": (d,), "norm2.weight": (d,),
             "norm2.bias": (d,), "mlp.fc1.weight": (4 * d, d), "mlp.fc1.bias": (4 * d,), "mlp.fc2.weight": (d, 4 * d),
             "mlp.fc2.bias": (d,), "ls2.gamma": (d,)}  # fmt: skip
    whole = {"cls_token": (1, 1, d), "pos_embed": (1, 1 + GRID * GRID, d), "patch_embed.proj.bias": (d,),
             "patch_embed.proj.weight": (d, 3, PATCH, PATCH), "norm.weight": (d,), "norm.bias": (d,)}  # fmt: skip
    return whole | {f"blocks.{i}.{name}": s for i in range(architecture.depth) for name, s in block.items()}


def _check(raw: dict[str, np.ndarray], architecture: Architecture) -> None:
    expected = shapes(architecture)
    for name, shape in expected.items():
        if name not in raw or raw[name].shape != shape:
            found = f"is {raw[name].shape}" if name in raw else "is lacking"
            raise ValueError(f"{name} {found}; shape {shape} is needed")
    foreign = sorted(raw.keys() - expected.keys() - {"mask_token"})  # of training alone
    if foreign:
        raise ValueError(f"{foreign[0]} does not belong to this network")


def _authors_names(raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Hugging Face's names turned into the authors', query, key and value joined; the authors' stay."""
    renamed = {}
    for name, array in raw.items():
        for theirs, authors in NAMES:
            name = name.replace(theirs, authors)
        renamed[name] = array
    for name in [name for name in renamed if ".attn.query." in name]:
        parts = [renamed.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        renamed[name.replace("query", "qkv")] = np.concatenate(parts)
    return renamed
