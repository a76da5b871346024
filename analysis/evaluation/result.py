"""The content of a generator's result file."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.evaluation import groups
from analysis.evaluation.ground import Ground
from analysis.evaluation.likelihood import likelihood
from analysis.evaluation.scores import LOGITS
from analysis.evaluation.sets import ImageSet, nobody, owners
from analysis.metrics.patients import patient_groups


def evaluate(run, ground: Ground, options: dict[str, Any]) -> tuple[dict[str, Any], ImageSet]:
    """(content of a result file, the generated images).

    Args:
      run: what `analysis.load` gives.
      options: fields of `config.sample`.
    """
    settings = ground.settings
    generated, sampling = draw(run, options, settings.n, settings.seed)
    generated = generated.measured(ground.networks)
    result = describe(run) | {"data": ground.dataset.info.fingerprint, "sampling": sampling}
    result |= measured_against(ground, generated)
    for part in settings.parts:
        result |= PARTS[part](run, ground, generated)
    return result, generated


def describe(run) -> dict[str, Any]:
    """What was evaluated, and what training it took."""
    batch, step = run.config.train.batch_size, run.step
    return {
        "run": run.folder.resolve().name,
        "family": run.config.model.family,
        "dataset": run.info.name,
        "image_shape": list(run.info.image_shape),
        "step": step,
        "images_trained": step * batch,
        "train_seconds": run.train_seconds,
        "parameters": run.parameters,
        "fitted": run.fitted,
    }


def draw(run, options: dict[str, Any], n: int, seed: int) -> tuple[ImageSet, dict[str, Any]]:
    """(n images with labels drawn as in the training split, how they were drawn and how long it took)."""
    from analysis.labels import draw_labels
    from analysis.progress import Clock, progress
    from analysis.sampling import Sampler

    labels = draw_labels(run.train_labels, n, seed)
    sampler, clock = Sampler(run.family, options, run.info.bits), Clock()
    with progress(f"drawing from {run.folder.name}", n) as report:
        images = sampler.draw(run.state, labels, seed, report=lambda done: (clock(done), report(done)))
    facts = options | {"seed": seed, "n": n, "images_per_second": clock.speed}
    return ImageSet(images, labels, np.zeros((n, 0), np.float32), nobody(n)), facts


def measured_against(ground: Ground, generated: ImageSet) -> dict[str, Any]:
    """What holds of any set of images: the networks, the real images' number, and every metric in every space."""
    spaces = (*ground.networks, "images")
    return {
        "real": {
            "split": ground.settings.split,
            "n": len(ground.real),
            **owners(ground.real.groups, bool(ground.dataset and ground.dataset.info.patients)),
            "floor_n": len(ground.reference.floor[0]),
            "sha256": hashlib.sha256(np.ascontiguousarray(ground.real.images)).hexdigest(),
        },
        "features": {name: network.describe() for name, network in ground.networks.items()},
        "metrics": {space: ground.reference.rows(generated, space) for space in spaces},
    }


def _likelihood(run, ground: Ground, generated: ImageSet) -> dict[str, Any]:
    settings = ground.settings
    return {"likelihood": likelihood(run, ground.dataset, settings.split, settings.likelihood_n)}


def _reconstruction(run, ground: Ground, generated: ImageSet) -> dict[str, Any]:
    from analysis.reconstruction import reconstruction

    if not hasattr(run.family, "reconstruct"):
        return {}
    return {"reconstruction": reconstruction(run, ground.dataset, ground.settings.n, ground.settings.split)}


def _findings(run, ground: Ground, generated: ImageSet) -> dict[str, Any]:
    from analysis.domain.findings import findings

    settings = ground.settings
    if not run.info.classes:
        return {}
    asked = (generated.images, generated.label, settings.seed, settings.split, settings.cache or None)
    return findings(ground.dataset, *asked)


def _factors(run, ground: Ground, generated: ImageSet) -> dict[str, Any]:
    from analysis.domain.factors import factors

    settings = ground.settings
    if not run.info.factors:
        return {}
    return {"factors": factors(ground.dataset, generated.images, settings.seed, settings.split, settings.cache or None)}


def _anatomy(run, ground: Ground, generated: ImageSet) -> dict[str, Any]:
    from analysis.domain.anatomy import anatomy

    settings = ground.settings
    if not settings.segmenter:
        return {}
    real = ground.dataset.arrays(settings.split)
    groups = patient_groups(np.asarray(real["patient"]))
    return {"anatomy": anatomy(settings.segmenter, generated.images, real["image"], settings.seed, groups)}


def _groups(run, ground: Ground, generated: ImageSet) -> dict[str, Any]:
    sets, space = (generated, ground.real, ground.train, run.info), next(iter(ground.networks))
    read = functools.partial(_fidelity, ground) if run.info.classes else None
    return {"classes": groups.classes(*sets, space), "subgroups": groups.subgroups(*sets, space, read)}


def _fidelity(ground: Ground, real: ImageSet, generated: ImageSet) -> dict[str, Any]:
    from analysis.domain.findings import fidelity

    sets = [(images.images, images.label, images.groups) for images in (real, generated)]
    return fidelity(ground.dataset, *sets, ground.settings.seed, ground.settings.cache or None)


def _memorisation(run, ground: Ground, generated: ImageSet) -> dict[str, Any]:
    from analysis.features import registry
    from analysis.memorisation.audit import audit

    networks = [net for name, net in ground.networks.items() if name not in LOGITS and not name.startswith("pixels")]
    networks.append(registry.build("pixels_32"))
    return {"memorisation": audit(run, ground.dataset, generated.images, networks, ground.settings.seed)[0]}


# Each is a function of (run, ground, generated) that gives what it adds to the result: plain JSON values by name.
PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "likelihood": _likelihood,
    "reconstruction": _reconstruction,
    "findings": _findings,
    "factors": _factors,
    "anatomy": _anatomy,
    "groups": _groups,
    "memorisation": _memorisation,
}
