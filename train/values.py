"""Numbers of a config that no run can be made with."""

import ml_collections

from data import UserError

LEAST = {
    "train.batch_size": 1, "eval.batch_size": 1, "eval.max_images": 0, "eval.preview_images": 0,
    "eval.final_images": 0, "checkpoint.keep": 1, "checkpoint.keep_best": 0,
}  # fmt: skip


def check_values(config: ml_collections.ConfigDict) -> None:
    """Raises UserError where a field is less than it can be."""
    for field, least in LEAST.items():
        section, name = field.split(".")
        if config[section][name] < least:
            raise UserError(f"config.{field}={config[section][name]} must be at least {least}")
