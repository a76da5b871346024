"""How well masks overlap: Dice of masks, and the loss of a deterministic segmenter."""

import jax
import jax.numpy as jnp
import optax


def dice(a: jax.Array, b: jax.Array) -> jax.Array:
    """2 |a and b| / (|a| + |b|) of masks [b, h, w] (bool), [b]; two empty masks agree, 1."""
    both, total = (a & b).sum((1, 2)), a.sum((1, 2)) + b.sum((1, 2))
    return jnp.where(total == 0, 1.0, 2.0 * both / jnp.maximum(total, 1))


def dice_cross_entropy(logits: jax.Array, target: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """1 - soft Dice + mean cross-entropy of [b, h, w, m] logits to masks of {0, 1}, [b], and both apart to log."""
    p, axes = jax.nn.sigmoid(logits), (1, 2, 3)
    soft = 1.0 - (2.0 * (p * target).sum(axes) + 1.0) / (p.sum(axes) + target.sum(axes) + 1.0)
    entropy = optax.sigmoid_binary_cross_entropy(logits, target).mean(axes)
    return soft + entropy, {"soft_dice_loss": soft, "cross_entropy": entropy}
