"""Procedural chest radiographs with known ground truth (data/phantom); needs no download.

Not clinical data: see data/phantom/cxr.py for what the images are and are not.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from data import ranges
from data.builders import base
from data.phantom import cxr

_FIRST = {"train": 0, "val": 1 << 28, "test": 1 << 29}  # far apart: more images move none to another split
_CHUNK = 64  # images drawn together
_THREADS = 2  # drawing is numpy, which leaves Python's lock some of the time


class PhantomCxr(base.Records, skip_registration=True):
    """Image i of a split is a function of (data.seed, the split's first index + i) alone."""

    name = "phantom_cxr"

    def scan(self) -> base.Source:
        options = self.options
        size = (options.image_size, options.image_size)
        val, test = (round(options.num_images * fraction) for fraction in options.split[1:])
        return base.Source(
            classes=tuple(cxr.CLASSES),
            exclusive=False,
            mask_channels=tuple(cxr.MASKS),
            factors=tuple(cxr.FACTORS),
            array_shape=(*size, 1),
            bits=options.bits,
            counts={"train": options.num_images - val - test, "val": val, "test": test},
            image_bytes=size[0] * size[1] * (options.bits // 8 + len(cxr.MASKS)),
            licence="Apache-2.0, as this code",
            citation="Procedural phantom of this project; not clinical data.",
        )

    def read(self, split: str) -> Iterator[dict]:
        first, count = _FIRST[split], self.source.counts[split]
        chunks = [np.arange(at, min(at + _CHUNK, count)) + first for at in range(0, count, _CHUNK)]
        with ThreadPoolExecutor(_THREADS) as pool:
            for at in range(0, len(chunks), 4 * _THREADS):  # a few chunks ahead: memory stays bounded
                ahead = chunks[at : at + 4 * _THREADS]
                for indices, drawn in zip(ahead, pool.map(self._draw, ahead), strict=True):
                    yield from self._records(split, indices - first, drawn)

    def _draw(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return cxr.generate(self.options.seed, indices, self.options.image_size)

    def _records(self, split: str, numbers: np.ndarray, drawn: dict[str, np.ndarray]) -> Iterator[dict]:
        stored = ranges.to_uint(2 * drawn["image"] - 1, self.options.bits)
        for i, number in enumerate(numbers):
            yield {
                "key": f"{split}/{number}",
                "patient": -1,
                "image": stored[i],
                "mask": drawn["mask"][i].astype(np.uint8),
                "label": np.float32(drawn["label"][i]),
                "factors": np.float32(drawn["factors"][i]),
            }
