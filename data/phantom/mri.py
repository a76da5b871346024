"""Brain MRI phantom: axial slices of three contrasts with known anatomy, tumour and imaging physics.

`generate` draws image i of a seed as a pure function of (seed, i), whatever the batch and at any resolution.
The images are synthetic: for software, tests and method comparison, never for clinical use.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import mri_cortex, mri_deep, mri_head, mri_lesions, mri_scanner, mri_tissues, raster
from data.phantom.mri_factors import CLASSES, CONTRASTS, DERIVED, NAMES, TABLE, factors_from
from data.phantom.raster import coverage

MASKS = ("brain", "gray_matter", "white_matter", "ventricles", "tumour", "edema")
EXCLUSIVE = False  # a contrast, and a tumour or none
CHANNELS = 1
FACTORS = NAMES + DERIVED
MODES = 16  # highest frequency of the random fields, cycles per image
WARP = 2.6  # mm (standard deviation) by which the brain deviates from the template
OUTLINE_WARP = 1.0  # mm, by which head and skull deviate
CHUNK = 4  # examples drawn at once: their arrays stay in the cache

__all__ = ["CHANNELS", "CLASSES", "EXCLUSIVE", "FACTORS", "MASKS", "generate"]


def generate(seed: int, indices: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    """Draws phantoms.

    seed: int >= 0. indices: int [n] >= 0, each example's stable index. size: pixels a side.
    Returns a dict:
      image    float32 [n, size, size, 1] in [0, 1], air dark; front of the head up, patient's left at the right
      label    float32 [n, 4], multi-hot over CLASSES: one of three contrasts, and whether there is a tumour
      mask     uint8 [n, size, size, 6] over MASKS. "brain" is all within the brain's hull, sulci included; "tumour"
               the mass with necrosis and rim, "edema" what surrounds it. Gray and white matter, ventricles, tumour
               and edema do not overlap.
      factors  float32 [n, len(FACTORS)] over FACTORS; those of TABLE describe themselves
    """
    indices = np.asarray(indices)
    parts = [_chunk(seed, indices[i : i + CHUNK], size) for i in range(0, len(indices), CHUNK)]
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


@dataclass
class Draws:
    """Random numbers of a chunk; the pixel noise, whose count depends on the size, is drawn last."""

    normal: np.ndarray  # [n, len(TABLE)]
    uniform: np.ndarray  # [n, len(TABLE)]
    sulci: np.ndarray  # [n, mri_cortex.DRAWS]
    modes: np.ndarray  # complex [n, 2, 2 MODES + 1, 2 MODES + 1]
    noise: np.ndarray  # [n, 2, size, size]

    @classmethod
    def of(cls, seed, indices, size):
        """Each example has its own counter-based stream, keyed by (seed, index)."""
        columns = []
        for index in indices:
            rng = np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))
            columns.append((
                rng.standard_normal(len(TABLE), np.float32),
                rng.random(len(TABLE), np.float32),
                rng.random(mri_cortex.DRAWS, np.float32),
                rng.standard_normal((2, 2 * MODES + 1, 4 * MODES + 2), np.float32).view(np.complex64),
                rng.standard_normal((2, size, size), np.float32),
            ))
        return cls(*(np.stack(c) for c in zip(*columns, strict=True)))


def _chunk(seed, indices, size):
    draws = Draws.of(seed, indices, size)
    f = factors_from(draws.normal, draws.uniform)
    image, share = render(f, draws)
    _areas(f, draws)
    label = [f["contrast"] == i for i in range(len(CONTRASTS))] + [f["tumour"]]
    return {
        "image": image[..., None].astype(np.float32),
        "label": np.concatenate([column[:, :, 0] for column in label], 1).astype(np.float32),
        "mask": np.stack([share[name] > 0.5 for name in MASKS], -1).astype(np.uint8),
        "factors": np.concatenate([f[k][:, :, 0] for k in FACTORS], 1).astype(np.float32),
    }


def render(f, draws):
    """The displayed image [n, size, size] and {mask: share of each pixel}; `f` may be edited beforehand."""
    size = draws.noise.shape[-1]
    mri_tissues.add_timing(f)
    signal = mri_tissues.signals(f)
    share = shares(f, draws, 2 * size)  # twice as fine: edges are averaged
    sigma = mri_scanner.add_sigma(f, signal, size)
    tissue = sum(signal[name] * part for name, part in share.items() if name in signal)
    magnitude = mri_scanner.acquire(tissue, f, sigma, np.moveaxis(draws.noise, 1, 0))
    image = mri_scanner.display(magnitude, f, signal, sigma)
    return image, {name: _halve(part) for name, part in regions(share).items()}


def _halve(image):
    n, size, _ = image.shape
    return image.reshape(n, size // 2, 2, size // 2, 2).mean((2, 4))


def shares(f, draws, size):
    """{tissue: its share of each pixel [n, size, size]}, and "brain", the share within the brain's hull."""
    mri_lesions.add_centre(f)
    g = mri_head.Grid.view(f, *raster.unit_grid(size))
    bend_x, bend_y = raster.texture(draws.modes[:, 0], size, slopes=(3.0, 3.0), corner=4.0)
    fields = raster.texture(draws.modes[:, 1], size, slopes=(3.0, 3.0), corner=9.0)
    hull = mri_head.outline(f, g, g.x + OUTLINE_WARP * bend_x, g.y + OUTLINE_WARP * bend_y)
    bent = mri_lesions.displaced(f, g.x + WARP * bend_x, g.y + WARP * bend_y)
    layers = mri_head.layers(f, g, hull) + _brain(f, g, hull, bent, fields, draws.sulci)
    return composite(layers) | {"brain": coverage(hull.depth, g.pixel)}


