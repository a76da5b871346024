"""The studies' figures and tables by name: each module has draw(content) and tables(content)."""

import dataclasses

from analysis.plots import (
    study_samplers,
    study_scratch_vs_finetune,
)
from analysis.plots.drawing import Drawing

DRAWN = {
    "scratch_vs_finetune": study_scratch_vs_finetune,
    "samplers": study_samplers,
}


def named(drawing: Drawing, name: str) -> Drawing:
    """The drawing under another file name."""
    return dataclasses.replace(drawing, name=name)
