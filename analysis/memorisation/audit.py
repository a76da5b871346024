"""Whether a set of samples repeats training images: the numbers of a result file.

Everything is calibrated by real images that the model has not learned from. One half of them sets the thresholds; the
other half is measured as the samples are, so that a result says what a generator that copies nothing would score.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.features.registry import FeatureNetwork
from analysis.memorisation.aligned import find_aligned
from analysis.memorisation.by_subgroup import copied_by_subgroup, members_by_subgroup
from analysis.memorisation.copying import authentic, data_copying
from analysis.memorisation.duplicates import by_hash, repeats_another, shares_of
from analysis.memorisation.membership import image_scores, of_all
from analysis.memorisation.neighbours import Neighbours, find_neighbours
from analysis.memorisation.threshold import QUANTILE, new, p_below, threshold
from analysis.memorisation.unseen import Unseen, groups_of, seen_images, take, unseen_images
from analysis.metrics.blocks import nearest
from analysis.metrics.patients import Groups, number, patient_groups

SIGNIFICANT = 0.01  # P below which copies are suspected, over all spaces together
MEASURES, KINDS = ("distance", "ratio"), ("samples", "held_out")
Owners = dict[str, Groups]  # the patient of each image of calibration and held_out
MEMBERS = 1000  # training images, and unseen ones, whose membership is inferred, at most


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What one space says: JSON values, and the neighbours behind them, to be drawn."""

    result: dict[str, Any]
    samples: Neighbours
    held_out: Neighbours


def audit(
    run, dataset, images: np.ndarray, networks: Sequence[FeatureNetwork], seed: int = 0
) -> tuple[dict[str, Any], dict[str, Found]]:
    """What a result file says of memorisation, as JSON values, and what each space found; see docs/memorisation.md.

    Args:
      run: what `analysis.load` gives; of a segmenter there is no membership.
      dataset: what the run was trained on.
      images: [n, h, w, c] stored samples of the run.
      networks: the spaces; one of them should be pixels.

    Raises:
      UserError: too few images that the model has not seen.
    """
    unseen, recorded = unseen_images(dataset, seed), dataset.info.recorded
    plain = dataset.info.sizes["train"]
    result, found = audit_samples(seen_images(run, dataset), images, networks, unseen, seed, plain)
    for name, space in found.items() if recorded else ():
        limit, train = result["spaces"][name]["ratio"]["threshold"], np.asarray(dataset.arrays("train")["attributes"])
        result["spaces"][name]["subgroups"] = copied_by_subgroup(recorded, space.samples, limit, train)
    return result | {"mirrored": run.config.data.flip} | members(run, dataset, unseen, seed), found


def audit_samples(
    train: np.ndarray,
    images: np.ndarray,
    networks: Sequence[FeatureNetwork],
    unseen: Unseen,
    seed: int = 0,
    plain: int | None = None,
) -> tuple[dict[str, Any], dict[str, Found]]:
    """The part of `audit` that looks at samples alone, and what each space found, by its name.

    Args:
      train, images: stored training images and samples, [m, h, w, c] and [n, h, w, c].
      plain: how many of `train`, the first, are images as they are, see `in_space`; all by default.
    """
    sets = {"samples": images, "calibration": unseen.calibration["image"], "held_out": unseen.check["image"]}
    owners = {"calibration": groups_of(unseen.calibration), "held_out": groups_of(unseen.check)}
    found = {net.name: in_space(net, train, sets, seed, plain, owners) for net in networks}
    hashed = by_hash(images, sets["held_out"], train, owners["held_out"])
    # Not by the distance: blurred images are near to all others, copies or not.
    tests = {name: space.result["ratio"]["p"] for name, space in found.items()}
    tests["hash"] = hashed["of_training"]["p"]
    limit = SIGNIFICANT / len(tests)
    return {
        "train": len(train),
        "samples": len(images),
        "calibration": len(sets["calibration"]),
        "held_out": len(sets["held_out"]),
        "patients": {name: number(groups, len(sets[name])) for name, groups in owners.items()},
        "quantile": QUANTILE,
        "suspected": [name for name, p in tests.items() if p < limit],
        "p_limit": limit,
        "spaces": {name: space.result for name, space in found.items()},
        "hash": hashed,
    }, found