def _brain(f, g, hull, bent, fields, sulci):
    """Layers of the brain, from the cortex to what covers it: [(tissue, coverage)]."""
    depth = mri_cortex.tissue_depth(f, g, hull, *bent, fields[0], sulci)
    white = coverage(depth - f["cortex"], g.pixel)
    ventricle = mri_deep.lateral_ventricles(f, g, *bent)
    fluid = np.maximum(np.maximum(ventricle, mri_deep.third_ventricle(f, g, *bent)), mri_deep.cistern(f, g, *bent))
    nuclei = [mri_deep.nucleus(g, *bent, name) for name in ("caudate", "putamen", "thalamus")]
    glioma = mri_lesions.glioma(f, g, hull, *fields)
    inside = coverage(ventricle, g.pixel)
    return [
        ("gray", coverage(depth, g.pixel)),
        ("white", white),
        ("leukoaraiosis", white * mri_lesions.leukoaraiosis(f, ventricle, fields[1])),
        ("deep", np.maximum(np.maximum(nuclei[0], nuclei[1]), nuclei[2])),
        ("pallidum", mri_deep.nucleus(g, *bent, "pallidum")),
        ("edema", glioma.edema * np.maximum(white, 0.2 * (depth > 0))),  # spreads along fibres, spares the cortex
        ("csf", coverage(fluid, g.pixel)),
        ("ventricles", inside),
        ("plexus", inside * mri_deep.plexus(f, g, *bent)),
        ("blood", mri_head.sinus(f, g)),
        ("tumour_tissue", glioma.solid),
        ("rim", glioma.rim),
        ("necrosis_tissue", glioma.necrosis),
    ]


def composite(layers):
    """{tissue: share of each pixel} of layers [(tissue, coverage)], each painted over those before it."""
    left, share = np.float32(1), {}
    for name, cover in reversed(layers):
        share[name] = left * cover
        left = left - share[name]
    return share


def regions(share):
    """{mask: share of each pixel} from the shares of tissues."""
    return {
        "brain": share["brain"],
        "gray_matter": share["gray"] + share["deep"] + share["pallidum"],
        "white_matter": share["white"],
        "ventricles": share["ventricles"] + share["plexus"],
        "tumour": share["tumour_tissue"] + share["rim"] + share["necrosis_tissue"],
        "edema": share["edema"],
    }


def _areas(f, draws, size=64):
    """Adds areas in cm^2, on a grid of their own so that they do not depend on `size`."""
    share = regions(shares(f, draws, size))
    pixel = (f["view"] / (5 * size)) ** 2
    names = {"gray_area": "gray_matter", "white_area": "white_matter", "ventricle_area": "ventricles"}
    for name, mask in (names | {f"{mask}_area": mask for mask in ("brain", "tumour", "edema")}).items():
        f[name] = share[mask].sum((1, 2), keepdims=True) * pixel
    f["ventricle_brain_ratio"] = f["ventricle_area"] / f["brain_area"]
