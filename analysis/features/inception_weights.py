"""The published weights of FID's Inception, read without torch.

pytorch-fid and torch-fidelity publish the same file under two names. The eight hex digits in them begin its SHA-256;
the others are those that users of both have put on record.
"""

from pathlib import Path
from typing import Any

import numpy as np

from analysis.features.batchnorm import fold
from analysis.features.published import CACHE, Published
from data import UserError
from train.torch_pickle import read_arrays

NAMES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAMES[0]}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
VARIABLE = "MEDGEN_INCEPTION"
EPSILON = 1e-3  # of the batch norms


def find(path: str | Path | None = None, cache: Path = CACHE) -> Path:
    """The checked file: `path`, else what MEDGEN_INCEPTION names, else in `cache`, else downloaded into it.

    Raises:
      UserError: no file where one was named, a download that failed, or a file that is not the published one.
    """
    return Published("Inception", NAMES, URL, SHA256, VARIABLE).find(path, cache)


def load(path: Path) -> dict[str, Any]:
    """Parameters of `inception.Inception`, batch norms folded in.

    Raises:
      UserError: the file is damaged or holds other arrays.
    """
    try:
        return to_params(read_arrays(path))
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as Inception's weights ({error})") from error


def to_params(raw: dict[str, np.ndarray]) -> dict[str, Any]:
    """PyTorch's names ("Mixed_5b.branch1x1.conv.weight") -> Flax's tree."""
    params: dict[str, Any] = {"fc": {"kernel": raw["fc.weight"].T}, "fc_bias": raw["fc.bias"]}
    for name in (key.removesuffix(".conv.weight") for key in raw if key.endswith(".conv.weight")):
        *block, layer = name.split(".")
        kernel, bias = fold(raw, f"{name}.conv", f"{name}.bn", EPSILON)
        tree = params.setdefault(block[0], {}) if block else params
        tree[layer] = {"kernel": kernel, "bias": bias}
    return params
