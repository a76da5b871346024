"""Which family, at equal parameters and equal training time, on which modality?

    python -m analysis.study --config configs/studies/families.py:cpu --config.modalities.nih.dir=NIH

Modalities x families x seeds. Each training is scored at several of its checkpoints, so that the families of one
modality can be read where the first of them ended; networks are about equally large, and how large is in the results.
Beside the size one modality may be named, as in `:cpu64,nih`, and
`--config.chosen='("phantom","folder")' --config.modalities.folder.dir=MINE` chooses several. `:smoke` takes minutes and
says nothing; `:cpu` is at 32x32 with networks of one size, `:cpu64` is of the phantom at 64x64 with each family's own
network, `:gpu` at 64x64.
"""

from configs.studies.base import FAMILIES, Config, get_source, get_study, tiny
from configs.studies.base import finish as finish_study

UNGUIDED = ("sample.guidance=1.0",)
EVEN = ("optim.net.schedule=constant",)  # runs are read before their end, where a falling rate would not have fallen
MODALITIES = ("phantom", "phantom_mri", "phantom_us", "nih", "brain_mri", "folder")


def get_config(arg: str | None = None) -> Config:
    """The study at the size named in `arg`."""
    config = get_study("families")
    config.families = FAMILIES
    config.modalities = Config({name: get_source(name) for name in MODALITIES})  # that may be chosen, by name
    config.chosen = ("phantom", "phantom_mri", "phantom_us")  # those that are modelled
    config.baseline = "ddpm"  # the family that the others are compared with
    config.points = Config({family: (500, 1000, 2000) for family in FAMILIES})  # steps at which a run is scored
    config.likelihood_n = 100  # real images whose likelihood is computed, of each run at its end
    config.tolerance = 0.1  # share by which numbers of parameters may differ and still be called equal
    finish_study(config, arg, {"smoke": smoke, "cpu": cpu, "cpu64": cpu64, "gpu": gpu}, MODALITIES)
    if named := [name for name in (arg or "").split(",") if name in MODALITIES]:
        config.chosen = tuple(named)
    return config


def smoke(config: Config) -> None:
    """The whole path; results worth nothing."""
    config.families, config.seeds, config.chosen, config.baseline = ("gan", "vae"), (0,), ("phantom",), "gan"
    config.points.gan, config.points.vae = (2, 4), (2, 4)
    config.fields = tiny(300)
    config.family_fields.gan = ("model.generator_channels=(16,)", "model.discriminator_channels=(16,)")
    config.family_fields.vae = (
        "model.channels=(24,24)", "model.groups=(1,1)", "model.latents=(4,2)", "model.embedding=16",
    )  # fmt: skip
    config.likelihood_n, config.evaluate.n, config.evaluate.features = 2, 72, "pixels"
    config.expected = "4 minutes on 2 CPU cores"


def cpu(config: Config) -> None:
    """NIH chest X-rays and brain MRI at 32x32; give --config.modalities.nih.dir and .brain_mri.dir."""
    config.chosen = ("nih", "brain_mri")
    config.fields = (
        "data.image_size=32", "train.batch_size=16", "eval.every=", "eval.preview_every=", "eval.final_images=16",
    )  # fmt: skip
    widths(config, "(168,128)", "(144,96)", "(2,2)", "(16,16)")
    unguided(config, "model.unet.patch=4", "model.unet.channels=48")
    # About as long for all; the last two points are near enough for a line between them.
    config.points = Config(
        {"gan": (480, 720, 960), "vae": (1000, 1500, 2000), "ddpm": (800, 1200, 1600), "flow": (800, 1200, 1600)}
    )
    config.evaluate.n, config.likelihood_n = 384, 16
    config.expected = "two hours on 2 CPU cores"


def cpu64(config: Config) -> None:
    """The phantom at 64x64, each family as its config has it but for how long; of it, no folder is needed."""
    config.chosen, config.seeds = ("phantom",), (6, 7, 8)  # seeds that no run had by which a default was chosen
    config.fields = ("eval.every=", "eval.preview_every=", "eval.final_images=16")
    config.family_fields.ddpm = config.family_fields.flow = UNGUIDED
    config.passes.ddpm = config.passes.flow = 20
    # About as long for all. At the second point the rate of VAE, DDPM and flow is a twentieth of its highest or less,
    # so that what is read between the last two is a run that is nearly done.
    config.points = Config(
        {"gan": (600, 1000, 1150), "vae": (2200, 3900, 4500), "ddpm": (1150, 2000, 2300), "flow": (1150, 2000, 2300)}
    )
    config.evaluate.n, config.likelihood_n = 500, 16
    config.expected = "two hours on 2 CPU cores"


def gpu(config: Config) -> None:
    """At 64x64 with the U-Net's own widths; give the folders of the real modalities."""
    config.chosen = MODALITIES[:-1]
    config.points = Config({family: (2500, 5000, 10_000, 20_000) for family in FAMILIES})
    config.fields = ("data.image_size=64", "train.batch_size=128", "eval.every=2500 steps", "eval.preview_every=")
    widths(config, "(392,248,96)", "(272,208,96)", "(2,4,0)", "(16,16,0)")
    unguided(config)
    config.evaluate.n = 4992
    config.expected = "not measured yet; --dry-run estimates it on the device at hand"


def unguided(config: Config, *fields: str) -> None:
    """DDPM and flow without guidance, which trades variety and half of the speed for plain findings.

    GAN and VAE have none, and likelihoods are of the unguided model.
    """
    config.family_fields.ddpm = config.family_fields.flow = (*EVEN, *UNGUIDED, *fields)
    config.passes.ddpm = config.passes.flow = 20


def widths(config: Config, gan: str, vae: str, groups: str, latents: str) -> None:
    """Of GAN and VAE, so that they have about as many parameters as the U-Net of DDPM and flow."""
    config.family_fields.gan = (f"model.generator_channels={gan}", f"model.discriminator_channels={gan}")
    config.family_fields.vae = (*EVEN, f"model.channels={vae}", f"model.groups={groups}", f"model.latents={latents}")
