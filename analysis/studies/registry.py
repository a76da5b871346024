"""The studies by name. Each module has jobs(config, work) and collect(config, work)."""

from analysis.studies import downstream, scratch_vs_finetune

STUDIES = {"downstream": downstream, "scratch_vs_finetune": scratch_vs_finetune}
