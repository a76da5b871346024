"""Procedural images with known ground truth (data/phantom); they need no download.

Not clinical data: each module of data/phantom says what its images are and are not.
"""

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np

from data import ranges
from data.builders import base
from data.prepare import DRAWN

_FIRST = {"train": 0, "val": 1 << 28, "test": 1 << 29}  # far apart: more images move none to another split
_CHUNK = 64  # images drawn together
_THREADS = 2  # drawing is numpy, which leaves Python's lock some of the time


class Drawn(base.Records, skip_registration=True):
    """Image i of a split is a function of (data.seed, the split's first index + i) alone.

    The module of data/phantom that draws has CLASSES, MASKS and FACTORS (names, in the order of the columns),
    EXCLUSIVE (one class an image), CHANNELS and generate(seed, indices, size), which returns image float32 [n, size,
    size, CHANNELS] in [0, 1], label float32 [n, classes], mask uint8 [n, size, size, masks] where there are MASKS, and
    factors float32 [n, factors].
    """

    name = "drawn"

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"data.phantom.{DRAWN[self.options.name]}")

    def scan(self) -> base.Source:
        options, drawn = self.options, self.module
        size = (options.image_size, options.image_size)
        val, test = (round(options.num_images * fraction) for fraction in options.split[1:])
        return base.Source(
            classes=tuple(drawn.CLASSES),
            exclusive=drawn.EXCLUSIVE,
            mask_channels=tuple(drawn.MASKS),
            factors=tuple(drawn.FACTORS),
            array_shape=(*size, drawn.CHANNELS),
            bits=options.bits,
            counts={"train": options.num_images - val - test, "val": val, "test": test},
            image_bytes=size[0] * size[1] * (drawn.CHANNELS * options.bits // 8 + len(drawn.MASKS)),
            licence="Apache-2.0, as this code",
            citation="Procedural images of this project; not clinical data.",
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
        return self.module.generate(self.options.seed, indices, self.options.image_size)

    def _records(self, split: str, numbers: np.ndarray, drawn: dict[str, np.ndarray]) -> Iterator[dict]:
        stored = ranges.to_uint(2 * drawn["image"] - 1, self.options.bits)
        for i, number in enumerate(numbers):
            record = {
                "key": f"{split}/{number}",
                "patient": -1,
                "image": stored[i],
                "label": np.float32(drawn["label"][i]),
                "factors": np.float32(drawn["factors"][i]),
            }
            yield record | ({"mask": drawn["mask"][i].astype(np.uint8)} if self.module.MASKS else {})

