"""Segmentation by flow matching on signed distance functions; by default it learns the phantom's lungs.

    python -m train --config configs/flow_seg.py                                 the embedded phantom
    python -m train --config configs/flow_seg.py:nuclei --config.data.dir=PATH   nuclei: PATH/images and PATH/masks
    python -m train --config configs/unet_seg.py:nuclei --config.data.dir=PATH   the same network, deterministic

Other presets: folder (any images with masks), smoke (a minute, to see that all works). They combine by comma.
"""

from configs.base import Config, finish, get_base, get_optimizer, shrink


def get_config(arg: str | None = None) -> Config:
    """The experiment, with the presets named in `arg`."""
    config = get_segmentation("flow_seg")
    config.model = get_model()
    config.sample = get_sample()
    return finish(config, arg, {"nuclei": nuclei, "smoke": smoke})


def get_segmentation(name: str) -> Config:
    """What the segmenters have in common, so that only the objective differs."""
    config = get_base()
    config.name = name
    config.optim.net = get_optimizer()
    config.optim.net.learning_rate, config.optim.net.schedule = 3e-3, "cosine"
    config.optim.net.warmup, config.optim.net.b2 = "50 steps", 0.999
    config.optim.net.weight_decay = 1e-2
    config.train.batch_size, config.train.duration = 16, "1600 steps"
    config.eval.every, config.eval.preview_every, config.eval.max_images = "500 steps", "1000 steps", 256
    config.ema.rampup = 0.1
    return config


def get_network(model: Config) -> None:
    """Adds the network's fields, the same for every segmenter."""
    model.mask = ""  # the mask that is learned, by name; "" is the first that the dataset has
    model.augmentation = "none"  # none, or dihedral: flips and 90 degree turns, for images without an up
    model.standardise = True  # each image is brought to mean 0 and deviation 1
    model.channels = (32, 64, 96)  # of each level, from the finest downwards
    model.blocks = 1  # residual blocks a level, on both ways of each of the two U-Nets
    model.patch = 2  # space-to-depth factor of the stems, depth-to-space factor of the end
    model.concatenate = False  # the image beside x_t instead of a U-Net of its own whose features enter at every level
    model.auxiliary = 1.0  # weight of the Dice and cross-entropy of the mask that the image's U-Net guesses
    model.norm_groups = 8  # of every group norm
    model.detail = 16  # channels at full resolution, before the stems and after the end; 0: none
    model.dropout = 0.0  # rate


def get_model() -> Config:
    model = Config()
    model.family = "flow_seg"
    get_network(model)
    model.truncation = 10.0  # pixels of distance to the mask's border that become 1
    model.path = "linear"  # between noise and SDF: linear, vp, cosine
    model.sigma_min = 1e-3  # linear: noise left at the end
    model.sdf_std = 0.5  # deviation of the SDF from the guess, for which the network is preconditioned; 0: not at all
    model.weighting = "edm"  # of the error at t: velocity, edm (of the network's own target)
    model.time = "uniform"  # training times: uniform, logit_normal
    model.time_mean = 0.0  # logit_normal: mean of logit t
    model.time_std = 1.0  # logit_normal: its standard deviation
    return model


def get_sample() -> Config:
    sample = Config()
    sample.sampler = "euler"  # euler, midpoint, heun, rk4, adaptive; flowsdf: the published one, to compare with
    sample.steps = 4  # of the solver
    sample.ensemble = 8  # masks drawn an image
    sample.tolerance = 1e-4  # adaptive: relative and absolute
    return sample


def nuclei(config: Config) -> None:
    """Nuclei of the 2018 Data Science Bowl, 64x64; give --config.data.dir (with images/ and masks/)."""
    config.data.name, config.data.channels = "folder", 3
    config.model.augmentation = "dihedral"
    if "truncation" in config.model:
        config.model.truncation = 1.0


def smoke(config: Config) -> None:
    """The whole path in a minute."""
    shrink(config)
    config.model.channels = (16, 16)
