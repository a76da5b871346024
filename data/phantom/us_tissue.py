"""What the sound meets: layers of the breast from skin to chest wall.

Attenuation in dB/cm/MHz: breast fat 0.73 (Nasief et al., J. Ultrasound Med. 34:1811, 2015); skin 0.35, breast 0.75,
skeletal muscle across its fibres 0.96, bone 15 (Diagnostics 13:855, 2023, table 4). Lung reflects nearly all sound;
its haze here fades by LUNG.
"""

from dataclasses import dataclass

import numpy as np

from data.phantom import us_fields as fields
from data.phantom.raster import coverage
from data.phantom.us_beam import SPEED

SKIN, FAT, GLAND, MUSCLE, BONE, LUNG = 0.35, 0.73, 0.75, 0.96, 15.0, 3.0  # dB/cm/MHz
WARP = 0.1  # cm (standard deviation) by which fat lobules deviate from polygons
SHEEN = 8  # dB, what an interface scatters in all directions above its tissue
CORTEX = 0.06  # cm of bone, or of pleura, that is seen
RIB = 0.65  # cm, half-width of a rib's front


@dataclass
class Grid:
    """Where the samples of the received signal are, float64."""

    z: np.ndarray  # [z, 1] cm, down from the probe
    x: np.ndarray  # [1, x] cm, to the right from its middle
    dz: float  # cm
    dx: float  # cm


@dataclass
class Tissue:
    """Properties at each sample, [z, x]."""

    level: np.ndarray  # backscattered power, dB above fat
    attenuation: np.ndarray  # dB/cm/MHz
    coherent: np.ndarray  # complex amplitude of smooth interfaces, over fat's


@dataclass
class Layers:
    """Depth of each border under every line, cm [x]."""

    skin: np.ndarray
    gland: np.ndarray
    deep: np.ndarray
    fascia: np.ndarray
    wall: np.ndarray
    bony: np.ndarray  # True where the wall is a rib


def layers(f, x, lines):
    """Borders of the layers; x: [x] cm; lines: white noise [6, KNOTS]."""
    tilt = f["slope"] * x
    skin = f["skin"] + 0.01 * fields.line(lines[0], x, 0.5)
    wave = 0.85 * fields.line(lines[1], x, 0.7) + 0.4 * fields.line(lines[2], x, 0.25)
    gland = np.maximum(f["skin"] + f["fat"] + 0.5 * tilt + f["undulation"] * wave, skin + 0.08)
    back = f["skin"] + f["fat"] + f["gland"] + tilt
    deep = np.maximum(back + 0.07 * fields.line(lines[3], x, 0.6), gland + 0.3)
    fascia = np.maximum(back + f["retrofat"] + 0.05 * fields.line(lines[4], x, 0.9), deep + 0.03)
    off = (x - f["rib_x"] * f["depth"] / 2) / RIB
    rib = f["ribs"] * np.maximum(1 - off * off, 0)
    wall = fascia + f["muscle"] + 0.04 * fields.line(lines[5], x, 0.9) - 0.3 * rib
    return Layers(skin, gland, deep, fascia, wall, rib > 0)


def breast(f, grid, draws):
    """The Tissue without a lesion."""
    border = layers(f, grid.x[0], draws.lines)
    tissue = _fat(f, grid, draws)
    _gland(f, grid, border, draws, tissue)
    _muscle(f, grid, border, draws, tissue)
    _chest_wall(f, grid, border, draws, tissue)
    _skin(f, grid, border, draws, tissue)
    tissue.attenuation *= f["lossy"]
    return tissue


def _fat(f, grid, draws):
    """Fat everywhere: lobules of slightly different levels between septa (Cooper's ligaments)."""
    z, x = grid.z[::2, 0], grid.x[0, ::2]  # half the samples will do
    right, down = (WARP * fields.smooth(noise, z, x, (0.25, 0.3)) for noise in draws.broad[:2])
    u = (x - x[0] + right) / f["lobule"]
    v = (z[:, None] + down) / (0.45 * f["lobule"])
    border, value = fields.lobules(u, v, draws.jitter)
    strength = np.clip(0.6 + 0.5 * fields.smooth(draws.broad[2], z, x, (0.4, 0.4)), 0, 1.2)
    septa = f["septa"] * strength * np.exp(-0.5 * (border * (f["lobule"] / 0.06)) ** 2)
    up = [fields.resampling(n, 2 * n) for n in border.shape]
    level = up[0] @ (1.2 * value + septa) @ up[1].T
    return Tissue(level, np.full_like(level, FAT), np.zeros(level.shape, complex))


