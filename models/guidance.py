"""Classifier-free guidance and thresholding, as wrappers of a denoiser."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from models.denoiser import Denoised, DenoiseFn, per_image
from models.pixels import PixelScale
from models.schedules import Schedule

NULL = -1.0  # an entry of the label vector that says nothing


def drop_labels(label: jax.Array, drop: jax.Array) -> jax.Array:
    """Label [b, k] with the rows in `drop` [b] (bool) null (Ho and Salimans 2022, algorithm 1)."""
    return jnp.where(drop[:, None], NULL, label)


def check(scale: float, label_drop: float) -> None:
    """Raises ValueError where guidance is asked of a model that never saw a hidden label."""
    if scale != 1.0 and not label_drop:
        raise ValueError(
            f"guidance {scale:g} needs a model that also learned without labels: set sample.guidance to 1 (of a "
            "finished run: --guidance 1), or train with model.label_drop above 0"
        )


def given_and_free(of_label: Callable, label: jax.Array) -> Callable:
    """(x, t) -> (what a model says of x with its label, without): one call on twice the batch, compiled once.

    Args:
      of_label: label [b, k] -> a function of x [b, ...] and t, [] or [b].
    """
    model = of_label(jnp.concatenate([label, jnp.full_like(label, NULL)]))

    def both(x, t):
        out = model(jnp.concatenate([x, x]), jnp.concatenate([t, t]) if jnp.ndim(t) else t)
        return jax.tree.map(lambda a: a[: len(x)], out), jax.tree.map(lambda a: a[len(x) :], out)

    return both


def guided(
    both: Callable[[jax.Array, jax.Array], tuple[Denoised, Denoised]],
    schedule: Schedule,
    scale: float,
    interval: tuple[float, float] = (0.0, float("inf")),
) -> DenoiseFn:
    """u + s (c - u): s = 1 is the conditional model, 0 the unconditional one.

    Guidance on x_0 equals guidance on eps or the score, since they differ by a linear map of x_t.

    Args:
      both: gives c and u.
      scale: s.
      interval: noise levels sigma / alpha between which s applies; outside it is 1 (Kynkaanniemi et al. 2024).
    """

    def denoise(x, t):
        alpha, sigma = schedule.alpha_sigma(t)
        level = sigma / alpha
        s = per_image(jnp.where((level >= interval[0]) & (level <= interval[1]), scale, 1.0))
        c, u = both(x, t)
        return Denoised(u.x0 + s * (c.x0 - u.x0), c.fraction)

    return denoise


THRESHOLDS = ("none", "static", "dynamic")


def thresholded(denoise: DenoiseFn, kind: str, pixels: PixelScale, percentile: float = 99.5) -> DenoiseFn:
    """Keeps x_0 in the range of pixels.

    Args:
      kind: none; static: clip to [-1, 1]; dynamic: clip to the image's own percentile of |x|, then rescale into
        [-1, 1] (Saharia et al. 2022, section 2.3).

    Raises:
      ValueError: an unknown kind.
    """
    if kind == "none":
        return denoise
    if kind not in THRESHOLDS:
        raise ValueError(f"sample.threshold {kind!r} is unknown; choose one of {', '.join(THRESHOLDS)}")

    def limited(x, t):
        out = denoise(x, t)
        image = pixels.to_pixels(out.x0)
        if kind == "static":
            image = jnp.clip(image, -1.0, 1.0)
        else:
            size = jnp.percentile(jnp.abs(image), percentile, axis=(1, 2, 3), keepdims=True)
            size = jnp.maximum(size, 1.0)
            image = jnp.clip(image, -size, size) / size
        return Denoised(pixels.to_network(image), out.fraction)

    return limited
