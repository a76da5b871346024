"""Colour scenes with the statistics of natural photographs: a stand-in for natural-image pretraining.

Occluding leaves of scale-free sizes (Lee, Mumford and Huang 2001), textured, lit and coloured as natural scenes are,
around one subject. Baradad et al., Learning to see by looking at noise, NeurIPS 2021, show that networks trained on
such images learn features that carry over to photographs. `generate` draws image i of a seed as a pure function of
(seed, i), whatever the batch and at any resolution.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import natural_camera as camera
from data.phantom import natural_leaves as leaves
from data.phantom import natural_surfaces as surfaces
from data.phantom.chunks import in_chunks
from data.phantom.natural_factors import CLASSES, NAMES, factors_from
from data.phantom.natural_occlusion import front
from data.phantom.stream import stacked

MASKS = ("subject",)
EXCLUSIVE = True  # one kind of scene an image
CHANNELS = 3
FACTORS = NAMES
MODES = 30  # highest frequency of the textures, cycles per image
CHUNK = 16  # examples drawn at once: their arrays stay in the cache

__all__ = ["CHANNELS", "CLASSES", "EXCLUSIVE", "FACTORS", "MASKS", "generate"]


def generate(seed: int, indices: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    """Draws scenes.

    seed: int >= 0. indices: int [n] >= 0, each example's stable index. size: pixels a side.
    Returns a dict:
      image    float32 [n, size, size, 3] in [0, 1], RGB
      label    float32 [n, 4], one-hot over CLASSES: what the leaves and the subject are shaped like (round,
               straight-edged, long and aligned) or, in a landscape, that there is a sky above a horizon
      mask     uint8 [n, size, size, 1]: the subject, which nothing hides
      factors  float32 [n, len(FACTORS)]; the table in natural_factors describes them
    """
    return in_chunks(_chunk, seed, indices, size, CHUNK)


@dataclass
class Draws:
    """Random numbers of a chunk; the pixel noise, whose count depends on the size, is drawn last."""

    normal: np.ndarray  # [n, len(FACTORS)]
    uniform: np.ndarray  # [n, len(FACTORS) + 1]
    shapes: np.ndarray  # uniform [n, leaves.SHAPES, leaves.UNIFORMS]
    palette: np.ndarray  # normal [n, 2 surfaces.PALETTE, 3]
    surfaces: np.ndarray  # normal [n, surfaces.ROWS, surfaces.NORMALS]
    choices: np.ndarray  # uniform [n, surfaces.ROWS, surfaces.UNIFORMS]
    ridges: np.ndarray  # uniform [n, 2, surfaces.RIDGES]
    modes: np.ndarray  # complex normal [n, 2 MODES + 1, 2 MODES + 1]
    noise: np.ndarray  # normal [n, 3, size, size]

    @classmethod
    def of(cls, seed, indices, size):
        """Each example has its own counter-based stream, keyed by (seed, index)."""
        columns = stacked(seed, indices, lambda stream: (
            stream.normal(len(FACTORS)),
            stream.uniform(len(FACTORS) + 1),
            stream.uniform(leaves.SHAPES, leaves.UNIFORMS),
            stream.normal(2 * surfaces.PALETTE, 3),
            stream.normal(surfaces.ROWS, surfaces.NORMALS),
            stream.uniform(surfaces.ROWS, surfaces.UNIFORMS),
            stream.uniform(2, surfaces.RIDGES),
            stream.complex_normal(2 * MODES + 1, 2 * MODES + 1),
            stream.normal(3, size, size),
        ))  # fmt: skip
        return cls(*columns)


def _chunk(seed, indices, size):
    draws = Draws.of(seed, indices, size)
    f, scene = factors_from(draws.normal, draws.uniform)
    image, share = render(f, scene, draws)
    return {
        "image": np.moveaxis(image, 1, -1),
        "label": np.eye(len(CLASSES))[scene],
        "mask": (share > 0.5).astype(np.uint8)[..., None],
        "factors": np.concatenate([f[k] for k in FACTORS], 1),
    }


def render(f, scene, draws):
    """The image [n, 3, size, size] and the share of each pixel that is subject [n, size, size]."""
    size = draws.noise.shape[-1]
    shapes = leaves.shapes(f, scene, draws.shapes)
    solid, z = _occlusion(f, shapes, draws.ridges, 2 * size)  # twice as fine, for smooth edges
    palette = surfaces.palettes(f, draws.palette)
    table = surfaces.surfaces(f, shapes, palette, draws.surfaces, draws.choices)
    light = surfaces.paint(table, z, f, draws.modes)
    light -= (f["shadow"][..., None] * surfaces.shadow(solid, f))[:, None]
    subject = (solid >= surfaces.PLANES + leaves.LEAVES)[:, None].astype(float)
    image, share = camera.focus(camera.expose(light), subject, f)
    return np.clip(image + f["noise"][..., None, None] * draws.noise, 0, 1), share


def _occlusion(f, shapes, ridges, size):
    """Row of the surface at each pixel, int32 [n, size, size]: without the subject's markings, and with them."""
    outline, marks = leaves.LEAVES, leaves.LEAVES + leaves.PIECES
    solid = front(shapes, 0, marks, surfaces.planes(f, ridges, size) - surfaces.PLANES) + surfaces.PLANES
    subject = solid >= surfaces.PLANES + outline
    marked = front(shapes, marks, leaves.SHAPES, np.full_like(solid, -1))
    return solid, np.where(subject & (marked >= 0), marked + surfaces.PLANES, solid)
