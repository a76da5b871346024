"""Flow matching on chest X-rays, with the U-Net of configs/ddpm_cxr.py, so that only the objective differs.

    python -m train --config configs/flow_cxr.py                              the embedded phantom
    python -m train --config configs/flow_cxr.py:nih --config.data.dir=PATH   NIH ChestX-ray14

Other presets: folder, medmnist, chexpert (datasets), smoke (a minute, to see that all works). They combine by comma.

At 64x64 2,300 steps of 16 images took 11 to 13 minutes on one core of an AMD EPYC (results/families/cpu64_nih.json).
"""

from configs.base import Config, finish, get_base, get_optimizer, shrink
from configs.unets import get_plain_unet, get_unet, shrink_unet


def get_config(arg: str | None = None) -> Config:
    """The experiment, with the presets named in `arg`."""
    config = get_base()
    config.name = "flow_cxr"
    config.model = get_model()
    config.sample = get_sample()
    config.optim.net = get_optimizer()
    config.train.batch_size, config.train.duration = 16, "2000 steps"
    config.optim.net.learning_rate, config.optim.net.schedule = 2e-3, "cosine"
    config.eval.every, config.eval.preview_every = "500 steps", "1000 steps"
    return finish(config, arg, {"smoke": smoke})


def get_model() -> Config:
    model = Config()
    model.family = "flow"
    model.path = "linear"  # between noise and data: linear (rectified flow), cosine, vp
    model.sigma_min = 0.0  # linear: noise left at the data end (Lipman et al. 2023)
    model.prior = "auto"  # the network gives what the best linear estimate under it leaves: isotropic (as in EDM);
    #                       gaussian, of the pixels' covariance; auto: where it fits; none: it gives the velocity
    model.prior_rank = 512  # directions of that covariance, at most
    model.prior_shown = True  # gaussian: the network sees the best linear estimate of the image beside the noisy one
    model.time = "logit_normal"  # training times: uniform or logit_normal
    # logit_normal: mean and standard deviation of logit(t); t = 0 is noise, t = 1 data. These are the DDPM's noise
    # levels on the linear path, ln sigma ~ N(-1.8, 1.6^2) for a sigma_data of 0.5; too little near t = 1 leaves grain.
    model.time_mean = 1.1
    model.time_std = 1.6
    model.coupling = "independent"  # noise and images of a batch: independent, or ot (optimal transport)
    model.label_cost = 100.0  # ot: weight of the labels' distance; 0 skews what a label means, see models/coupling.py
    model.sigma_data = 1.0  # standard deviation of the pixels that the network sees
    model.normalise = "data"  # data: centred and scaled by the training split; none; imagenet
    model.center = "label"  # images are centred on: label, the mean image expected of it; pixels, one number
    model.label_drop = 0.1  # probability that a label is hidden, for guidance; at 0, sample.guidance must be 1
    model.stratified = True  # times of a batch spread evenly
    model.network = "unet"  # unet or plain_unet
    model.unet = get_unet()
    model.plain_unet = get_plain_unet()
    return model


def get_sample() -> Config:
    sample = Config()
    sample.sampler = "midpoint"  # euler, midpoint, heun, rk4, adaptive
    sample.steps = 10  # steps of the solver: 1, 2, 2, 4 evaluations each (twice as many with guidance)
    sample.guidance = 3.0  # s in u + s (c - u): 1 is off; more shows findings clearer, at the cost of variety
    sample.guidance_low = 0.0  # times between which guidance applies; 0 is noise
    sample.guidance_high = 1.0
    sample.tolerance = 1e-4  # of the adaptive solver, relative and absolute
    sample.postprocess = "none"  # none, or bilateral_sharpen (the dissertation's)
    return sample


def smoke(config: Config) -> None:
    """The whole path in a minute."""
    shrink(config)
    shrink_unet(config.model.unet)
    config.sample.steps = 4
