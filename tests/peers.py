"""PyTorch packages that parity tests compare with; a test skips where one is absent."""

import functools

import pytest


@functools.cache
def register_operators():
    """torchvision of another build than torch does not import without these two operators, which nothing here uses.

    Returns:
      The library that holds them, which must live as long as they do; None where they are not needed.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except ImportError:
        return None
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


def import_diffusers():
    """diffusers, which imports torchvision where it is installed."""
    pytest.importorskip("torch")
    register_operators()
    return pytest.importorskip("diffusers")
