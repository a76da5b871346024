"""Conditional GAN on chest X-rays.

    python -m train --config configs/gan_cxr.py                              the embedded phantom
    python -m train --config configs/gan_cxr.py:nih --config.data.dir=PATH   NIH ChestX-ray14

Other presets: folder, medmnist, chexpert (datasets), smoke (a minute, to see that all works). They combine by comma.

At 64x64 1,150 steps of 32 images took 11 to 13 minutes on one core of an AMD EPYC (results/families/cpu64_nih.json).
"""

from configs.base import Config, finish, get_base, get_optimizer, shrink


def get_config(arg: str | None = None) -> Config:
    """The experiment, with the presets named in `arg`."""
    config = get_base()
    config.name = "gan_cxr"
    config.model = get_model()
    config.sample = get_sample()
    config.optim = Config({name: get_player() for name in ("generator", "discriminator")})
    config.train.batch_size, config.train.duration = 32, "1300 steps"
    config.eval.every, config.eval.preview_every = "500 steps", "500 steps"
    config.eval.kid_every = "500 steps"  # the losses of a game do not tell which checkpoint is best
    config.ema.halflife_images = 10_000.0
    return finish(config, arg, {"smoke": smoke})


def get_player() -> Config:
    """The optimiser of G, and that of D.

    Without a first moment, a gradient far larger than those before it moves every weight ten times as far as the rate
    says (Adam's step is g / sqrt(0.01 g^2) then). Without clip and warm-up this rate diverges, see docs/methods.md.
    """
    optim = get_optimizer()
    optim.name, optim.learning_rate, optim.clip = "adam", 1e-3, 1.0
    optim.b1, optim.b2 = 0.0, 0.99
    return optim


def get_model() -> Config:
    model = Config()
    model.family = "gan"
    model.loss = "relativistic"  # nonsaturating, hinge, wasserstein, relativistic
    model.r1 = 1.0  # gamma of the penalty on D's gradient at real images
    model.r2 = 1.0  # the same at generated images
    model.interpolated = 0.0  # weight of WGAN-GP's penalty (10 there), between real and generated images
    model.penalty_every = 1  # D is penalised on every so many-th image of a batch, times as much
    model.augmentation = "adaptive"  # of what D sees: none, fixed, adaptive
    model.probability = 0.0  # p of each augmentation, at the start
    model.ada_target = 0.6  # r_t at which p stays
    model.ada_kimg = 50.0  # thousands of images over which p could go from 0 to 1
    model.ada_limit = 0.8  # highest p
    model.latent = 64  # size of z
    model.embedding = 64  # size of the label's embedding in G
    model.generator_channels = (192, 128, 64)  # of each level, from 4 x 4 upwards
    model.discriminator_channels = (192, 128, 64)  # the same in D
    model.blocks = 1  # residual blocks a level
    model.patch = 4  # depth-to-space factor of G's end, and space-to-depth factor of D's start
    model.detail = 8  # channels at full resolution, at G's end and D's start; 0: none
    return model


def get_sample() -> Config:
    sample = Config()
    sample.truncation = float("inf")  # z is drawn within this many standard deviations; smaller is safer, less varied
    sample.postprocess = "none"  # none, or bilateral_sharpen
    return sample


def smoke(config: Config) -> None:
    """The whole path in a minute."""
    shrink(config)
    config.model.generator_channels, config.model.discriminator_channels = (32, 32), (32, 32)
