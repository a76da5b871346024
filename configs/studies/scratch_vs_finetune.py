"""Trained from scratch, or fine-tuned from natural or other medical images?

    python -m analysis.study --config configs/studies/scratch_vs_finetune.py:cpu \\
        --config.data.dir=BRAIN_MRI --config.sources.natural.dir=CIFAR10.npz

Families x beginnings x fractions of the data x seeds, each training scored at several of its checkpoints. `:smoke`
takes minutes and says nothing; `:cpu` is two families, scratch and natural, 10 and 100 % of the data, five seeds;
`:cpu64` is the DDPM as its config has it, at 64x64 and for its whole training, on a quarter of the data; `:gpu` is four
families and three beginnings at 64x64. What is asked, and when the runs stop: docs/protocol.md.
"""

from configs.studies.base import Config, get_source, get_study, tiny
from configs.studies.base import finish as finish_study

EVEN = ("optim.net.schedule=constant",)  # runs are read at several steps, which a falling rate would not make alike
# As natural-image models are published: without what is known of the images at hand but their mean. A covariance would
# change what the network is asked between pretraining and fine-tuning.
ISOTROPIC = "model.prior=isotropic"


def get_config(arg: str | None = None) -> Config:
    """The study at the size named in `arg`."""
    config = get_study("scratch_vs_finetune")
    config.families = ("ddpm", "gan")
    config.sources = Config({"natural": get_source("natural")})  # beginnings beside scratch, and what they come from
    config.fractions = (0.1, 1.0)  # of the training patients
    config.points = (100, 200, 400)  # optimiser steps at which each run is scored; the last is its end
    config.pretrain_steps = 400  # optimiser steps of each source; the same for all
    config.finetune_fields = ()  # of the config of every fine-tuned run, such as "init.rate=0.1"
    # From scratch, a run goes on for as many steps as the pretraining had: equal compute with that counted.
    config.charge_pretraining = True
    # The one contrast that docs/protocol.md names beforehand, at equal steps, by KID; "": none, all is exploratory.
    config.primary = Config({"family": "", "source": "natural", "fraction": 0.0})
    return finish_study(config, arg, {"smoke": smoke, "cpu": cpu, "cpu64": cpu64, "gpu": gpu})


def smoke(config: Config) -> None:
    """The whole path; results worth nothing."""
    config.families, config.seeds, config.fractions = ("gan",), (0, 1), (0.5,)
    config.points, config.pretrain_steps = (2, 4), 2
    config.fields = tiny(200)
    config.family_fields.gan = ("model.generator_channels=(16,)", "model.discriminator_channels=(16,)")
    config.evaluate.n, config.evaluate.features = 20, "pixels"
    config.primary.family, config.primary.fraction = "gan", 0.5
    config.expected = "2 minutes on 2 CPU cores"


def cpu(config: Config) -> None:
    """Brain MRI at 32x32 in small networks; give --config.data.dir and --config.sources.natural.dir (CIFAR-10 .npz)."""
    config.seeds = (0, 1, 2, 3, 4)
    config.data.preset, config.sources.natural.preset = "brain_mri", "medmnist"
    config.primary.family, config.primary.fraction = "ddpm", 0.1
    config.fields = (
        "data.image_size=32", "train.batch_size=16", "eval.every=", "eval.preview_every=",
        "eval.final_images=16",
    )  # fmt: skip
    config.family_fields.ddpm = (
        "model.unet.patch=4", "model.unet.channels=64", ISOTROPIC, *EVEN,
        # Of the protocol, and EDM's; those of the config are of another prior since.
        "optim.net.learning_rate=1e-3", "model.schedule_options.p_mean=-1.2", "model.schedule_options.p_std=1.2",
        "sample.sampler=dpmpp",
    )  # fmt: skip
    config.family_fields.gan = ("model.generator_channels=(128,96)", "model.discriminator_channels=(128,96)")
    config.family_fields.vae = EVEN
    config.family_fields.flow = (*EVEN, ISOTROPIC)
    config.expected = "2 hours on 2 cores of an Intel Xeon, --workers 2"


def cpu64(config: Config) -> None:
    """The DDPM of configs/ddpm_cxr.py on brain MRI at 64x64, whole trainings; give the folders as for `:cpu`."""
    config.families, config.fractions = ("ddpm",), (0.25,)
    config.seeds = (6, 7, 8, 9, 10)  # that no choice of a default has seen
    config.data.preset, config.sources.natural.preset = "brain_mri", "medmnist"
    config.primary.family, config.primary.fraction = "ddpm", 0.25
    config.points, config.pretrain_steps = (1150, 2300), 2300  # the rate falls to 0 at the end: there is no going on
    config.charge_pretraining = False
    config.fields = ("data.image_size=64", "eval.every=", "eval.preview_every=", "eval.final_images=16")
    config.family_fields.ddpm = ("sample.guidance=1.0",)
    config.passes.ddpm = 20
    config.expected = "1 hour 20 minutes on 2 cores of an AMD EPYC, --workers 2"


def gpu(config: Config) -> None:
    """Four families at 64x64; give --config.data.dir, and the folders of the sources."""
    config.families, config.fractions = ("gan", "vae", "ddpm", "flow"), (0.1, 0.25, 0.5, 1.0)
    config.data.preset, config.sources.natural.preset = "nih", "imagenet64"
    config.sources.medical = get_source("phantom_mri")
    config.points, config.pretrain_steps = (2500, 5000, 10_000, 20_000), 20_000
    config.fields = ("data.image_size=64", "train.batch_size=128", "eval.every=2500 steps",
        "eval.preview_every=",
    )
    config.family_fields.vae = EVEN
    config.family_fields.ddpm = config.family_fields.flow = (*EVEN, ISOTROPIC)
    config.evaluate.n = 5000
    config.expected = "not measured yet; --dry-run estimates it on the device at hand"
