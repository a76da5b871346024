"""Conditional DDPM on chest X-rays.

    python -m train --config configs/ddpm_cxr.py                              the embedded phantom
    python -m train --config configs/ddpm_cxr.py:nih --config.data.dir=PATH   NIH ChestX-ray14

Other presets: folder, medmnist, chexpert (datasets), smoke (a minute, to see that all works),
chexpert_dissertation (the published recipe). They combine by comma.
"""

from configs.base import Config, finish, get_base, get_optimizer, placeholder, shrink


def get_config(arg: str | None = None) -> Config:
    """The experiment, with the presets named in `arg`."""
    config = get_base()
    config.name = "ddpm_cxr"
    config.model = get_model()
    config.sample = get_sample()
    config.optim.net = get_optimizer()
    # Few images a step and many steps: on a CPU, early learning is bound by steps, not by the noise of the gradient.
    config.train.batch_size, config.train.duration = 16, "2000 steps"
    config.optim.net.learning_rate, config.optim.net.schedule = 1e-3, "cosine"
    config.eval.every, config.eval.preview_every = "500 steps", "1000 steps"
    return finish(config, arg, {"smoke": smoke, "chexpert_dissertation": chexpert_dissertation})


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
    model.label_drop = 0.1  # probability that a label is hidden, for classifier-free guidance
    model.stratified = True  # noise levels of a batch spread evenly
    model.network = "unet"  # unet or plain_unet
    model.unet = get_unet()
    model.plain_unet = get_plain_unet()
    return model


def get_schedule_options() -> Config:
    options = Config()
    options.num_steps = 1000  # T of the discrete chains
    options.rescale = True  # linear: multiply the betas by 1000 / T, so that a shorter chain ends in noise
    options.p_mean = -1.2  # edm: mean of ln sigma in training
    options.p_std = 1.2  # edm: its standard deviation
    options.sigma_min = 0.002  # edm: lowest noise level sampled
    options.sigma_max = 80.0  # edm: highest
    options.beta_min = 0.1  # vp_sde: rate at t = 0
    options.beta_max = 20.0  # vp_sde: rate at t = 1
    return options


def get_unet() -> Config:
    unet = Config()
    unet.channels = 96  # of the first level
    unet.multipliers = (1, 2)  # channels of each level, in units of `channels`
    unet.blocks = 2  # residual blocks a level
    unet.attention = (2,)  # downsampling factors, on the network's grid, that have self-attention
    unet.heads = 1  # attention heads, where head_channels is None
    unet.head_channels = 32  # channels of an attention head; None: heads decides
    unet.attention_layout = "split"  # separate (diffusers), split or legacy (guided-diffusion)
    unet.mid_attention = True  # attention in the middle
    unet.mid_attention_norm = True  # a norm before it
    unet.dropout = 0.0  # rate
    unet.patch = 8  # space-to-depth factor of the stem: 8 makes a grid of 8x8 of an image of 64x64
    unet.local_channels = 32  # width of a residual block before and after the levels, near full size; 0 has none
    unet.local_patch = 2  # space-to-depth factor of these two
    unet.scale_shift = True  # adaptive group norm; else the embedding is added
    unet.norm_groups = 32  # of every group norm
    unet.norm_epsilon = 1e-5  # of every group norm
    unet.resblock_updown = False  # resample inside residual blocks
    unet.conv_resample = True  # resampling layers have a convolution
    unet.downsample_padding = 1  # 0 is diffusers' asymmetric one
    unet.time_order = "cos_sin"  # or sin_cos
    unet.freq_shift = 0.0  # 1 in Ho et al.
    unet.max_period = 10_000.0  # of the time embedding
    unet.embedding_multiple = 4  # width of the embedding, in units of `channels`
    unet.fourier = placeholder(float)  # scale of random Fourier features in place of the sinusoid
    unet.residual_scale = 1.0  # factor on the sum of every residual block
    unet.mid_residual_scale = 1.0  # the same in the middle
    unet.skip_scale = 1.0  # factor on skip connections
    unet.remat = False  # recompute activations in the backward pass: less memory, a third more time
    return unet


def get_plain_unet() -> Config:
    plain = Config()
    plain.widths = (64, 128, 256, 512)  # channels of each level
    plain.embedding = 512  # width of the label and time embedding
    plain.dropout = 0.0  # rate, within every level
    plain.spectral = 0  # power iterations of the spectral normalisation of the convolutions; 0 is none
    plain.remat = False  # recompute activations in the backward pass
    return plain


def get_sample() -> Config:
    sample = Config()
    sample.sampler = "dpmpp"  # ddpm, ddim, dpmpp, euler, heun, em
    sample.steps = 20  # network evaluations (twice as many with guidance, and with heun)
    sample.guidance = 1.0  # s in u + s (c - u): 1 is off
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
    config.model.unet.channels = 32
    config.model.unet.blocks = 1
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
    train.batch_size, train.accumulate, train.duration = 128, 4, "100 epochs"
    optim.name, optim.learning_rate, optim.weight_decay, optim.decay_all = "adamw", 1e-4, 2e-4, True
    optim.schedule, optim.milestones, optim.gamma = "multistep", ("60 epochs", "75 epochs", "80 epochs"), 0.65
    optim.warmup, optim.clip, optim.b2 = "0 steps", 0.0, 0.999
    config.ema.halflife_images = 0.0
    config.checkpoint.every, config.checkpoint.milestones = "5 epochs", ("75 epochs",)
    config.checkpoint.use = "75 epochs"
    config.eval.every, config.eval.preview_every = "5 epochs", "25 epochs"
    config.sample.sampler, config.sample.steps = "ddpm", 300
    config.sample.variance = "large"
