"""Drawing any number of images from a family, batch by batch, each image from a key of its own."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from analysis.postprocess import check_name, postprocess
from data import UserError
from data.ranges import to_uint
from models.cpu import jit
from models.family import Family
from models.state import State
from train.build import root_key

BATCH = 64


class Sampler:
    """A compiled `family.sample`; image i of a seed is the same in whatever batch it is drawn.

    But for the adaptive solver, whose steps are those that the whole batch needs.

    Args:
      options: fields of `config.sample`.
      bits: of the images made, 8 or 16.
    """

    def __init__(self, family: Family, options: dict[str, Any], bits: int = 8, batch_size: int = BATCH):
        options = dict(options)
        self._postprocess = options.pop("postprocess", "none")
        self._bits, self._batch_size = bits, batch_size
        self._sample = jit(lambda state, keys, label: family.sample(state, keys, label, **options))

    def check(self, state: State, labels: int) -> None:
        """Raises UserError where no image can be drawn with these options; computes none.

        Args:
          state: of arrays or of their shapes.
          labels: entries of a label.
        """
        check_name(self._postprocess)
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
        with _told():
            label = jax.ShapeDtypeStruct((1, labels), jnp.float32)
            jax.eval_shape(self._sample, state.replace(opt_state={}), keys, label)

    def draw(
        self, state: State, labels: np.ndarray, seed: int, first: int = 0, report: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Images [n, h, w, c] of uint8 or uint16 for labels [n, k].

        Args:
          first: index of the first image, so that a set can be drawn in pieces.
          report: called with the number of images done.

        Raises:
          UserError: an option that the family's sampler does not take.
        """
        key, images = root_key(seed, "sample"), []
        size = min(self._batch_size, len(labels))
        # A key depends on the image alone, so padding the last batch changes no image.
        state = state.replace(opt_state={})
        for start in range(0, len(labels), size):
            part = labels[start : start + size]
            index = first + start + np.arange(size)
            padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(index))
            with _told():
                batch = self._sample(state, keys, jnp.asarray(padded, jnp.float32))
            images.append(self._finish(np.asarray(batch)[: len(part)]))
            if report:
                report(start + len(part))
        return np.concatenate(images)

    def _finish(self, images: np.ndarray) -> np.ndarray:
        bad = int(np.sum(~np.isfinite(images).all((1, 2, 3))))
        if bad:
            raise UserError(
                f"sampling: {bad} of {len(images)} images are not finite; use more steps or another sampler"
            )
        return to_uint(postprocess(images, self._postprocess), self._bits)


@contextlib.contextmanager
def _told():
    """What a family says of options that it does not take, as a UserError."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UserError(f"sampling: {error}") from error
