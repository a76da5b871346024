"""What is known of an image before a network looks: a Gaussian over its pixels, and the best linear estimates it gives.

EDM's preconditioning (Karras et al. 2022, appendix B.6) has the network predict what the posterior mean of an isotropic
Gaussian leaves. Images of one body part are far from isotropic: most of their variance lies in a few directions. With
their covariance in its place, the untrained network already draws samples of that Gaussian, and learns what is not
Gaussian. That a trained denoiser is close to this linear one at all but low noise is shown by Wang and Vastola (2024).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models.pixels import PixelScale

PRIORS = ("none", "isotropic", "gaussian")
Gain = Callable[[jax.Array], jax.Array]  # of variances, elementwise


@dataclasses.dataclass(frozen=True, eq=False)
class PixelPrior:
    """N(0, U' diag(variance) U + rest (I - U' U)) over images of d numbers on the network's scale.

    Attributes:
      rest: variance in every direction that is none of the basis.
      basis: U [r, d], orthonormal rows; or None: the prior is isotropic.
      variance: [r] along them.
      shown: networks are shown the best linear estimate that it gives, see `guess`.
    """

    rest: float
    basis: jax.Array | None = None
    variance: jax.Array | None = None
    shown: bool = False

    @property
    def std(self) -> float | jax.Array:
        """Root mean square deviation of a pixel."""
        return jnp.sqrt(self.average(lambda variance: variance))

    def apply(self, gain: Gain, x: jax.Array) -> jax.Array:
        """gain(covariance) x for images x [b, h, w, c]; `gain` gives [b, 1, 1, 1] or a scalar of one variance."""
        rest = gain(jnp.float32(self.rest))
        if self.basis is None:
            return rest * x
        flat, rest = x.reshape(len(x), -1), jnp.reshape(rest, (-1, 1))
        along = jnp.einsum("bd,rd->br", flat, self.basis, precision=jax.lax.Precision.HIGHEST)
        gains = gain(self.variance[:, None, None, None, None])  # [r, b, 1, 1, 1] or [r, 1, 1, 1, 1]
        change = along * (gains.reshape(len(self.variance), -1).T - rest)
        moved = jnp.einsum("br,rd->bd", change, self.basis, precision=jax.lax.Precision.HIGHEST)
        return (rest * flat + moved).reshape(x.shape)

    @property
    def guesses(self) -> bool:
        """Whether there is a guess to show: of an isotropic prior it is the noisy image itself."""
        return self.shown and self.basis is not None

    def guess(self, x: jax.Array, alpha: jax.Array, sigma: jax.Array) -> jax.Array | None:
        """The best linear estimate of z from x = alpha z + sigma eps; None where none is shown.

        It is scaled so that its mean square over pixels is 1 for images from the prior. At high noise a single pixel of
        x shows almost only noise, and a network does not learn in few steps to average over all: the estimate has.
        Where alpha is 0 it is the limit for alpha -> 0, covariance times noise.
        """
        if not self.guesses:
            return None
        gain = lambda variance: variance / (alpha**2 * variance + sigma**2)  # noqa: E731
        return self.apply(gain, x) * jax.lax.rsqrt(self.average(lambda variance: variance * gain(variance)))

    @property
    def numbers(self) -> int:
        """How many were fitted."""
        return 1 if self.basis is None else 1 + self.basis.size + self.variance.size

    def average(self, gain: Gain) -> jax.Array:
        """tr gain(covariance) / d: the mean of `gain` over all d directions, of the shape that `gain` gives."""
        rest = gain(jnp.float32(self.rest))
        if self.basis is None:
            return rest
        d, along = self.basis.shape[1], jax.vmap(gain)(self.variance).sum(0)
        return (along + (d - len(self.variance)) * rest) / d


def chosen_prior(options: dict[str, Any]) -> str | None:
    """`config.model.prior` with "auto" resolved: gaussian where it can be, isotropic elsewhere; None of other families.

    It can be where images are centred on their label's mean and, of a denoiser, the network predicts what the prior
    leaves (target edm).
    """
    fits = options.get("center") == "label" and options.get("target", "edm") == "edm"
    return ("gaussian" if fits else "isotropic") if options.get("prior") == "auto" else options.get("prior")


def pixel_prior(
    name: str, std: float, covariance, pixels: PixelScale, center: str, shown: bool = False
) -> PixelPrior | None:
    """The prior that `config.model.prior` names; None of "none".

    Args:
      std: of an isotropic one, on the network's scale.
      covariance: (basis, variance, rest) of data.covariance, in units of x in [-1, 1]; or None.
      center: `config.model.center`: the covariance is about the image that a label leads one to expect.
      shown: the network is shown what a gaussian one estimates.

    Raises:
      ValueError: an unknown name, no covariance, or images that are not centred so.
    """
    if name not in PRIORS:
        raise ValueError(f"model.prior {name!r} is unknown; choose one of auto, {', '.join(PRIORS)}")
    if name == "none":
        return None
    if name == "isotropic":
        return PixelPrior(std**2)
    if covariance is None or center != "label":
        raise ValueError("model.prior 'gaussian' needs model.center 'label' and the training split's covariance")
    basis, variance, rest = covariance
    scale = np.square(pixels.scale[0], dtype=np.float64)  # one for all channels where images are so centred
    return PixelPrior(float(rest / scale), jnp.asarray(basis), jnp.asarray(variance / scale, jnp.float32), shown)
