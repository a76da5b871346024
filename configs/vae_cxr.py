"""Conditional VAE on chest X-rays, with latents at two resolutions.

    python -m train --config configs/vae_cxr.py                              the embedded phantom
    python -m train --config configs/vae_cxr.py:nih --config.data.dir=PATH   NIH ChestX-ray14

Other presets: flat (one group of latents), autoencoder, denoising, adversarial (other objectives), folder, medmnist,
chexpert (datasets), smoke (a minute, to see that all works). They combine by comma.

At 64x64 4,500 steps of 16 images took 11 to 12 minutes on one core of an AMD EPYC (results/families/cpu64_nih.json).
"""

from configs.base import Config, finish, get_base, get_optimizer, shrink


def get_config(arg: str | None = None) -> Config:
    """The experiment, with the presets named in `arg`."""
    config = get_base()
    config.name = "vae_cxr"
    config.model = get_model()
    config.sample = get_sample()
    config.optim.net = get_optimizer()
    config.optim.net.learning_rate, config.optim.net.schedule = 1e-3, "cosine"
    config.train.batch_size, config.train.duration = 16, "3000 steps"
    config.eval.every, config.eval.preview_every = "500 steps", "1000 steps"
    return finish(config, arg, PRESETS)


def get_model() -> Config:
    model = Config()
    model.family = "vae"
    model.objective = "elbo"  # or autoencoder (no KL), denoising (the same, of a noisy image), adversarial (VAE-GAN)
    model.corruption = 0.25  # denoising: deviation of the noise on images in [-1, 1]
    model.likelihood = "logistic"  # of a stored pixel: logistic, gaussian; mean and scale are learned
    model.beta = 1.0  # weight of the KL terms; 1 is the ELBO
    model.warmup = 500  # steps over which beta rises from 0, but at the finest of several levels
    model.free_bits = 0.0  # nats of each group's KL, an image, that cost nothing
    model.channels = (128, 96, 64)  # of each level, from the coarsest upwards
    # Groups at the finest level lower the loss further, but hold the shape of the chest, which their prior cannot draw.
    model.groups = (2, 4, 0)  # of latents at each level, each with a residual block of its own; 0 has none there
    model.latents = (16, 16, 0)  # channels of each group's latents, by level
    model.blocks = 1  # residual blocks a level, in the encoder and, beside those of the groups, in the decoder
    model.patch = 4  # space-to-depth factor of the first layer, depth-to-space factor of the last
    model.embedding = 128  # size of the label's embedding
    model.norm_groups = 8  # of every group norm
    model.discriminator = get_discriminator()
    return model


def get_discriminator() -> Config:
    """Of the adversarial objective; fields as in configs/gan_cxr.py."""
    judge = Config()
    judge.weight = 0.01  # of the game, beside the bound in bits/dim
    judge.loss = "relativistic"  # nonsaturating, hinge, wasserstein, relativistic
    judge.r1 = 1.0  # gamma of the penalty on D's gradient at real images
    judge.r2 = 1.0  # the same at decoded images
    judge.interpolated = 0.0  # weight of WGAN-GP's penalty
    judge.penalty_every = 1  # D is penalised on every so many-th image of a batch, times as much
    judge.channels = (128, 96, 64)  # of each level, from 4 x 4 upwards
    judge.blocks = 1  # residual blocks a level
    judge.patch = 4  # space-to-depth factor of D's start
    judge.detail = 8  # channels at full resolution before it; 0: none
    return judge


def get_sample() -> Config:
    sample = Config()
    sample.temperature = 1.0  # factor on the prior's deviations; below 1 is safer, less varied
    sample.postprocess = "none"  # none, or bilateral_sharpen
    return sample


def autoencoder(config: Config) -> None:
    """Codes are points, and only the reconstruction counts."""
    config.model.objective = "autoencoder"


def denoising(config: Config) -> None:
    """An autoencoder that is shown a noisy image."""
    config.model.objective = "denoising"


def adversarial(config: Config) -> None:
    """VAE-GAN: a discriminator judges what is decoded."""
    config.model.objective = "adversarial"
    optim = get_optimizer()  # R3GAN's rate; the higher one of configs/gan_cxr.py, with a clip, is no better here
    optim.name, optim.learning_rate, optim.b1, optim.b2 = "adam", 2e-4, 0.0, 0.99
    optim.warmup, optim.clip = "0 steps", 0.0
    config.optim.discriminator = optim


def flat(config: Config) -> None:
    """One group of latents, at the coarsest level."""
    config.model.groups, config.model.latents = (1, 0, 0), (64, 0, 0)


def smoke(config: Config) -> None:
    """The whole path in a minute."""
    shrink(config)
    config.model.channels, config.model.latents = (32, 32), config.model.latents[:2]
    config.model.groups = tuple(min(number, 1) for number in config.model.groups[:2])
    config.model.discriminator.channels = (32, 32)


PRESETS = {"smoke": smoke, "flat": flat, "autoencoder": autoencoder, "denoising": denoising, "adversarial": adversarial}
