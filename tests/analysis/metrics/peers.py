"""Independent packages to compare with; they and PyTorch are of the extra `bench`, and tests skip without them."""

import importlib
import importlib.metadata

import pytest


def peer(module: str):
    """A module of a package that needs PyTorch, or the test is skipped.

    torchvision refuses to be imported beside a PyTorch of another build until two of its operators are declared.
    """
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") and not hasattr(torch.ops.torchvision, "nms"):
        peer.library = torch.library.Library("torchvision", "DEF")  # lives as long as it is held
        peer.library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        peer.library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return pytest.importorskip(module)


def version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"
