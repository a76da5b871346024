"""Pretraining of any family on natural images, to be fine-tuned on medical ones.

    python -m train --config configs/pretrain_natural.py:ddpm                     the embedded procedural images
    python -m train --config configs/ddpm_cxr.py --config.init.source=runs/pretrain_natural_ddpm

The family comes first: ddpm, flow, gan or vae, each with the network and training of configs/FAMILY_cxr.py. Other data:
cifar10 and imagenet64 (prepared by tfds), medmnist with --config.data.dir=FILE.npz (CIFAR-10 as an .npz, for instance),
folder; --config.data.image_size as in the fine-tuning. Images are in colour; `gray` makes them gray. `smoke` takes a
minute. They combine by comma. Time: that of configs/FAMILY_cxr.py.
"""

from configs import datasets, ddpm_cxr, flow_cxr, gan_cxr, vae_cxr
from configs.base import Config, preset_names

FAMILIES = {"ddpm": ddpm_cxr, "flow": flow_cxr, "gan": gan_cxr, "vae": vae_cxr}


def get_config(arg: str | None = None) -> Config:
    """The experiment of the family named in `arg`, with the other presets named there.

    Raises:
      ValueError: no family, or several; or an unknown or empty preset.
    """
    names = preset_names(arg)
    chosen = [name for name in names if name in FAMILIES]
    if len(chosen) != 1:
        raise ValueError(f"configs/pretrain_natural.py:FAMILY needs one family of {', '.join(FAMILIES)}, not {arg!r}")
    presets = [name for name in names if name not in (*FAMILIES, "gray")]
    data = [] if any(name in datasets.PRESETS for name in presets) else ["natural"]
    config = FAMILIES[chosen[0]].get_config(",".join([*data, *presets]))
    with config.unlocked():
        config.data.channels = 1 if "gray" in names else 3
        config.name = "_".join(["pretrain_natural", *names])
    return config
