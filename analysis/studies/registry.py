"""The studies by name.

Each module has jobs(config, work) and collect(config, work), and may have pictures(config, work).
"""

from analysis.studies import downstream, families, memorisation, samplers, scratch_vs_finetune, segmentation

STUDIES = {
    "scratch_vs_finetune": scratch_vs_finetune,
    "samplers": samplers,
    "families": families,
    "downstream": downstream,
    "memorisation": memorisation,
    "segmentation": segmentation,
}
