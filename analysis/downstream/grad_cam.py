"""Grad-CAM (Selvaraju et al. 2017): where on the last maps a class's logit depends on what is there."""

import jax
import jax.numpy as jnp
import numpy as np

from analysis.downstream.networks import Network, Params
from analysis.features.images import in_batches
from data.ranges import to_float
from models.cpu import jit


def grad_cam(network: Network, params: Params, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Maps [n, h, w], at least 0, brought to the images' size by bilinear interpolation.

    relu(sum_m a_m A_m) of the trunk's maps A, a_m the mean over the map of the logit's gradient (eqs. 1 and 2), which
    is taken exactly. All 0 where nothing speaks for the class.

    Args:
      images: stored, [n, h, w, c].
      classes: int [n], the column of the logits that is explained.
    """

    @jit
    def explain(x, one_hot):
        maps = network.trunk(params["trunk"], to_float(x))
        cam = jax.nn.relu(jnp.einsum("bhwm,bm->bhw", maps, weights(network, params, maps, one_hot)))
        return jax.image.resize(cam, x.shape[:3], "linear")

    k = jax.eval_shape(network.logits, params, jnp.asarray(to_float(images[:1]))).shape[-1]
    one_hot = np.eye(k, dtype=np.float32)[classes]
    rows = np.arange(len(images))
    return in_batches(lambda part: explain(np.asarray(images[part]), one_hot[part]), rows, 32)


def weights(network: Network, params: Params, maps: jax.Array, one_hot: jax.Array) -> jax.Array:
    """a [b, m]: the mean over the map of d logit / d maps, for maps [b, h, w, m] and classes one-hot [b, k]."""
    gradient = jax.grad(lambda maps: jnp.sum(network.head(params["head"], maps) * one_hot))(maps)
    return gradient.mean((1, 2))
