"""How often the audit errs where the generator is perfect: the phantom itself, from which the training images come.

A model that passes may only be poor. Fresh images of the phantom are as close to the training images as unseen images
are, no less and no more; so is what a model draws that has learned the distribution and nothing else.
"""

import dataclasses
from typing import Any

import numpy as np

from analysis.memorisation.spaces import build_networks
from analysis.memorisation.unseen import Unseen
from data.phantom import cxr
from data.ranges import to_uint

SPACE = "pixels_32"
TRAIN, UNSEEN, SAMPLES = 2000, 1000, 500


def error_rates(sets: int, plant, size: int = 32) -> dict[str, Any]:
    """Shares of sets of fresh images in which copies are suspected, as they are and with copies planted among them.

    Args:
      sets: each of a population of its own, with its own training and unseen images.
      plant: (samples, training images, seed) -> samples with copies among them.
    """
    from analysis.memorisation.audit import audit_samples
    from analysis.metrics.shares import share

    networks, suspected = build_networks(SPACE, ""), {"fresh": [], "planted": []}
    for seed in range(1000, 1000 + sets):  # no population of the trained models
        images = to_uint(2 * cxr.generate(seed, np.arange(TRAIN + UNSEEN + SAMPLES), size)["image"] - 1)
        train, unseen, samples = np.split(images, [TRAIN, TRAIN + UNSEEN])
        halves = Unseen(*({"image": half, "id": np.arange(len(half))} for half in np.split(unseen, 2)))
        for name, drawn in (("fresh", samples), ("planted", plant(samples, train, seed))):
            suspected[name].append(bool(audit_samples(train, drawn, networks, halves, seed)[0]["suspected"]))
    return {name: dataclasses.asdict(share(np.array(found))) for name, found in suspected.items()}
