"""Chest radiograph phantom: frontal view with known anatomy, findings and imaging physics.

`generate` draws image i of a seed as a pure function of (seed, i), whatever the batch and at any resolution.
The images are synthetic: for software, tests and method comparison, never for clinical use.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import cxr_anatomy as anatomy
from data.phantom import cxr_bones, cxr_devices, cxr_findings, cxr_projection, cxr_vessels, raster
from data.phantom.chunks import in_chunks
from data.phantom.cxr_factors import CLASSES, DERIVED, NAMES, TABLE, factors_from
from data.phantom.stream import stacked

MASKS = ("lungs", "heart")
EXCLUSIVE = False  # any number of findings an image
CHANNELS = 1
FACTORS = NAMES + DERIVED
MODES = 30  # highest frequency of the random textures, cycles per image
WOBBLE = 0.12  # cm (standard deviation) by which organic outlines deviate from the smooth ones
CHUNK = 16  # examples drawn at once: their arrays stay in the cache

__all__ = ["CHANNELS", "CLASSES", "EXCLUSIVE", "FACTORS", "MASKS", "generate"]


def generate(seed: int, indices: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    """Draws phantoms.

    seed: int >= 0. indices: int [n] >= 0, each example's stable index. size: pixels a side.
    Returns a dict:
      image    float32 [n, size, size, 1] in [0, 1], bone bright and air dark
      label    float32 [n, 4], multi-hot over CLASSES; all zeros is normal
      mask     uint8 [n, size, size, 2] over MASKS. "lungs" is the visible pleural space: pneumothorax,
               effusion and consolidation do not shrink it, and what heart, mediastinum and diaphragm hide
               is left out. "heart" is the cardiac silhouette.
      factors  float32 [n, len(FACTORS)] over FACTORS; those of TABLE describe themselves
    """
    return in_chunks(_chunk, seed, indices, size, CHUNK)


@dataclass
class Draws:
    """Random numbers of a chunk; the pixel noise, whose count depends on the size, is drawn last."""

    normal: np.ndarray  # [n, len(TABLE)]
    uniform: np.ndarray  # [n, len(TABLE)]
    branches: np.ndarray  # [n, cxr_vessels.DRAWS]
    devices: np.ndarray  # [n, cxr_devices.DRAWS]
    modes: np.ndarray  # complex [n, 2 MODES + 1, 2 MODES + 1]
    noise: np.ndarray  # [n, size, size]

    @classmethod
    def of(cls, seed, indices, size):
        """Each example has its own counter-based stream, keyed by (seed, index)."""
        columns = stacked(seed, indices, lambda stream: (
            stream.normal(len(TABLE)),
            stream.uniform(len(TABLE)),
            stream.uniform(cxr_vessels.DRAWS),
            stream.uniform(cxr_devices.DRAWS),
            stream.complex_normal(2 * MODES + 1, 2 * MODES + 1),
            stream.normal(size, size),
        ))  # fmt: skip
        return cls(*columns)


def _chunk(seed, indices, size):
    draws = Draws.of(seed, indices, size)
    f = factors_from(draws.normal, draws.uniform)
    image, body = render(f, draws)
    _areas(f)
    return {
        "image": image[..., None],
        "label": np.concatenate([f[c][:, :, 0] for c in CLASSES], 1),
        "mask": np.stack([body.field > 0.5, body.heart > 0.5], -1).astype(np.uint8),
        "factors": np.concatenate([f[k][:, :, 0] for k in FACTORS], 1),
    }


def render(f, draws):
    """The displayed image [n, size, size] and the Thorax of a batch; `f` may be edited beforehand."""
    u, v = raster.unit_grid(draws.noise.shape[-1])
    attenuation, g, body = attenuate(f, draws)
    signal = cxr_projection.detect(attenuation, f["scatter"], f["dose"], g.area, draws.noise)
    image = cxr_projection.display(signal, body.field, body.heart, f)
    gate = cxr_devices.shutter(f, u, v, draws.devices)
    return image * gate + f["shutter_gray"] * (1 - gate), body


def attenuate(f, draws):
    """Line integral of the attenuation coefficient along each ray [n, h, w], with its Grid and Thorax."""
    size = draws.noise.shape[-1]
    cloud, grain = raster.texture(draws.modes, size, slopes=(2.6, 1.0))
    g = anatomy.Grid.view(f, *raster.unit_grid(size))
    g.x, g.y = g.x + WOBBLE * cloud, g.y - WOBBLE * cloud
    body = anatomy.thorax(f, g)
    tissue = _tissue(f, g, body, cloud, grain, draws.branches)
    bone = cxr_bones.skeleton(f, g, body) * np.clip(tissue, 0, 1)
    heel = f["heel_x"] * g.x + f["heel_y"] * (g.y - 12)
    total = np.maximum(cxr_projection.MU_SOFT * tissue + cxr_projection.MU_BONE * bone + heel, 0)
    return total + cxr_devices.devices(f, draws.devices, size), g, body


def _tissue(f, g, body, cloud, grain, branches):
    """Soft tissue along each ray in cm of water, [n, h, w]."""
    lung = body.lung * (1 - cxr_findings.effusion(f, g))
    free, pleura = cxr_findings.pneumothorax(f, g, body.wall)
    aerated = lung * (1 - free)
    density = f["lung_density"] * (1 + f["markings"] * grain)
    density = density + (1 - density) * cxr_findings.pneumonia(f, g, cloud)
    blood = cxr_vessels.vessels(f, g, branches) + cxr_vessels.hila(f, g)
    blood = blood * (1 - density) * np.clip(aerated / 8, 0, 1)
    solid = anatomy.body(f, g) * (1 + 0.03 * cloud) - anatomy.gastric_gas(f, g, cloud) - anatomy.trachea(f, g)
    return np.maximum(solid - lung, 0) + aerated * density + blood + pleura * (lung > 0)


def _areas(f, size=48):
    """Adds the projected lung areas in cm^2, on a grid of their own so that they do not depend on `size`."""
    g = anatomy.Grid.view(f, *raster.unit_grid(size))
    free = anatomy.thorax(f, g).field * g.area
    f["lung_area_left"] = (free * (g.side > 0)).sum((1, 2), keepdims=True)
    f["lung_area_right"] = (free * (g.side < 0)).sum((1, 2), keepdims=True)
