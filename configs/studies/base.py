"""What the configs of all studies share."""

from collections.abc import Callable, Sequence

import ml_collections

from configs import datasets

Config = ml_collections.ConfigDict
FAMILIES = ("gan", "vae", "ddpm", "flow")


def get_study(name: str) -> Config:
    """Fields of every study."""
    config = Config()
    config.study = name  # which of analysis/studies
    config.name = ""  # of the results file, results/STUDY/NAME.json: the size
    config.seeds = (0, 1, 2)  # of the trainings; all runs draw their samples from the same noise
    config.data = get_source("phantom")  # what is modelled
    config.fields = ()  # of every training's config, such as "data.image_size=32"
    config.family_fields = Config({family: () for family in FAMILIES})  # and of one family's
    # Network evaluations that a sampled image takes, for estimates of time: steps, twice with guidance and with Heun.
    config.passes = Config({"gan": 1, "vae": 1, "ddpm": 40, "flow": 40})
    config.evaluate = Config()
    config.evaluate.n = 500  # images drawn at each saved point, and real ones at most
    config.evaluate.split = "test"
    config.evaluate.features = "efficientnet_lite0"  # network of the metrics
    config.expected = ""  # how long it takes, and on what
    return config


def get_source(preset: str) -> Config:
    """A dataset: its preset, see configs/datasets.py, and where it lies; phantoms need no folder."""
    return Config({"preset": preset, "dir": ""})


def tiny(num_images: int) -> tuple[str, ...]:
    """Fields of the trainings of a `:smoke`, of so many drawn images; nothing is scored or drawn along the way."""
    return (
        "data.image_size=16", f"data.num_images={num_images}", "train.batch_size=8", "eval.every=",
        "eval.final_images=0", "eval.preview_every=",
    )  # fmt: skip


def finish(
    config: Config, arg: str | None, sizes: dict[str, Callable[[Config], None]], known: Sequence[str] = datasets.PRESETS
) -> Config:
    """Applies the presets named in `arg`: one size, and a dataset in place of the size's own.

    Args:
      known: datasets that may be named.

    Raises:
      ValueError: no size or several, or an unknown name.
    """
    names = [name for name in (arg or "").split(",") if name]
    chosen = [name for name in names if name in sizes]
    others = [name for name in names if name not in sizes]
    if len(chosen) != 1:
        raise ValueError(f"a study needs one size of {', '.join(sizes)}, not {arg!r}")
    if len(others) > 1 or any(name not in known for name in others):
        raise ValueError(f"{', '.join(others)}: beside the size one dataset may be named, of {', '.join(known)}")
    sizes[chosen[0]](config)
    for name in others:
        config.data.preset = name
        if "primary" in config:
            config.primary.family = ""  # what was written down beforehand is of the size's own dataset
    config.name = "_".join([chosen[0], *others])
    config.lock()
    return config
