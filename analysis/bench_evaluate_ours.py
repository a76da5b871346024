"""What `analysis.bench_evaluate` times of this project."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.metrics import frechet, inception_score, kid, manifold, spectrum, structure, vendi


def extractor(network: str, folder: Path, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Features of stored images; Inception's with the random weights in `folder`."""
    from analysis.features import efficientnet_lite0, inception, inception_weights

    if network == "efficientnet_lite0":
        return efficientnet_lite0.extractor(batch)
    with np.load(folder / "inception.npz") as raw:
        params = inception_weights.to_params(dict(raw))
    return inception.from_params(params, mode="legacy-tensorflow", batch_size=batch)


def _frechet(x: np.ndarray, y: np.ndarray) -> float:
    return frechet.frechet_distance(frechet.moments_of(x), frechet.moments_of(y)).value


def _spectrum(images: np.ndarray) -> float:
    halves = [spectrum.radial_spectrum(images[i::2]) for i in (0, 1)]
    return spectrum.spectrum_distance(*halves)


METRICS = {
    "frechet": _frechet,
    "frechet_infinity": lambda x, y: frechet.frechet_infinity(x, y).value,
    "kid": lambda x, y: kid.kid(x, y).value,
    "prdc": lambda x, y: [*manifold.precision_recall(x, y, k=5), *manifold.density_coverage(x, y, k=5)],
    "vendi": vendi.vendi_score,
    "inception_score": lambda logits: inception_score.inception_score(logits, seed=None).mean,
    "ms_ssim": lambda images: structure.ms_ssim_diversity(images, 255).value,
    "spectrum": _spectrum,
}
