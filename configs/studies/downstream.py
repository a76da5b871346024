"""Do synthetic images help a classifier that is tested on real images?

    python -m analysis.study --config configs/studies/downstream.py:cpu --config.data.dir=BRAIN_MRI
    python -m analysis.study --config configs/studies/downstream.py:cpu,nih --config.data.dir=NIH

A generator is trained on the real training split; classifiers learn from real images, from synthetic ones, from both at
several ratios, and from as many real ones repeated, the control; all are tested on the same held-out real images. One
dataset a run: `:cpu` is brain MRI, and a dataset named beside the size takes its place.
"""

from configs.studies.base import Config, get_study, tiny
from configs.studies.base import finish as finish_study


def get_config(arg: str | None = None) -> Config:
    """The study at the size named in `arg`."""
    config = get_study("downstream")
    config.family = "ddpm"  # of the generator
    config.generator_steps = 2000  # optimiser steps of its training
    config.guidance = 1.0  # of what it draws, where its family has it; 1 is off
    config.fraction = 1.0  # of the training patients, for the generator and for every classifier
    config.ratios = (0.5, 1.0, 2.0, 5.0, 10.0)  # synthetic (or repeated) images for each real one
    config.networks = ("cnn", "efficientnet_lite0")
    config.classifier_steps = Config({network: 1500 for network in config.networks})  # optimiser steps, in every arm
    config.input_size = 0  # side of the classifiers' input, pixels; 0: the network's own
    config.explain = 0  # test images that Grad-CAM and LIME explain, of the first seed of each arm; needs `explain`
    return finish_study(config, arg, {"smoke": smoke, "cpu": cpu, "gpu": gpu})


def smoke(config: Config) -> None:
    """The whole path; results worth nothing."""
    config.family, config.generator_steps, config.seeds = "gan", 2, (0, 1)
    config.fields = tiny(300)
    config.family_fields.gan = ("model.generator_channels=(16,)", "model.discriminator_channels=(16,)")
    config.ratios, config.networks, config.classifier_steps.cnn, config.explain = (1.0,), ("cnn",), 4, 4
    config.expected = "3 minutes on 2 CPU cores"


def cpu(config: Config) -> None:
    """Brain MRI at 64x64, a tenth of the training images; give --config.data.dir."""
    config.data.preset, config.fraction = "brain_mri", 0.1
    config.generator_steps, config.input_size = 3000, 64
    # 157 rounds of the 245 images from scratch, 26 from ImageNet, where a step takes twelve times as long.
    config.classifier_steps.cnn, config.classifier_steps.efficientnet_lite0 = 600, 100
    config.ratios = (0.5, 1.0, 2.0, 10.0)
    config.fields = ("data.image_size=64", "eval.every=", "eval.preview_every=", "eval.final_images=16")
    config.expected = "25 minutes on 2 CPU cores with networks=('cnn',); EfficientNet-Lite0's part was not measured"


def gpu(config: Config) -> None:
    """64x64, all of the data; give --config.data.dir."""
    config.data.preset, config.seeds = "nih", (0, 1, 2, 3, 4)
    config.generator_steps = 20_000
    config.classifier_steps.cnn = config.classifier_steps.efficientnet_lite0 = 3000
    config.fields = ("data.image_size=64", "train.batch_size=128", "eval.every=2500 steps", "eval.preview_every=")
    config.expected = "not measured yet; --dry-run estimates the generator's part on the device at hand"
