"""The metrics beside those of independent packages on the same arrays.

    .venv-bench/bin/python -m tests.analysis.metrics.agreement

prints the table of docs/metrics.md. Each case gives rows (metric, package, where, ours, theirs).
"""

import contextlib
import functools
import io
import sys

import numpy as np
import pytest
from scipy import ndimage, special

from analysis.metrics import frechet, inception_score, kid, manifold, structure, vendi
from tests.analysis.metrics.peers import peer, version


@functools.cache
def features(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Like features of a network: correlated, not below 0, float32 [n, d]."""
    mix = np.random.default_rng(0).normal(size=(d, d)) / np.sqrt(np.arange(1, d + 1))[:, None]
    x = np.random.default_rng(seed).normal(size=(n, d)) @ mix
    return np.maximum(0.3 * x + 0.4 + shift, 0.0).astype(np.float32)


@functools.cache
def images(size: int, channels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Eight smooth images in [0, 1] and their noisy copies, float64 [8, size, size, channels]."""
    rng = np.random.default_rng(seed)
    x = special.expit(8 * ndimage.gaussian_filter(rng.normal(size=(8, size, size, channels)), (0, 4, 4, 0)))
    return x, np.clip(x + rng.normal(0, 0.1, x.shape), 0, 1)


def pair(n: int, d: int) -> tuple[np.ndarray, np.ndarray, str]:
    return features(n, d, 1), features(n, d, 2, 0.1), f"n = {n} and {n}, d = {d}"


def torch_fidelity_frechet():
    metric = peer("torch_fidelity.metric_fid")
    import torch

    for n, d in ((1000, 64), (400, 256), (100, 256)):
        x, y, where = pair(n, d)
        ours = frechet.frechet_distance(frechet.moments_of(x), frechet.moments_of(y)).value
        stats = [metric.fid_features_to_statistics(torch.from_numpy(a)) for a in (x, y)]
        theirs = metric.fid_statistics_to_metric(*stats, False)[metric.KEY_METRIC_FID]
        yield "FD", version("torch-fidelity"), where, ours, theirs


def clean_fid_frechet():
    metric = peer("cleanfid.fid")
    for n, d in ((1000, 64), (400, 256)):
        x, y, where = pair(n, d)
        ours = frechet.frechet_distance(frechet.moments_of(x), frechet.moments_of(y)).value
        moments = [part for a in (x, y) for part in (a.mean(0, dtype=np.float64), np.cov(a, rowvar=False))]
        yield "FD", version("clean-fid"), where, ours, metric.frechet_distance(*moments)


def torch_fidelity_kid():
    metric = peer("torch_fidelity.metric_kid")
    import torch

    x, y, where = pair(1000, 64)
    theirs = metric.kid_features_to_metric(
        torch.from_numpy(x).double(), torch.from_numpy(y).double(), kid_subsets=1, kid_subset_size=1000, verbose=False
    )
    yield "KID", version("torch-fidelity"), where, kid.kid(x, y).value, theirs[metric.KEY_METRIC_KID_MEAN]


def clean_fid_kid():
    metric = peer("cleanfid.fid")
    x, y, where = pair(1000, 64)
    theirs = metric.kernel_distance(x.astype(np.float64), y.astype(np.float64), num_subsets=1, max_subset_size=1000)
    yield "KID", version("clean-fid"), where, kid.kid(x, y).value, theirs


def prdc():
    compute = pytest.importorskip("prdc").compute_prdc
    x, y = features(1000, 64, 1), features(800, 64, 2, 0.1)
    with contextlib.redirect_stdout(io.StringIO()):
        three, five = (compute(x.astype(np.float64), y.astype(np.float64), nearest_k=k) for k in (3, 5))
    where = "n = 1000 and 800, d = 64, k = "
    for name, ours in zip(("precision", "recall"), manifold.precision_recall(x, y), strict=True):
        yield name, version("prdc"), where + "3", ours, three[name]
    for name, ours in zip(("density", "coverage"), manifold.density_coverage(x, y), strict=True):
        yield name, version("prdc"), where + "5", ours, five[name]


def torch_fidelity_precision_recall():
    metric = peer("torch_fidelity.metric_prc")
    import torch

    x, y, where = pair(1000, 64)
    tensors = [torch.from_numpy(a).double() for a in (y, x)]  # the generated set first
    theirs = metric.prc_features_to_metric(*tensors, verbose=False)
    for name, ours in zip(("precision", "recall"), manifold.precision_recall(x, y), strict=True):
        yield name, version("torch-fidelity"), where + ", k = 3", ours, theirs[name]


def torch_fidelity_inception_score():
    metric = peer("torch_fidelity.metric_isc")
    import torch

    logits = np.random.default_rng(0).normal(0, 3, (1000, 1008)).astype(np.float32)
    theirs = metric.isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=False)
    ours = inception_score.inception_score(logits, seed=None)
    where = "n = 1000, 1008 classes, 10 splits"
    yield "IS, mean", version("torch-fidelity"), where, ours.mean, theirs[metric.KEY_METRIC_ISC_MEAN]
    yield "IS, deviation", version("torch-fidelity"), where, ours.std, theirs[metric.KEY_METRIC_ISC_STD]