def in_space(
    network: FeatureNetwork,
    train: np.ndarray,
    sets: dict[str, np.ndarray],
    seed: int = 0,
    plain: int | None = None,
    owners: Owners | None = None,
) -> Found:
    """What one feature network says of stored images.

    Args:
      train: [m, h, w, c].
      sets: samples, calibration and held_out, [n, h, w, c] each.
      plain: how many of `train`, the first, AuthPct is of. Among mirrored images each image's nearest is often its
        own mirror, so that unseen images would look more authentic than beside the plain ones.
      owners: the patient of each image of calibration and held_out; by default each has one of its own.
    """
    owners = owners or dict.fromkeys(("calibration", "held_out"))
    known = network(train)
    near = {name: find_aligned(network, images, known) for name, images in sets.items()}
    result: dict[str, Any] = {"network": network.describe()}
    for measure in MEASURES:
        closeness = (getattr(near[name], measure) for name in (*KINDS, "calibration"))
        result[measure] = too_close(*closeness, owners)
    # The published measures are of distances as they are, without shifts.
    features = {name: network(sets[name]) for name in KINDS}
    as_they_are = known[:plain]
    own = np.sqrt(nearest(as_they_are, as_they_are, 1, own=True)[0][:, 0])
    flags = {name: authentic(find_neighbours(part, as_they_are), own) for name, part in features.items()}
    result["authentic"] = shares_of(flags, owners["held_out"])
    copying = data_copying(features["samples"], known, features["held_out"], seed)
    result["data_copying"] = copying and dataclasses.asdict(copying)
    n = min(len(part) for part in features.values())
    flags = {name: repeats_another(part[:n], result["distance"]["threshold"]) for name, part in features.items()}
    result["near_each_other"] = shares_of(flags, owners["held_out"])
    return Found(result, near["samples"], near["held_out"])


def too_close(
    samples: np.ndarray, held_out: np.ndarray, calibration: np.ndarray, owners: Owners
) -> dict[str, Any]:
    """Shares of samples [n] and of held-out images [m] below the threshold that other unseen images [l] set.

    `p` is the chance of as many samples below or more, were they drawn like the unseen images; `copies` how many of
    the images that set the threshold are a training image, and are left out.
    """
    usable, groups = new(calibration), owners["calibration"]
    calibration, groups = calibration[usable], None if groups is None else groups[usable]
    limit, expected = threshold(calibration)
    below = {"samples": samples < limit, "held_out": held_out < limit}
    patients = number(groups, len(calibration))
    medians = {name: float(np.median(values)) for name, values in (("samples", samples), ("held_out", held_out))}
    return {
        "threshold": limit,
        "expected": expected,
        "copies": int((~usable).sum()),
        "p": p_below(int(below["samples"].sum()), len(samples), len(calibration), patients),
        "median": medians,
        **shares_of(below, owners["held_out"]),
    }


def members(run, dataset, unseen: Unseen, seed: int = 0) -> dict[str, Any]:
    """Membership inference on the training images and the unseen ones, MEMBERS of each at most.

    Returns:
      {"membership": None of a segmenter, "membership_subgroups": where the source records attributes}.
    """
    if not hasattr(run.family, "sample"):
        return {"membership": None}
    sets = take(dataset.arrays("train"), MEMBERS, seed), take(unseen.all, MEMBERS, seed)
    scores = [image_scores(run, rows) for rows in sets]
    patients = patient_groups(np.concatenate([rows["patient"] for rows in sets]))
    groups = tuple(np.split(patients, [len(sets[0]["patient"])]))
    result = {"membership": of_all(*scores, groups)}
    if dataset.info.recorded:
        both = ((values, rows["attributes"]) for values, rows in zip(scores, sets, strict=True))
        result["membership_subgroups"] = members_by_subgroup(dataset.info.recorded, *both, groups)
    return result
