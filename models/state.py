"""The state of a training run, the same for every family."""

from typing import Any

import flax.struct
import jax

PyTree = Any


@flax.struct.dataclass
class State:
    """Everything that a step changes; each field is a dict keyed by network, so all families are checkpointed alike.

    Attributes:
      step: int32 [], optimiser steps taken.
      params: network -> its parameters, float32.
      opt_state: network -> its optimiser's state.
      ema: network -> the moving average of its parameters; empty where none is kept.
      extra: whatever else a family carries from step to step (loss scale, augmentation probability).
    """

    step: jax.Array
    params: dict[str, PyTree]
    opt_state: dict[str, PyTree]
    ema: dict[str, PyTree]
    extra: dict[str, PyTree]

    def sampling_params(self, name: str) -> PyTree:
        """The parameters to sample and evaluate with: the moving average where there is one."""
        return self.ema.get(name, self.params[name])