def vendi_score():
    score = pytest.importorskip("vendi_score.vendi")
    for n, d in ((400, 64), (100, 256)):
        x, _, _ = pair(n, d)
        theirs = score.score_dual(x.astype(np.float64)) if d < n else score.score_X(x.astype(np.float64))
        yield "Vendi", version("vendi-score"), f"n = {n}, d = {d}", vendi.vendi_score(x), theirs


def tensors(size: int, channels: int):
    """The same images for PyTorch, [8, channels, size, size]."""
    import torch

    return [torch.from_numpy(a.transpose(0, 3, 1, 2).copy()) for a in images(size, channels)]


def torchmetrics_ssim():
    metric = peer("torchmetrics.functional.image")
    for size, channels in ((64, 1), (128, 3)):
        where = f"8 pairs, {size}x{size}x{channels}"
        ours = structure.ssim(*images(size, channels), 1.0).mean()
        _, windows = metric.structural_similarity_index_measure(
            *tensors(size, channels), data_range=1.0, return_full_image=True
        )
        inside = windows[:, :, 5:-5, 5:-5].mean()
        yield "SSIM", version("torchmetrics") + ", windows within", where, ours, float(inside)
        psnr = metric.peak_signal_noise_ratio(
            *tensors(size, channels), data_range=1.0, reduction="elementwise_mean", dim=(1, 2, 3)
        )
        yield "PSNR", version("torchmetrics"), where, structure.psnr(*images(size, channels), 1.0).mean(), float(psnr)


def torchmetrics_ms_ssim():
    """As it stands: at the coarsest scale windows beyond the edge see mirrored pixels."""
    metric = peer("torchmetrics.functional.image")
    for size in (64, 128, 192):
        ours, scales = structure.ms_ssim(*images(size, 1), 1.0)
        weights = tuple(np.array(structure.WEIGHTS[:scales]) / sum(structure.WEIGHTS[:scales]))
        theirs = metric.multiscale_structural_similarity_index_measure(*tensors(size, 1), data_range=1.0, betas=weights)
        yield "MS-SSIM", version("torchmetrics"), f"8 pairs, {size}x{size}x1, {scales} scales", ours.mean(), theirs


def pytorch_msssim():
    metric = peer("pytorch_msssim")
    for channels in (1, 3):
        ours, scales = structure.ms_ssim(*images(192, channels), 1.0)
        theirs = metric.ms_ssim(*tensors(192, channels), data_range=1.0)
        yield "MS-SSIM", version("pytorch-msssim"), f"8 pairs, 192x192x{channels}, {scales} scales", ours.mean(), theirs


def scikit_image_ssim():
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    for size, channels in ((64, 1), (128, 3)):
        options = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        both = zip(*images(size, channels), strict=True)
        theirs = np.mean([structural_similarity(x, y, channel_axis=-1, **options) for x, y in both])
        ours = structure.ssim(*images(size, channels), 1.0).mean()
        yield "SSIM", version("scikit-image"), f"8 pairs, {size}x{size}x{channels}", ours, theirs


def torchmetrics_ssim_over_the_edge():
    """As it stands: windows beyond the edge see mirrored pixels."""
    metric = peer("torchmetrics.functional.image")
    for size in (64, 128):
        theirs = metric.structural_similarity_index_measure(*tensors(size, 1), data_range=1.0)
        ours = structure.ssim(*images(size, 1), 1.0).mean()
        yield "SSIM", version("torchmetrics") + ", mirrored edges", f"8 pairs, {size}x{size}x1", ours, theirs


CASES = [
    torch_fidelity_frechet, clean_fid_frechet, torch_fidelity_kid, clean_fid_kid, prdc, torch_fidelity_precision_recall,
    torch_fidelity_inception_score, vendi_score, scikit_image_ssim, torchmetrics_ssim, torchmetrics_ms_ssim,
    pytorch_msssim,
]  # fmt: skip
DIFFERENT = [torchmetrics_ssim_over_the_edge]  # by definition


def relative_difference(ours: float, theirs: float) -> float:
    return abs(float(ours) - float(theirs)) / abs(float(theirs))


def main():
    print("| metric | package | on | ours | theirs | relative difference |\n| --- | --- | --- | --- | --- | --- |")
    for case in CASES + DIFFERENT:
        try:
            for metric, package, where, ours, theirs in case():
                numbers = f"{float(ours):.6g} | {float(theirs):.6g} | {relative_difference(ours, theirs):.1e}"
                print(f"| {metric} | {package} | {where} | {numbers} |")
        except pytest.skip.Exception as reason:
            print(f"{case.__name__}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
