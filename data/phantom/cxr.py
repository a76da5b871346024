"""Chest radiograph phantom: frontal view with known anatomy, findings and imaging physics.

`generate` draws image i of a seed as a pure function of (seed, i), whatever the batch and at any resolution.
The images are synthetic: for software, tests and method comparison, never for clinical use.
"""

import numpy as np

from data.phantom import cxr_anatomy as anatomy
from data.phantom import cxr_bones, cxr_devices, cxr_findings, cxr_projection, cxr_vessels, raster
from data.phantom.cxr_factors import CLASSES, DERIVED, NAMES, TABLE, factors_from

MASKS = ("lungs", "heart")
FACTORS = NAMES + DERIVED
MODES = 30  # highest frequency of the random textures, cycles per image
WOBBLE = 0.15  # cm by which organic outlines deviate from the smooth ones
CHUNK = 16  # examples drawn at once: their arrays stay in the cache

__all__ = ["CLASSES", "FACTORS", "MASKS", "generate"]


def generate(seed, indices, size=64):
    """Draws phantoms.

    seed: int. indices: int [n], each example's stable index. size: pixels a side.
    Returns image float32 [n, size, size, 1] in [0, 1] (bone bright, air dark), label float32 [n, 4] over
    CLASSES, mask uint8 [n, size, size, 2] over MASKS, factors float32 [n, len(FACTORS)] over FACTORS.
    """
    indices = np.asarray(indices)
    parts = [_chunk(seed, indices[i : i + CHUNK], size) for i in range(0, len(indices), CHUNK)]
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _draws(seed, indices, size):
    """Random numbers of a chunk. The pixel noise, whose count depends on the size, is drawn last."""
    width = 2 * MODES + 1
    columns = []
    for index in indices:
        rng = np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))
        columns.append((
            rng.standard_normal(len(TABLE), np.float32),
            rng.random(len(TABLE), np.float32),
            rng.random(cxr_vessels.DRAWS + cxr_devices.DRAWS, np.float32),
            rng.standard_normal((2, width, width), np.float32),
            rng.standard_normal((size, size), np.float32),
        ))
    return [np.stack(c) for c in zip(*columns, strict=True)]


def _chunk(seed, indices, size):
    normal, uniform, branches, modes, noise = _draws(seed, indices, size)
    f = factors_from(normal, uniform)
    cloud, grain = raster.texture(modes[:, 0] + 1j * modes[:, 1], size, slopes=(2.6, 1.0))
    g = anatomy.Grid.view(f, *raster.unit_grid(size))
    g.x, g.y = g.x + WOBBLE * cloud, g.y - WOBBLE * cloud
    body = anatomy.thorax(f, g)
    attenuation = _attenuation(f, g, body, branches, cloud, grain, size)
    area = g.pixel**2 * f["view_aspect"]
    extras = branches[:, cxr_vessels.DRAWS :]
    attenuation += cxr_devices.marker(f, extras[:, -2 * cxr_devices.TEXT :], size)
    attenuation += cxr_devices.leads(f, extras[:, : 12 * cxr_devices.WIRES], size)
    signal = cxr_projection.detect(attenuation, f["scatter"], f["dose"], area, noise)
    image = cxr_projection.display(signal, body.field, body.heart, f)
    gate = cxr_devices.shutter(f, *raster.unit_grid(size), extras)
    image = image * gate + f["shutter_gray"] * (1 - gate)
    _areas(f)
    mask = np.stack([body.field > 0.5, body.heart > 0.5], -1).astype(np.uint8)
    return {
        "image": image[..., None].astype(np.float32),
        "label": np.concatenate([f[c][:, :, 0] for c in CLASSES], 1).astype(np.float32),
        "mask": mask,
        "factors": np.concatenate([f[k][:, :, 0] for k in FACTORS], 1).astype(np.float32),
    }


def _attenuation(f, g, body, branches, cloud, grain, size):
    """Line integral of the attenuation coefficient along each ray, [n, h, w], dimensionless."""
    exudate = cxr_findings.pneumonia(f, g, cloud)
    fluid = cxr_findings.effusion(f, g)
    free, pleura = cxr_findings.pneumothorax(f, g, body.wall)
    lung = body.lung * (1 - fluid)
    aerated = lung * (1 - free)
    density = f["lung_density"] * (1 + f["markings"] * grain)
    density = density + (1 - density) * exudate
    share = np.clip(aerated / 8, 0, 1)
    blood = cxr_vessels.vessels(f, branches[:, : cxr_vessels.DRAWS], _pixel_map(f, size), size, (g.pixel**2 * f["view_aspect"])[:, :, 0])
    blood = (blood + cxr_vessels.hila(f, g)) * share * (1 - density)
    tissue = anatomy.body(f, g) * (1 + 0.03 * cloud) - lung - anatomy.gastric_gas(f, g, cloud) - anatomy.trachea(f, g)
    tissue = np.maximum(tissue, 0) + aerated * density + blood + pleura * (lung > 0)
    bone = cxr_bones.skeleton(f, g, body) * np.clip(tissue, 0, 1)
    heel = f["heel_x"] * g.x + f["heel_y"] * (g.y - 12)
    return np.maximum(cxr_projection.MU_SOFT * tissue + cxr_projection.MU_BONE * bone + heel, 0)


def _pixel_map(f, size):
    """Maps cm in the patient's frame to pixel positions: the inverse of Grid.view."""
    half_x, half_y, centre_y = (a[:, :, 0] for a in anatomy.field(f))
    shift, tilt = f["view_x"][:, :, 0], f["tilt"][:, :, 0]
    bend, phase = f["curve"][:, :, 0], f["curve_phase"][:, :, 0]

    def to_pixel(x, y):
        x = x + bend * np.sin(y * 0.22 + phase)
        y = y - centre_y
        px = (x - tilt * y) / (1 + tilt**2)
        py = y + tilt * px
        return ((px - shift) / half_x + 1) * size / 2 - 0.5, (py / half_y + 1) * size / 2 - 0.5

    return to_pixel


def _areas(f, size=48):
    """Adds the projected lung areas in cm^2, on a grid of their own so that they do not depend on `size`."""
    g = anatomy.Grid.view(f, *raster.unit_grid(size))
    free = anatomy.thorax(f, g).field * g.pixel**2 * f["view_aspect"]
    f["lung_area_left"] = (free * (g.side > 0)).sum((1, 2), keepdims=True)
    f["lung_area_right"] = (free * (g.side < 0)).sum((1, 2), keepdims=True)
