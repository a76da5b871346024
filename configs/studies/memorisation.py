"""When are training images copied: after how much training, of how few images, and what does augmentation do?

    python -m analysis.study --config configs/studies/memorisation.py:cpu --config.data.dir=NIH

Families x augmentations x fractions of the data x seeds, each training audited at several of its checkpoints, see
docs/memorisation.md. `:smoke` takes minutes and says nothing; `:cpu` is at 32x32, `:gpu` at 64x64.
"""

from configs.studies.base import Config, get_study, tiny
from configs.studies.base import finish as finish_study


def get_config(arg: str | None = None) -> Config:
    """The study at the size named in `arg`."""
    config = get_study("memorisation")
    config.families = ("gan", "flow")
    config.fractions = (0.05, 0.2, 1.0)  # of the training patients
    # Steps at which a run is audited. After the first one the network knows nothing: what is told of its members then
    # is what was fitted to the training images before, the mean image and the covariance of DDPM and flow.
    config.points = Config({"gan": (1, 500, 1000, 2000), "flow": (1, 500, 1000, 2000)})
    config.augmentations = get_augmentations()
    config.space = "pixels_32"  # of the shares of copies and AuthPct; a network's features hide copies
    return finish_study(config, arg, {"smoke": smoke, "cpu": cpu, "gpu": gpu})


def get_augmentations() -> Config:
    """What each family has: name -> fields of the training's config. "none" is what the others are compared with.

    Flips change the images themselves, of any family: mirrored ones are drawn too. What a GAN's discriminator sees
    can be changed without that (Karras et al. 2020); VAE, DDPM and flow have nothing like it.
    """
    flip = ("data.flip=True",)
    plain = Config({"none": (), "flip": flip})
    off = ("model.augmentation=none",)
    gan = Config({"none": off, "flip": (*off, *flip), "adaptive": ("model.augmentation=adaptive",)})
    return Config({"gan": gan, "vae": plain, "ddpm": plain, "flow": plain})


def smoke(config: Config) -> None:
    """The whole path; results worth nothing."""
    config.families, config.seeds, config.fractions = ("gan",), (0,), (0.2, 1.0)
    config.points.gan = (1, 4)
    del config.augmentations.gan.adaptive
    config.fields = tiny(240)
    config.family_fields.gan = ("model.generator_channels=(16,)", "model.discriminator_channels=(16,)")
    config.evaluate.n, config.evaluate.features = 20, "pixels"
    config.expected = "5 minutes on 2 CPU cores"


def cpu(config: Config) -> None:
    """NIH chest X-rays at 32x32, some thirty or two hundred training images; give --config.data.dir."""
    config.data.preset, config.fractions = "nih", (0.1, 0.6)
    config.points.gan = config.points.flow = (1, 300, 600, 1200)
    config.fields = (
        "data.image_size=32", "train.batch_size=16", "eval.every=", "eval.preview_every=", "eval.final_images=16",
        "data.split=(0.4,0.3,0.3)",  # with so few images, thresholds need more unseen ones than a tenth
    )  # fmt: skip
    # Within 1,200 steps of 16 the probability of augmentation can then rise to where it stays on the default.
    config.augmentations.gan.adaptive = (*config.augmentations.gan.adaptive, "model.ada_kimg=5")
    config.family_fields.gan = ("model.generator_channels=(128,96)", "model.discriminator_channels=(128,96)")
    config.family_fields.flow = config.family_fields.ddpm = (
        "model.unet.patch=4", "model.unet.channels=48", "optim.net.schedule=constant", "sample.guidance=1.0",
    )  # fmt: skip
    config.passes.flow = config.passes.ddpm = 20
    config.evaluate.n = 300
    config.expected = "2 hours on 2 CPU cores"


def gpu(config: Config) -> None:
    """Four families at 64x64; give --config.data.dir."""
    config.families, config.data.preset = ("gan", "vae", "ddpm", "flow"), "nih"
    config.fractions = (0.01, 0.05, 0.2, 1.0)
    config.points = Config({family: (1, 2500, 5000, 10_000, 20_000) for family in config.families})
    config.fields = ("data.image_size=64", "train.batch_size=128", "eval.every=2500 steps", "eval.preview_every=")
    config.family_fields.vae = ("optim.net.schedule=constant",)
    # Guidance may move samples off the training images, and hide copies.
    config.family_fields.ddpm = config.family_fields.flow = ("optim.net.schedule=constant", "sample.guidance=1.0")
    config.passes.ddpm = config.passes.flow = 20
    config.evaluate.n = 2000
    config.expected = "not measured yet; --dry-run estimates it on the device at hand"
