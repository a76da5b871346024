"""The lesion of a breast ultrasound phantom: outline, echo, rim and what it does to the sound.

A cyst is anechoic, smooth and lets sound through; a fibroadenoma (benign) is oval, wider than tall and evenly
hypoechoic with a thin capsule; a carcinoma (malignant) is irregular and spiculated, often taller than wide, markedly
hypoechoic and attenuates (Stavros et al., Radiology 196:123, 1995).
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import us_beam as beam
from data.phantom import us_fields as fields
from data.phantom.raster import coverage
from data.phantom.us_factors import CLASSES
from data.phantom.us_tissue import Tissue

ANGLES = 512  # samples of an outline
HARMONICS = 9  # of an outline, from the second on
SPICULES = 11
CALCIFICATIONS = 6
THETA = np.arange(ANGLES) * (2 * np.pi / ANGLES)  # rad
ORDER = np.arange(2, 2 + HARMONICS)
COSINES, SINES = np.cos(ORDER[:, None] * THETA), np.sin(ORDER[:, None] * THETA)


@dataclass
class Lesion:
    """Where a lesion is, [z, x] float64, cm."""

    distance: np.ndarray  # to its outline, positive inside
    across: np.ndarray  # from its centre, to the right
    below: np.ndarray  # from its centre, down


def outline(f, normal, uniform):
    """Radius over that of the ellipse, float64 [ANGLES]. normal: [2, HARMONICS]; uniform: [3, SPICULES]."""
    malignant = CLASSES[f["class"]] == "malignant"
    fall = ORDER ** (-0.7 if malignant else -1.5)
    cosine, sine = normal * fall / np.sqrt((fall * fall).sum())
    wave = np.clip(cosine @ COSINES + sine @ SINES, -2.5, 2.5)
    amount = {"cyst": 0.4 * f["lobulation"], "benign": f["lobulation"], "malignant": f["irregularity"]}
    spikes = _spicules(f, uniform) if malignant else 0
    return 1 + amount[CLASSES[f["class"]]] * wave + spikes


def _spicules(f, uniform):
    """Spikes of an outline [ANGLES]; uniform: [3, SPICULES], place, height and width of each."""
    place, height, width = uniform
    place = (np.arange(SPICULES) + 0.8 * place) * (2 * np.pi / SPICULES)
    off = np.abs((THETA[:, None] - place + np.pi) % (2 * np.pi) - np.pi)
    return (f["spiculation"] * height**2 * np.exp(-off / (0.06 + 0.1 * width))).sum(1)


def locate(f, grid, radius):
    """The Lesion on a grid; radius: of `outline`."""
    below = grid.z - f["lesion_center_z"] + 0 * grid.x
    across = grid.x - f["lesion_center_x"] + 0 * grid.z
    a, b, tilt = f["lesion_width"] / 2, f["lesion_height"] / 2, f["lesion_tilt"]
    u, v = (across + tilt * below) / a, (below - tilt * across) / b
    rho = np.sqrt(u * u + v * v) + 1e-4
    angle = (np.arctan2(v, u) * (ANGLES / (2 * np.pi))).astype(np.int32) % ANGLES
    slope = np.sqrt((u / a) ** 2 + (v / b) ** 2) / rho
    return Lesion((radius[angle] - rho) / slope, across, below)


def insert(f, grid, tissue, lesion, draws):
    """The Tissue with the lesion in it, and the lesion's share of each sample, [z, x]."""
    name = CLASSES[f["class"]]
    z, x = grid.z[:, 0], grid.x[0]
    ragged, coarse = (fields.smooth(noise, z, x, (0.09, 0.09)) for noise in draws.narrow[3:])
    if name == "malignant":
        lesion.distance += 0.03 * ragged  # cm; the mask and what is measured follow it
    inside = coverage(lesion.distance, 0.1 if name == "malignant" else 0.02)
    level = f["lesion_level"] + (name != "cyst") * f["mottle"] * coarse
    outer = tissue.level + _rim(f, lesion.distance, coarse)
    new = Tissue(
        outer + inside * (level - outer),
        tissue.attenuation + inside * (f["lesion_loss"] - tissue.attenuation),
        tissue.coherent * (1 - inside),
    )
    new.coherent += _wall(f, lesion)
    if name == "malignant" and f["calcified"]:
        _calcify(f, grid, new, draws.specks)
    return new, inside


def _rim(f, distance, texture):
    """Level in dB that a capsule or an echogenic halo adds around the lesion, [z, x]."""
    if CLASSES[f["class"]] == "malignant":
        return f["halo"] * (1 + 0.5 * texture) * np.exp(-0.5 * (np.minimum(distance, 0) / 0.12) ** 2)
    return 4 * np.exp(-0.5 * (distance / 0.03) ** 2)


def _wall(f, lesion):
    """Coherent echo of a smooth wall, where it lies across the beam, [z, x]."""
    if CLASSES[f["class"]] == "malignant":
        return 0.0
    facing = lesion.below * lesion.below
    facing = facing / (facing + 4 * lesion.across * lesion.across + 1e-4)
    return (3.0 if CLASSES[f["class"]] == "cyst" else 1.5) * facing * np.exp(-0.5 * (lesion.distance / 0.018) ** 2)


def _calcify(f, grid, tissue, uniform):
    """Adds microcalcifications, points within the lesion; uniform: [3, CALCIFICATIONS]."""
    angle, reach, strength = uniform
    x = f["lesion_center_x"] + 0.33 * f["lesion_width"] * np.sqrt(reach) * np.cos(2 * np.pi * angle)
    z = f["lesion_center_z"] + 0.33 * f["lesion_height"] * np.sqrt(reach) * np.sin(2 * np.pi * angle)
    i = np.rint((z - grid.z[0, 0]) / grid.dz).astype(int)
    j = np.rint((x - grid.x[0, 0]) / grid.dx).astype(int)
    tissue.coherent[i, j] += 3 + 6 * strength


def refraction(f, lesion):
    """Loss in dB behind the sides of a smooth lesion, where rays graze its border, [z, x]."""
    if CLASSES[f["class"]] == "malignant":
        return 0.0
    off = (np.abs(lesion.across) - 0.49 * f["lesion_width"]) / (0.05 + 0.03 * np.maximum(lesion.below, 0))
    return f["edge_shadow"] * np.exp(-0.5 * off * off) * np.clip(lesion.below / 0.2, 0, 1)


def measure(f, grid, tissue, lesion, inside, gain):
    """Area in cm^2, contrast in dB with the tissue within 0.3 cm, and what `gain` [z, x] dB is right behind it."""
    ring = (lesion.distance < -0.08) & (lesion.distance > -0.3)
    power = beam.amplitude(2 * tissue.level)
    within, around = (power * inside).sum() / inside.sum(), power[ring].mean()
    below = lesion.below - f["lesion_height"] / 2
    behind = (below > 0.15) & (below < 0.45) & (np.abs(lesion.across) < 0.25 * f["lesion_width"])
    return {
        "lesion_area": inside.sum() * grid.dz * grid.dx,
        "lesion_contrast": 10 * np.log10(within / around),
        "posterior_gain": gain[behind].mean(),
    }
