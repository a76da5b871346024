"""The studies' figures and tables by name.

Each module has draw(content) and tables(content), and may have strips(content, folder) of the pictures in a folder.
"""

import dataclasses

from analysis.plots import (
    study_downstream,
    study_families,
    study_memorisation,
    study_samplers,
    study_scratch_vs_finetune,
    study_segmentation,
)
from analysis.plots.drawing import Drawing

DRAWN = {
    "scratch_vs_finetune": study_scratch_vs_finetune,
    "samplers": study_samplers,
    "families": study_families,
    "downstream": study_downstream,
    "memorisation": study_memorisation,
    "segmentation": study_segmentation,
}


def named(drawing: Drawing, name: str) -> Drawing:
    """The drawing under another file name."""
    return dataclasses.replace(drawing, name=name)
