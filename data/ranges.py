"""The one place where stored intensities and the network's range meet: x = 2 u / (2^bits - 1) - 1.

Stored images are uint8 or uint16 over their full range; everything that trains, samples or measures
sees float32 in [-1, 1]. Works on numpy arrays and, traced or not, on jax arrays.
"""

import numpy as np

DTYPES = {8: np.uint8, 16: np.uint16}


def to_float(array):
    """Stored intensities to the network's range.

    Args:
        array: uint8 or uint16, any shape, numpy or jax.

    Returns:
        float32 of the same shape and kind, in [-1, 1]; both ends are exact.

    Raises:
        TypeError: another dtype (it would be scaled by a guess).
    """
    maximum = _maximum(array.dtype)
    # (2 u - max) is exact and the product rounds once, so every device gives the same bits and exact
    # ends; written as a division, XLA would take the reciprocal itself and numpy would not.
    inverse = np.float32(1 / maximum)
    if isinstance(array, np.ndarray):
        x = array.astype(np.float32)
        np.multiply(x, np.float32(2), out=x)
        np.subtract(x, np.float32(maximum), out=x)
        return np.multiply(x, inverse, out=x)
    return (2 * array.astype("float32") - maximum) * inverse


def to_uint(array, bits: int = 8):
    """The network's range to stored intensities: clipped, rounded to nearest; NaN is not accepted.

    Args:
        array: float in [-1, 1], any shape, numpy or jax; values outside are clipped.
        bits: 8 or 16.

    Returns:
        uint8 or uint16 of the same shape; `to_uint(to_float(u), bits) == u` for every u.

    Raises:
        KeyError: other bits.
        ValueError: a numpy array with NaN (a cast would turn it into an arbitrary gray level).
    """
    dtype = DTYPES[bits]
    if isinstance(array, np.ndarray) and np.isnan(array).any():
        raise ValueError("to_uint was given NaN: the image is not finite.")
    half = np.float32(np.iinfo(dtype).max / 2)
    return ((array.clip(-1, 1).astype("float32") + np.float32(1)) * half).round().astype(dtype)


def _maximum(dtype) -> int:
    if dtype not in (np.uint8, np.uint16):
        raise TypeError(f"Stored images are uint8 or uint16, not {dtype}.")
    return int(np.iinfo(dtype).max)
