"""Published weights as arrays: safetensors, or what `torch.save` wrote."""

from pathlib import Path

import numpy as np

from train.torch_pickle import read_arrays


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """{name: array} of a file of weights; nothing in it is executed.

    Raises:
      ValueError: another kind of file, or a damaged one.
    """
    if path.suffix != ".safetensors":
        return read_arrays(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: {error}") from error
