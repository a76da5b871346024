"""Deterministic segmentation by a U-Net, the baseline of configs/flow_seg.py: the same network, data and budget.

    python -m train --config configs/unet_seg.py                                 the embedded phantom's lungs
    python -m train --config configs/unet_seg.py:nuclei --config.data.dir=PATH   nuclei: PATH/images and PATH/masks
"""

from configs.base import Config, finish
from configs.flow_seg import get_network, get_segmentation, nuclei, smoke


def get_config(arg: str | None = None) -> Config:
    """The experiment, with the presets named in `arg`."""
    config = get_segmentation("unet_seg")
    config.model = Config()
    config.model.family = "unet_seg"
    get_network(config.model)
    config.sample = Config()
    return finish(config, arg, {"nuclei": nuclei, "smoke": smoke})
