"""Adversarial losses and gradient penalties, per example; D gives one logit an image and knows no other image.

Every loss is written to be minimised. Sources: nonsaturating, Goodfellow et al. 2014, section 3; hinge, Lim and Ye
2017; wasserstein, Arjovsky et al. 2017; relativistic, Jolicoeur-Martineau 2018 in the paired form of Huang et al. 2024
(R3GAN, eq. 2). Penalties: r1 and r2, Mescheder et al. 2018, eq. 9 and 10; interpolated, Gulrajani et al. 2017, eq. 3.
"""

from collections.abc import Callable

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
    raise ValueError(f"model.loss {name!r} is unknown; choose one of {', '.join(LOSSES)}")


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
    raise ValueError(f"model.loss {name!r} is unknown; choose one of {', '.join(LOSSES)}")


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
