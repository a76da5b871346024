"""Batch norm at inference, folded into the convolution before it."""

import numpy as np


def fold(raw: dict[str, np.ndarray], conv: str, norm: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """A convolution without bias and the batch norm behind it as one convolution, computed in float64.

    Args:
      raw: arrays under PyTorch's names; kernels are OIHW.
      conv: name of the convolution.
      norm: name of the batch norm.
      epsilon: added to its variance.

    Returns:
      kernel [height, width, in, out] and bias [out], float32.
    """
    value = lambda part: raw[f"{norm}.{part}"].astype(np.float64)  # noqa: E731
    gain = value("weight") / np.sqrt(value("running_var") + epsilon)
    kernel = raw[f"{conv}.weight"].astype(np.float64) * gain[:, None, None, None]
    bias = value("bias") - value("running_mean") * gain
    return kernel.transpose(2, 3, 1, 0).astype(np.float32), bias.astype(np.float32)
