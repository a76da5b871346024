"""The networks that a config can name, and which group each of their parameters belongs to."""

from typing import Any

import flax.linen as nn

from models.family import Setting
from models.lora import LowRank
from models.plain_unet import PlainUNet
from models.unet import UNet

NETWORKS = {"unet": UNet, "plain_unet": PlainUNet}


def build_network(options: dict[str, Any], out_channels: int, setting: Setting) -> nn.Module | LowRank:
    """Takes `network` and the networks' own sections out of `options`, and builds the one that is named.

    Raises:
      ValueError: an unknown network, or a field that it does not have.
    """
    name = options.pop("network")
    sections = {key: options.pop(key, {}) for key in NETWORKS}
    if name not in NETWORKS:
        raise ValueError(f"config.model.network {name!r} is unknown; choose one of {', '.join(NETWORKS)}")
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in sections[name].items()}
    if setting.compute_dtype is not None:
        fields["dtype"] = setting.compute_dtype
    try:
        return setting.adapt(NETWORKS[name](out_channels=out_channels, **fields))
    except TypeError as error:
        raise ValueError(f"config.model.{name}: {error}") from error


def group_of(path: tuple[str, ...]) -> str:
    """stem, head, label or body, from the names of the modules on the way to a parameter."""
    if "label_embedding" in path:
        return "label"
    if path and path[0] in ("conv_in", "conv_local", "conv_guess", "local_down"):
        return "stem"
    if path and path[0] in ("norm_levels", "conv_levels", "local_up", "norm_out", "conv_out"):
        return "head"
    return "body"
