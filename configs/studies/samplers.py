"""How good are samples after so many evaluations of the network, and with so much guidance?

    python -m analysis.study --config configs/studies/samplers.py:cpu --config.data.dir=NIH

One training for each family and seed; it is then sampled by each sampler in several numbers of steps without guidance,
and by its default sampler with several guidances, where a classifier of real images also says whether the findings
that were asked for are there. `:smoke` takes minutes and says nothing; `:cpu` is at 32x32, `:gpu` at 64x64.
"""

from configs.studies.base import Config, get_study, tiny
from configs.studies.base import finish as finish_study


def get_config(arg: str | None = None) -> Config:
    """The study at the size named in `arg`."""
    config = get_study("samplers")
    config.families = ("ddpm", "flow")
    config.steps = 2000  # optimiser steps of each training
    config.samplers = Config()  # family -> sampler -> numbers of steps
    # The 300 ancestral steps are the dissertation's; here they are taken with this config's own schedule.
    config.samplers.ddpm = Config(
        {
            "ddpm": (10, 20, 50, 300), "dpmpp": (5, 10, 15, 20, 40), "dpmpp_sde": (5, 10, 15, 20, 40),
            "heun": (5, 10, 18), "ddim": (5, 10, 20, 50),
        }
    )  # fmt: skip
    config.samplers.flow = Config(
        {"euler": (5, 10, 20, 40), "midpoint": (3, 5, 10, 20), "heun": (3, 5, 10, 20), "rk4": (2, 3, 5, 10)}
    )
    config.guidances = (1.0, 2.0, 3.0, 4.0, 5.0)  # of the default sampler; 1 is off
    # What each family's other points are compared with in the same draws, and how much worse one may be to be as good:
    # a share of the way from KID's floor to its ceiling, a Gaussian fitted to the pixels.
    config.reference = Config({"ddpm": ("ddpm", 300), "flow": ("midpoint", 10)})
    config.margin = 0.1
    return finish_study(config, arg, {"smoke": smoke, "cpu": cpu, "gpu": gpu})


def smoke(config: Config) -> None:
    """The whole path; results worth nothing."""
    config.families, config.seeds, config.steps = ("flow",), (0,), 2
    config.samplers.flow, config.reference.flow = Config({"euler": (1, 2), "heun": (2,)}), ("heun", 2)
    config.guidances = (1.0, 2.0)
    config.fields = (
        *tiny(300),
        "model.unet.channels=16", "model.unet.multipliers=(1,)", "model.unet.blocks=1",
        "model.unet.patch=4", "model.unet.attention=()", "model.unet.mid_attention=False",
        "model.unet.local_channels=0", "sample.steps=2",
    )  # fmt: skip
    config.evaluate.n, config.evaluate.features = 20, "pixels"
    config.expected = "5 minutes on 2 CPU cores"


def cpu(config: Config) -> None:
    """NIH chest X-rays at 32x32 in small networks; give --config.data.dir."""
    config.data.preset = "nih"
    config.fields = (
        "data.image_size=32", "train.batch_size=16", "eval.every=", "eval.preview_every=", "eval.final_images=16",
        "model.unet.patch=4", "model.unet.channels=48",
    )  # fmt: skip
    config.evaluate.n = 384
    config.expected = "150 minutes on one CPU core, by 133 measured without dpmpp_sde"


def gpu(config: Config) -> None:
    """At 64x64; give --config.data.dir."""
    config.data.preset, config.steps = "nih", 20_000
    config.fields = ("data.image_size=64", "train.batch_size=128", "eval.every=2500 steps", "eval.preview_every=")
    config.evaluate.n = 4992
    config.expected = "not measured yet; --dry-run estimates it on the device at hand"
