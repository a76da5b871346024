"""The studies by name. Each module has jobs(config, work) and collect(config, work)."""

from analysis.studies import samplers, scratch_vs_finetune

STUDIES = {
    "scratch_vs_finetune": scratch_vs_finetune,
    "samplers": samplers,
}
