"""What does it take for a flow to segment as well as a deterministic network, and at what cost?

    python -m analysis.study --config configs/studies/segmentation.py:cpu --config.data.dir=NUCLEI

Arms x fractions of the data x seeds. The arms are the flow segmenter with its image's own network, with the image
concatenated instead, and the deterministic baseline, from scratch or from a segmenter of drawn images that was trained
as a generator of masks. Of all the data, the flows are read at all numbers of steps and masks, and with the published
sampler. `:smoke` takes minutes and says nothing; `:cpu` is nuclei at 64x64 (`:cpu,phantom`: drawn lungs).
"""

from configs import datasets
from configs.studies.base import Config, get_source, get_study
from configs.studies.base import finish as finish_study

PRETRAINED = "pretrained"  # the source of arms that begin from the pretraining


def get_config(arg: str | None = None) -> Config:
    """The study at the size named in `arg`."""
    config = get_study("segmentation")
    config.family_fields = Config({"flow_seg": (), "unet_seg": ()})
    config.arms = Config(
        {
            "flow": get_arm("flow_seg"),
            # No network of the image's own, so no guess of the mask from it: the SDF itself, nearly +-1, is modelled.
            "flow_concatenated": get_arm(
                "flow_seg", "model.concatenate=True", "model.auxiliary=0.0", "model.sdf_std=0.95"
            ),
            "unet": get_arm("unet_seg"),
            "flow_pretrained": get_arm("flow_seg", source=PRETRAINED),
            "unet_pretrained": get_arm("unet_seg", source=PRETRAINED),
        }
    )
    config.baseline = "unet"  # the arm that all others are compared with
    config.fractions = (0.1, 0.3, 1.0)  # of the training images
    config.train_steps = 1600  # optimiser steps of each training
    # A generator of images shares no network with a segmenter. One of masks, given an image, is the flow segmenter.
    config.source = get_source("phantom")  # drawn images with masks, that the pretraining is of
    config.pretrain_steps = 1600
    config.grid_arms = ("flow", "flow_concatenated")  # read at all of the following, at the largest fraction
    config.steps = (1, 2, 4, 8, 16)  # of the solver, Euler's
    config.ensembles = (1, 8)  # masks drawn an image
    config.published_steps = (2, 4, 8, 16)  # of FlowSDF's sampler, which feeds another point; one step is Euler's
    config.margin = 0.01  # Dice by which a segmenter may be worse than the baseline and still be as good
    config.use = Config({"steps": 2, "ensemble": 8})  # at which all arms are compared; both are among the above
    config.evaluate.n = 100  # images of the split, for estimates of time; all of them are segmented
    return finish_study(config, arg, {"smoke": smoke, "cpu": cpu, "gpu": gpu}, (*datasets.PRESETS, "nuclei"))


def get_arm(family: str, *fields: str, source: str = "") -> Config:
    """An arm: its family, fields of its training's config, and whether it begins from the pretraining."""
    return Config({"family": family, "fields": fields, "source": source})


def smoke(config: Config) -> None:
    """The whole path; results worth nothing."""
    del config.arms.flow_concatenated
    del config.arms.flow_pretrained
    config.seeds, config.fractions, config.train_steps, config.pretrain_steps = (0,), (1.0,), 2, 2
    config.grid_arms, config.steps, config.ensembles, config.published_steps = ("flow",), (1, 2), (2,), (2,)
    config.source.preset = "phantom_us"  # other images than those that are segmented
    config.use.steps, config.use.ensemble = 2, 2
    config.fields = (
        "data.image_size=16", "data.num_images=120", "train.batch_size=8", "eval.every=", "eval.preview_every=",
        "eval.final_images=0", "model.channels=(8,16)",
    )  # fmt: skip
    config.expected = "4 minutes on 2 CPU cores"


def cpu(config: Config) -> None:
    """Nuclei of the 2018 Data Science Bowl at 64x64; give --config.data.dir (with images/ and masks/)."""
    config.data.preset, config.fractions = "nuclei", (0.1, 1.0)
    config.train_steps = config.pretrain_steps = 400
    config.steps, config.published_steps = (1, 2, 4, 8), (2, 4, 8)
    config.fields = ("data.image_size=64", "eval.every=", "eval.preview_every=")
    config.expected = "67 minutes on 2 cores of an AMD EPYC, --workers 2"


def gpu(config: Config) -> None:
    """Nuclei at 128x128, wider; give --config.data.dir."""
    config.data.preset, config.seeds = "nuclei", (0, 1, 2, 3, 4)
    config.train_steps = config.pretrain_steps = 10_000
    config.fractions = (0.05, 0.1, 0.3, 1.0)
    config.fields = (
        "data.image_size=128", "train.batch_size=64", "model.channels=(64,128,192,256)", "eval.every=",
        "eval.preview_every=",
    )  # fmt: skip
    config.expected = "not measured yet; --dry-run estimates it on the device at hand"
