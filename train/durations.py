"""Durations of a config ("2000 steps", "30 epochs", "1000000 images") as optimiser steps."""

import re

from data import UserError

UNITS = ("steps", "epochs", "images")


def to_steps(duration: str, field: str, batch_size: int, train_images: int) -> int:
    """Optimiser steps of a duration, at least as many images as it says; 0 for "".

    Args:
      field: name of the config field, for the message.
      batch_size: images a step.
      train_images: images of the training split (an epoch).

    Raises:
      UserError: not a number and a unit.
    """
    if not duration:
        return 0
    match = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*(steps?|epochs?|images?)\s*", duration)
    if not match:
        raise UserError(f'{field}={duration!r} is not a duration; write a number and a unit, such as "2000 steps", '
                        f'"30 epochs" or "1000000 images"')  # fmt: skip
    number, unit = float(match[1].replace("_", "")), match[2].rstrip("s") + "s"
    if unit == "steps":
        return int(number)
    images = number * (train_images if unit == "epochs" else 1)
    return -int(-images // batch_size)
