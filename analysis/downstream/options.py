"""What one classifier is trained on, and how; and the command line that says so."""

import dataclasses
from typing import Any

from absl import flags

from data import UserError

ARMS = ("real", "synthetic", "mixed", "duplicated")
SELECT = ("val", "last")
NETWORKS = ("cnn", "efficientnet_lite0")
_DEFINE = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_boolean}


def _option(default: Any, words: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": words})


@dataclasses.dataclass(frozen=True)
class Settings:
    """One arm. What does not say which images it learns from is to be alike in all arms of a study."""

    arm: str = _option("real", f"images it learns from: {', '.join(ARMS)}")
    ratio: float = _option(1.0, "added images (of synthetic: all) in multiples of the real training images")
    samples: str = _option("", "folder that analysis.sample wrote")
    run: str = _option("", "run directory to draw from, instead of --samples")
    checkpoint: str = _option("", "of --run: latest, best, a step, or a duration kept by the config")
    guidance: float = _option(1.0, "of what is drawn from --run, where its family has it; 1: off")
    sample_seed: int = _option(0, "of what is drawn from --run")
    sample_cache: str = _option(".cache/downstream", "folder that keeps what is drawn from --run")
    unchecked_split: bool = _option(False, "accept samples whose generator may have learned from test images")
    network: str = _option("cnn", "cnn (from scratch) or efficientnet_lite0 (from ImageNet)")
    input_size: int = _option(0, "side that images are brought to, pixels; 0: cnn as they are, efficientnet_lite0 224")
    steps: int = _option(1500, "of the optimiser, whatever the number of images")
    batch_size: int = _option(64, "images a step")
    rate: float = _option(0.0, "learning rate at its highest; 0: the network's own")
    augment: float = _option(0.5, "probability of each operation of models.augment; 0: off")
    select: str = _option("val", "parameters that are tested: val (best on the real validation split) or last")
    checks: int = _option(20, "evenly spaced looks at the validation split")
    seed: int = _option(0, "of initial parameters, orders and augmentation")
    resamples: int = _option(1000, "of the bootstrap")
    explain: int = _option(0, "test images that Grad-CAM and LIME explain; LIME needs the extra `explain`")
    lime_samples: int = _option(500, "perturbed copies of each image in LIME")
    out: str = _option("results/downstream", "folder of the result file")
    name: str = _option("", "of the result file; default ARM_NETWORK_SEED")

    def check(self) -> None:
        """Raises UserError for values that cannot be meant."""
        for key, allowed in (("arm", ARMS), ("select", SELECT), ("network", NETWORKS)):
            if getattr(self, key) not in allowed:
                raise UserError(f"--{key} {getattr(self, key)!r} is unknown; choose one of {', '.join(allowed)}")
        for key, least in (("steps", 1), ("batch_size", 1), ("checks", 1), ("resamples", 20), ("explain", 0),
                           ("lime_samples", 10), ("input_size", 0), ("seed", 0), ("sample_seed", 0)):  # fmt: skip
            if getattr(self, key) < least:
                raise UserError(f"--{key} {getattr(self, key)} must be at least {least}")
        if not 0 <= self.augment <= 1:
            raise UserError(f"--augment {self.augment} is a probability: use 0 (off) to 1")
        if self.ratio <= 0 or self.rate < 0:
            raise UserError(f"--ratio {self.ratio} must be above 0, and --rate {self.rate} not below it")
        self._check_source()

    def _check_source(self) -> None:
        sources = bool(self.samples) + bool(self.run)
        if self.arm in ("synthetic", "mixed") and sources != 1:
            raise UserError(f"--arm {self.arm} needs synthetic images: give --run RUN or --samples DIR, one of them")
        if self.arm in ("real", "duplicated") and sources:
            raise UserError(f"--arm {self.arm} takes no synthetic images: leave --run and --samples out")


def define_flags(values: flags.FlagValues) -> None:
    """A flag for each field of Settings."""
    for field in dataclasses.fields(Settings):
        _DEFINE[type(field.default)](field.name, field.default, field.metadata["help"], flag_values=values)


def settings_of(values: flags.FlagValues) -> Settings:
    """The flags as Settings.

    Raises:
      UserError: values that cannot be meant.
    """
    settings = Settings(**{field.name: values[field.name].value for field in dataclasses.fields(Settings)})
    settings.check()
    return settings
