"""Centring on the mean image that a label leads one to expect.

If z_0' = z_0 - m(label) is noised instead of z_0, then x' = x - alpha m(label), whatever the path: a denoiser or a
velocity of the one gives that of the other exactly. A network then need not learn a mean image that is known in closed
form; with a prior moved by the condition, this is Lee et al. 2022 (PriorGrad) and Zhang et al. 2023 (ShiftDDPMs).
"""

import dataclasses

import jax
import jax.numpy as jnp

from models.pixels import PixelScale

CENTERS = ("label", "pixels")


@dataclasses.dataclass(frozen=True, eq=False)
class LabelMean:
    """m(label) on the network's scale.

    Attributes:
      base: [h, w, c] where nothing is known of the label; or None: m is 0 everywhere.
      slopes: [k, h, w, c] what each entry adds, times (entry - prevalence).
      prevalence: [k].
    """

    base: jax.Array | None = None
    slopes: jax.Array | None = None
    prevalence: jax.Array | None = None

    @property
    def numbers(self) -> int:
        """How many were fitted."""
        return 0 if self.base is None else self.base.size + self.slopes.size

    def __call__(self, label: jax.Array) -> jax.Array:
        """[b, k] -> [b, h, w, c]; an entry of -1 says nothing."""
        if self.base is None:
            return jnp.zeros((label.shape[0], 1, 1, 1))
        entries = jnp.where(label >= 0, label - self.prevalence, 0.0)
        return self.base + jnp.einsum("bk,khwc->bhwc", entries, self.slopes, precision=jax.lax.Precision.HIGHEST)


def label_mean(center: str, means, pixels: PixelScale) -> LabelMean:
    """The mean that `config.model.center` names.

    Args:
      center: label: the expected image; pixels: one number a channel, which `pixels` has taken off already.
      means: (maps, prevalence, std) of data.label_means, or None.

    Raises:
      ValueError: an unknown name, or no means.
    """
    if center not in CENTERS:
        raise ValueError(f"model.center {center!r} is unknown; choose one of {', '.join(CENTERS)}")
    if center == "pixels":
        return LabelMean()
    if means is None:
        raise ValueError("model.center 'label' needs the training split's label means; use 'pixels' without them")
    maps, scale = jnp.asarray(means[0]), jnp.asarray(pixels.scale)
    return LabelMean(pixels.to_network(maps[0]), maps[1:] / scale, jnp.asarray(means[1]))


def residual_std(center: str, means, std: tuple[float, ...]) -> tuple[float, ...]:
    """[c] deviation of what is left to learn: the pixels' own, or that about the expected image."""
    return (means[2],) * len(std) if center == "label" and means is not None else std
