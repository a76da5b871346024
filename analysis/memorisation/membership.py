"""Membership inference: whether a model's own scores tell its training images from images it has not seen.

Of DDPM, flow and VAE an image counts as a member the lower its loss is (Yeom et al. 2018; of diffusion models,
Matsumoto et al. 2023), of a GAN the higher the discriminator's logit is (Hayes et al. 2019, the white-box attack).
"""

import dataclasses
from typing import Any

import numpy as np

from analysis.metrics.intervals import delong
from analysis.metrics.patients import Groups
from analysis.metrics.shares import share

RATE, FEWEST = 0.01, 100  # false positive rate, and unseen images from which it means anything
BATCH = 64


def of_all(
    member: dict[str, np.ndarray], unseen: dict[str, np.ndarray], groups: tuple[Groups, Groups] = (None, None)
) -> dict[str, Any]:
    """{score: {"auc", "tpr", "fpr"}} of every score {name: [n]} that a family gives: see `of_scores`."""
    return {name: of_scores(values, unseen[name], groups) for name, values in member.items()}


def of_scores(member: np.ndarray, unseen: np.ndarray, groups: tuple[Groups, Groups] = (None, None)) -> dict[str, Any]:
    """Area under the ROC curve, and the share of members found at a false positive rate of at most RATE.

    The second is None with fewer than FEWEST unseen images: one of them would be more than that rate. Its interval is
    that of the share at the threshold used, and does not hold the threshold's own chance.

    Args:
      member, unseen: [m] and [n] scores, the higher the likelier a member.
      groups: of members [m] and of unseen images [n] the patient of each, by one numbering.
    """
    result: dict[str, Any] = {"auc": dataclasses.asdict(delong(member, unseen, groups)), "tpr": None, "fpr": RATE}
    if len(unseen) >= FEWEST:
        allowed = int(RATE * len(unseen) + 1e-9)
        limit = np.sort(unseen)[::-1][allowed]
        result["tpr"] = dataclasses.asdict(share(member > limit, groups[0]))
    return result


def image_scores(run, rows: dict[str, np.ndarray], repeats: int = 8) -> dict[str, np.ndarray]:
    """{name: [n]} scores of images, higher where the model takes an image for one of its own.

    Of a GAN the discriminator's logit; else each term of `family.eval_step`, negated. Repeat r of an image has the
    number id * repeats + r, from which a family draws its noise and its time: the times of one image are spread evenly.

    Args:
      run: what `analysis.load` gives.
      rows: of `Dataset.arrays`; image, label and id are read.
      repeats: draws of noise (and of time) that an image's score is the mean over.
    """
    import jax

    from data.ranges import to_float
    from models.cpu import jit
    from train.build import root_key

    family, state, key = run.family, run.state.replace(opt_state={}), root_key(0, "eval")
    if hasattr(family, "realness"):
        score, repeats = lambda state, batch: {"logit": family.realness(state, batch)}, 1
    else:
        score = lambda state, batch: jax.tree.map(lambda x: -x, family.eval_step(state, batch, key))  # noqa: E731
    step = jit(lambda state, batch: score(state, batch | {"image": to_float(batch["image"])}))
    n, parts = len(rows["id"]), []
    for start in range(0, n, BATCH):
        index = np.minimum(np.arange(start, start + BATCH), n - 1)  # a last batch is filled up, and compiled once
        batch = {"image": np.asarray(rows["image"][index]), "label": np.float32(rows["label"][index])}
        batch["weight"], numbers = np.ones(BATCH, np.float32), rows["id"][index].astype(np.int32) * repeats
        found = [jax.device_get(step(state, batch | {"id": numbers + r})) for r in range(repeats)]
        parts.append({name: np.mean([one[name] for one in found], 0, np.float64) for name in found[0]})
    return {name: np.concatenate([part[name] for part in parts])[:n] for name in parts[0]}
