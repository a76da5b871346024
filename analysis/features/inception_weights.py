"""The published weights of FID's Inception: found or downloaded, checked, and read without torch.

pytorch-fid and torch-fidelity publish the same file under two names. The eight hex digits in them begin its SHA-256;
the others are those that users of both have put on record.
"""

import http.client
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from analysis.features.batchnorm import fold
from analysis.features.file_hash import sha256
from analysis.features.torch_pickle import read_arrays
from data import UserError

NAMES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAMES[0]}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
VARIABLE = "MEDGEN_INCEPTION"
CACHE = Path(".cache/weights")
TIMEOUT = 30  # seconds without an answer
EPSILON = 1e-3  # of the batch norms


def find(path: str | Path | None = None, cache: Path = CACHE) -> Path:
    """The checked file: `path`, else what MEDGEN_INCEPTION names, else in `cache`, else downloaded into it.

    Raises:
      UserError: no file where one was named, a download that failed, or a file that is not the published one.
    """
    named = path or os.environ.get(VARIABLE)
    if named and not Path(named).is_file():
        origin = "" if path else f", which {VARIABLE} names"
        raise UserError(f"there is no file {named}{origin}; {NAMES[0]} can be had from {URL}")
    known = [cache / name for name in NAMES if (cache / name).is_file()]
    if not named and not known:
        return _download(cache)
    found = Path(named) if named else known[0]
    digest = sha256(found)
    if digest != SHA256:
        raise UserError(
            f"{found} is not the published Inception (its SHA-256 begins with {digest[:8]}, not {SHA256[:8]}); "
            f"put {NAMES[0]} from {URL} in its place"
        )
    return found


def _download(cache: Path) -> Path:
    """Whole and checked, or not at all."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            temporary = Path(folder) / NAMES[0]
            with urllib.request.urlopen(URL, timeout=TIMEOUT) as source, temporary.open("wb") as file:
                shutil.copyfileobj(source, file)
            digest = sha256(temporary)
            if digest != SHA256:
                raise OSError(f"what came has a SHA-256 that begins with {digest[:8]}, not {SHA256[:8]}")
            return temporary.replace(cache / NAMES[0])
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"the weights of Inception could not be downloaded ({error}): take {NAMES[0]} from {URL} on another "
            f"machine and set {VARIABLE} to where you put it"
        ) from error


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
