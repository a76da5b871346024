"""How a camera sees a scene: focus, the curve from light to gray levels, the pixel's area, noise."""

import numpy as np

from data.phantom import raster

_PIXEL = 0.42  # pixels (standard deviation) of blur that every image has beyond the pixel's own area


def expose(light):
    """Gray level in (0, 1) of the logarithm of light: the S-shaped curve of film and of cameras."""
    return 1 / (1 + np.exp(-light))


def halve(image):
    """Mean over blocks of 2 x 2 pixels, [..., 2 h, 2 w] -> [..., h, w]."""
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def focus(image, subject, f):
    """The image with the subject sharp and the rest out of focus, then the blur of the lens over both.

    image: [n, 3, 2 size, 2 size]. subject: its mask, [n, 1, 2 size, 2 size], float. Returns float64
    [n, 3, size, size] and the share of each pixel that is subject, [n, size, size].
    """
    share, own = halve(subject), halve(image * subject)
    rest = halve(image) - own
    size = share.shape[-1]
    out = np.empty_like(rest)
    for i in range(len(image)):
        sigma = float(f["defocus"][i, 0]) * size / 2
        hidden = rest[i], 1 - share[i]
        if sigma > 0.2:  # what the subject hides is unknown: the mean is over what is seen
            hidden = tuple(raster.blur(part, sigma) for part in hidden)
        seen = own[i] + (1 - share[i]) * hidden[0] / np.maximum(hidden[1], 1e-3)
        out[i] = raster.blur(seen, float(np.hypot(_PIXEL, f["blur"][i, 0] * size / 2)))
    return out, share[:, 0]
