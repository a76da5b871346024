"""Conditional DDPM on chest X-rays.

    python -m train --config configs/ddpm_cxr.py                              the embedded phantom
    python -m train --config configs/ddpm_cxr.py:nih --config.data.dir=PATH   NIH ChestX-ray14

Other presets: folder, medmnist, chexpert (datasets), smoke (a minute, to see that all works),
chexpert_dissertation (the published recipe), unet_cifar10 and unet_imagenet64 (networks that take published weights,
see docs/fine_tuning.md). They combine by comma.

At 64x64 the 2,300 steps of 16 images take 8 to 12 minutes on two CPU cores, and took 11 to 13 on one of an AMD EPYC
(results/families/cpu64_nih.json).
"""

from configs.base import Config, finish, get_base, get_optimizer, shrink
from configs.unets import ddpm_cifar10, get_plain_unet, get_unet, imagenet64, shrink_unet


def get_config(arg: str | None = None) -> Config:
    """The experiment, with the presets named in `arg`."""
    config = get_base()
    config.name = "ddpm_cxr"
    config.model = get_model()
    config.sample = get_sample()
    config.optim.net = get_optimizer()
    # Few images a step and many steps: on a CPU, early learning is bound by steps, not by the noise of the gradient.
    config.train.batch_size, config.train.duration = 16, "2300 steps"
    config.optim.net.learning_rate, config.optim.net.schedule = 2e-3, "cosine"
    config.eval.every, config.eval.preview_every = "500 steps", "1000 steps"
    return finish(config, arg, PRESETS)


def get_model() -> Config:
    model = Config()
    model.family = "ddpm"
    model.schedule = "edm"  # linear, scaled_linear, cosine, sigmoid (discrete chains), vp_sde, edm
    model.schedule_options = get_schedule_options()
    model.target = "edm"  # what the network predicts: eps, x0, v, edm
    model.weight = "edm"  # loss over noise levels: simple, min_snr, edm, likelihood
    model.min_snr_gamma = 5.0  # cap of min_snr
    model.learned_variance = False  # predict the reverse variance as well (discrete chains)
    model.sigma_data = 0.5  # standard deviation that EDM's preconditioning assumes; `normalise` brings it about
    model.normalise = "data"  # data: centred and scaled by the training split; none; imagenet
    model.prior = "auto"  # of the images: isotropic (EDM's); gaussian, of their pixels' covariance; auto: where it fits
    model.prior_rank = 512  # directions of that covariance, at most
    model.prior_shown = True  # gaussian: the network sees the best linear estimate of the image beside the noisy one
    model.center = "label"  # images are centred on: label, the mean image expected of it; pixels, one number
    model.label_drop = 0.1  # probability that a label is hidden, for guidance; at 0, sample.guidance must be 1
    model.stratified = True  # noise levels of a batch spread evenly
    model.network = "unet"  # unet or plain_unet
    model.unet = get_unet()
    model.plain_unet = get_plain_unet()
    return model


def get_schedule_options() -> Config:
    options = Config()
    options.num_steps = 1000  # T of the discrete chains
    options.rescale = True  # linear: multiply the betas by 1000 / T, so that a shorter chain ends in noise
    # EDM's are -1.2 and 1.2. Where the prior's linear estimate does the work at high noise, more is left at low noise.
    options.p_mean = -1.8  # edm: mean of ln sigma in training
    options.p_std = 1.6  # edm: its standard deviation
    options.sigma_min = 0.002  # edm: lowest noise level sampled
    options.sigma_max = 80.0  # edm: highest
    options.beta_min = 0.1  # vp_sde: rate at t = 0
    options.beta_max = 20.0  # vp_sde: rate at t = 1
    return options


def get_sample() -> Config:
    sample = Config()
    sample.sampler = "dpmpp_sde"  # ddpm, ddim, dpmpp, dpmpp_sde, euler, heun, em
    sample.steps = 20  # network evaluations (twice as many with guidance, and with heun)
    sample.guidance = 3.0  # s in u + s (c - u): 1 is off; more shows findings clearer, at the cost of variety
    sample.guidance_low = 0.0  # noise levels sigma / alpha between which guidance applies
    sample.guidance_high = float("inf")
    sample.spacing = "auto"  # time grid: auto, uniform, karras, logsnr
    sample.threshold = "none"  # of x_0: none, static, dynamic
    sample.eta = 0.0  # noise of ddim: 0 none, 1 ancestral
    sample.variance = "auto"  # of ddpm: auto, small, large, learned
    sample.postprocess = "none"  # none, or bilateral_sharpen (the dissertation's)
    return sample


def smoke(config: Config) -> None:
    """The whole path in a minute."""
    shrink(config)
    shrink_unet(config.model.unet)
    config.sample.steps = 4


def chexpert_dissertation(config: Config) -> None:
    """The published CheXpert recipe: plain U-Net, T = 500 unscaled betas, 300 ancestral steps; give --config.data.dir.

    A chain of 500 unscaled betas keeps 8 % of the amplitude at its end, so its start from N(0, I) is biased.
    It is kept as published: sampling and the bound report what it costs.
    """
    data, model, train, optim = config.data, config.model, config.train, config.optim.net
    data.name, data.view, data.image_size, data.channels = "chexpert", "frontal", 128, 3
    data.classes, data.uncertain, data.flip = ("Pneumonia", "Pneumothorax"), "zeros", True
    model.network = "plain_unet"
    model.schedule = "linear"
    model.schedule_options.num_steps, model.schedule_options.rescale = 500, False
    model.target, model.weight, model.normalise, model.stratified = "eps", "simple", "imagenet", False
    model.center = "pixels"
    train.batch_size, train.accumulate, train.duration = 128, 4, "100 epochs"
    optim.name, optim.learning_rate, optim.weight_decay, optim.decay_all = "adamw", 1e-4, 2e-4, True
    optim.schedule, optim.milestones, optim.gamma = "multistep", ("60 epochs", "75 epochs", "80 epochs"), 0.65
    optim.warmup, optim.clip, optim.b2 = "0 steps", 0.0, 0.999
    config.ema.halflife_images = 0.0
    config.checkpoint.every, config.checkpoint.milestones = "5 epochs", ("75 epochs",)
    config.checkpoint.use = "75 epochs"
    config.eval.every, config.eval.preview_every = "5 epochs", "25 epochs"
    config.sample.sampler, config.sample.steps = "ddpm", 300
    config.sample.variance, config.sample.guidance = "large", 1.0


PRESETS = {
    "smoke": smoke,
    "chexpert_dissertation": chexpert_dissertation,
    "unet_cifar10": ddpm_cifar10,
    "unet_imagenet64": imagenet64,
}
