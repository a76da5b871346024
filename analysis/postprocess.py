"""Named post-processes of samples. They change what a metric sees, so they are off unless a config names one."""

import numpy as np

from data import UserError

NAMES = ("none", "bilateral_sharpen")


def postprocess(images: np.ndarray, name: str) -> np.ndarray:
    """Images [n, h, w, c] in [-1, 1] after the post-process `name`.

    bilateral_sharpen: an edge-preserving bilateral filter, then a 3x3 sharpening kernel, as the CheXpert
    dissertation does before its figures.

    Raises:
      UserError: an unknown name.
    """
    check_name(name)
    if name == "none":
        return images
    return np.stack([_bilateral_sharpen(image) for image in images])


def check_name(name: str) -> None:
    """Raises UserError for a name that is none of NAMES."""
    if name not in NAMES:
        raise UserError(f"config.sample.postprocess={name!r} is unknown; choose one of {', '.join(NAMES)}")


def _bilateral_sharpen(image: np.ndarray) -> np.ndarray:
    # Imported here: they take the better part of a second, and most runs never come here.
    from scipy import ndimage
    from skimage.restoration import denoise_bilateral

    one = image.shape[-1] == 1  # a colour distance over one channel is an image without that axis, says skimage
    unit = (image[..., 0] if one else image) / 2.0 + 0.5
    smooth = denoise_bilateral(unit, 5, sigma_color=0.1, sigma_spatial=2.0, channel_axis=None if one else -1)
    smooth = smooth.reshape(image.shape)
    kernel = np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])
    sharp = np.stack([ndimage.convolve(smooth[..., c], kernel, mode="nearest") for c in range(image.shape[-1])], -1)
    return np.clip(sharp * 2.0 - 1.0, -1.0, 1.0).astype(image.dtype)
