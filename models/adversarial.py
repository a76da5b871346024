"""Adversarial losses and gradient penalties, per example; D gives one logit an image and knows no other image.

Every loss is written to be minimised. Sources: nonsaturating, Goodfellow et al. 2014, section 3; hinge, Lim and Ye
2017; wasserstein, Arjovsky et al. 2017; relativistic, Jolicoeur-Martineau 2018 in the paired form of Huang et al. 2024
(R3GAN, eq. 2). Penalties: r1 and r2, Mescheder et al. 2018, eq. 9 and 10; interpolated, Gulrajani et al. 2017, eq. 3.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

LOSSES = ("nonsaturating", "hinge", "wasserstein", "relativistic")
HAS_ZERO = ("nonsaturating", "hinge")  # D(real) > 0 means "real" by itself; elsewhere only D(real) - D(fake) speaks

Critic = Callable[[jax.Array], jax.Array]  # images [b, h, w, c] -> logits [b]


def discriminator_loss(name: str, real: jax.Array, fake: jax.Array) -> jax.Array:
    """[b] loss of D, from its logits [b] of real images and of as many generated ones.

    Raises:
      ValueError: an unknown loss.
    """
    if name == "nonsaturating":
        return jax.nn.softplus(-real) + jax.nn.softplus(fake)
    if name == "hinge":
        return jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake)
    if name == "wasserstein":
        return fake - real
    if name == "relativistic":
        return jax.nn.softplus(fake - real)
    raise ValueError(f"loss {name!r} is unknown; choose one of {', '.join(LOSSES)}")


def generator_loss(name: str, real: jax.Array, fake: jax.Array) -> jax.Array:
    """[b] loss of G; only the relativistic one looks at D's logits of real images.

    Raises:
      ValueError: an unknown loss.
    """
    if name == "nonsaturating":
        return jax.nn.softplus(-fake)
    if name in ("hinge", "wasserstein"):
        return -fake
    if name == "relativistic":
        return jax.nn.softplus(real - fake)
    raise ValueError(f"loss {name!r} is unknown; choose one of {', '.join(LOSSES)}")


def slope(critic: Critic, x: jax.Array) -> jax.Array:
    """|dD(x)/dx|^2 [b]; since D sees each image alone, the gradient of the sum holds that of each."""
    gradient = jax.grad(lambda images: jnp.sum(critic(images)))(x)
    return jnp.sum(jnp.square(gradient.astype(jnp.float32)), range(1, x.ndim))


def zero_centred(squared: jax.Array, gamma: float) -> jax.Array:
    """gamma / 2 |grad D|^2 [b]: R1 of real images, R2 of generated ones."""
    return 0.5 * gamma * squared


def interpolated(critic: Critic, real: jax.Array, fake: jax.Array, u: jax.Array) -> jax.Array:
    """(|grad D| - 1)^2 [b] at u real + (1 - u) fake, u [b] uniform: the penalty of WGAN-GP."""
    u = u[:, None, None, None]
    squared = slope(critic, u * real + (1.0 - u) * fake)
    return jnp.square(jnp.sqrt(squared + 1e-12) - 1.0)


def of_discriminator(scalars: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Scalars of D's step, those renamed that the other network has too."""
    return {f"d_{k}" if k in ("loss", "grad_norm", "loss_scale") else k: v for k, v in scalars.items()}


@dataclasses.dataclass(frozen=True)
class Game:
    """What both players are told: a loss and the penalties of D.

    Attributes:
      loss: name of the adversarial loss.
      r1, r2: weight gamma of the zero-centred penalties on real and on generated images.
      interpolated: weight of WGAN-GP's penalty.
      penalty_every: every so many-th image of a batch is penalised, times as much.

    Raises:
      ValueError: an unknown loss, or penalty_every below 1.
    """

    loss: str
    r1: float = 0.0
    r2: float = 0.0
    interpolated: float = 0.0
    penalty_every: int = 1

    def __post_init__(self):
        if self.loss not in LOSSES:
            raise ValueError(f"loss {self.loss!r} is unknown; choose one of {', '.join(LOSSES)}")
        if self.penalty_every < 1:
            raise ValueError(f"penalty_every={self.penalty_every} must be at least 1")

    def check_parts(self, parts: int) -> None:
        """Raises ValueError where a batch is seen in parts, each of which would give other images to the penalties."""
        if parts > 1 and self.penalty_every > 1:
            raise ValueError(
                f"model.penalty_every={self.penalty_every} takes its images from the whole batch: with "
                f"train.accumulate={parts} it must be 1"
            )

    def penalties(self, critic: Callable, real: jax.Array, fake: jax.Array, label: jax.Array, u: jax.Array):
        """Penalty of D [b], and for each of r1 and r2 that is on, |grad D|^2 [b] as slope_real and slope_fake.

        Both are so many times as large for the images that are looked at and 0 for the others: the batch's means are
        right. Taking a share of every batch, rather than all of every n-th one, keeps the step's work the same. With
        which image the count begins is drawn: in a balanced batch classes take turns, and a fixed place could always
        meet the same ones.

        Args:
          critic: (images [b, h, w, c], label [b, k]) -> logits [b].
          u: [b] uniform numbers, of WGAN-GP's penalty and of that draw.
        """
        n = real.shape[0]
        rows = slice(None)
        if self.penalty_every > 1:
            rows = (jnp.int32(u[0] * n) + jnp.arange(0, n, self.penalty_every)) % n
        real, fake, label, u = (x[rows] for x in (real, fake, label, u))
        on = partial(critic, label=label)
        penalty, slopes = jnp.zeros(real.shape[0]), {}
        for name, gamma, x in (("slope_real", self.r1, real), ("slope_fake", self.r2, fake)):
            if gamma:
                slopes[name] = slope(on, x)
                penalty += zero_centred(slopes[name], gamma)
        if self.interpolated:
            penalty += self.interpolated * interpolated(on, real, fake, u)
        spread = lambda x: jnp.zeros(n).at[rows].set(x * n / real.shape[0])  # noqa: E731
        return jax.tree.map(spread, (penalty, slopes))

    def accuracies(self, real: jax.Array, fake: jax.Array) -> dict[str, jax.Array]:
        """Share [b] of real and of generated images that D gets right.

        Where a logit has no zero of its own, right is a real image above the generated one beside it.
        """
        if self.loss in HAS_ZERO:
            return {"d_real": (real > 0).astype(jnp.float32), "d_fake": (fake < 0).astype(jnp.float32)}
        right = (real > fake).astype(jnp.float32)
        return {"d_real": right, "d_fake": right}

    def signs(self, real: jax.Array, fake: jax.Array) -> jax.Array:
        """[b] whose mean is r_t: the sign of D(real), or of D(real) - D(fake) where D has no zero of its own."""
        return jnp.sign(real if self.loss in HAS_ZERO else real - fake)