def _gland(f, grid, border, draws, tissue):
    """Fibroglandular patches in fat, streaked along the ducts; both follow the zone's anterior border."""
    z, x = grid.z[:, 0], grid.x[0]
    rows = (border.gland - border.gland.mean()) / grid.dz
    rows = rows + (0.06 / grid.dz) * fields.smooth(draws.broad[3], z, x, (0.5, 0.45))
    patch = f["patch"]
    field = 0.8 * fields.smooth(draws.broad[4], z, x, (0.6 * patch, patch))
    field = fields.bent(field + 0.6 * fields.smooth(draws.narrow[0], z, x, (0.2 * patch, 0.5 * patch)), rows)
    share = np.clip((field + (3.2 * f["density"] - 1.1)) / 0.5 + 0.5, 0, 1)
    share *= coverage(grid.z - border.gland, 0.05) * coverage(border.deep - grid.z, 0.05)
    streaks = fields.bent(fields.smooth(draws.narrow[1], z, x, (0.06, 0.3)), rows)
    level = f["gland_level"] + f["ducts"] * np.minimum(streaks, 1)
    tissue.level += share * (level - (1 - 0.3 * share) * tissue.level)
    tissue.attenuation += share * (GLAND - FAT)


def _muscle(f, grid, border, draws, tissue):
    """Muscle behind its fascia, with the bright sheaths of its fibres along it."""
    inside = coverage(grid.z - border.fascia, 0.03)
    rows = (border.fascia - border.fascia.mean() + 0 * grid.z) / grid.dz
    fibres = fields.smooth(draws.narrow[2], grid.z[:, 0], grid.x[0], (0.05, 0.7))
    level = f["muscle_level"] + 4 * np.maximum(fields.bent(fibres, rows), -1)
    tissue.level += inside * (level - tissue.level)
    tissue.attenuation += inside * (MUSCLE - tissue.attenuation)
    _sheet(f, grid, tissue, border.fascia, 3.5 * _gloss(draws.lines[6], grid), 0.02)


def _chest_wall(f, grid, border, draws, tissue):
    """Ribs, whose front is bright and lets nothing through, and between them the pleura before the lung's haze."""
    behind = coverage(grid.z - border.wall, 0.03)
    tissue.level += behind * (np.where(border.bony, 2.0, -2.0) - tissue.level)
    beyond = coverage(grid.z - border.wall - CORTEX, 0.03)
    tissue.attenuation += beyond * (np.where(border.bony, BONE, LUNG) - tissue.attenuation)
    _sheet(f, grid, tissue, border.wall, np.where(border.bony, 10, 7) * _gloss(draws.lines[7], grid), 0.025)
    front = np.exp(-0.5 * ((grid.z - border.wall - CORTEX / 2) / (CORTEX / 2)) ** 2)
    tissue.level += 6 * border.bony * front


def _skin(f, grid, border, draws, tissue):
    """The skin between its two bright lines; the upper is also the echo of the probe's face."""
    inside = coverage(border.skin - grid.z, 0.02)
    tissue.level += inside * (f["skin_level"] - 4 - tissue.level)
    tissue.attenuation += inside * (SKIN - tissue.attenuation)
    _sheet(f, grid, tissue, border.skin, 3.5 * _gloss(draws.lines[8], grid), 0.015)
    _sheet(f, grid, tissue, np.full_like(border.skin, 0.02), 7.0, 0.02)


def _gloss(noise, grid):
    """How much better than average an interface reflects, [x]."""
    return np.exp(0.5 * fields.line(noise, grid.x[0], 0.3))


def _sheet(f, grid, tissue, depth, amplitude, thickness):
    """Adds an interface at depths [x] cm: an echo of all directions, and a mirror's of `amplitude`.

    The phase of the mirror's echo turns where it slopes, so that the beam, which sums over neighbouring lines, hears
    what lies across it. A slope that turns the phase by more than pi from line to line gives no such echo.
    """
    turn = 4 * np.pi * f["frequency"] / SPEED
    lost = np.exp(-0.5 * (np.gradient(depth) * turn / 1.2) ** 2)
    profile = np.exp(-0.5 * ((grid.z - depth) / thickness) ** 2)
    tissue.coherent += profile * (amplitude * lost * np.exp(1j * turn * depth))
    tissue.level += SHEEN * profile
