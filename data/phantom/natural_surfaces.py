"""What the shapes of a scene look like: palette, texture, shading, shadows and sky, as the logarithm of light.

Each scene has two palettes, one of them its subject's, and two texture fields, whose amplitude falls as a power of
the frequency as that of natural surfaces does; every surface takes a colour and a mixture of the fields of its own.
"""

import numpy as np

from data.phantom import raster
from data.phantom.natural_factors import OUT_OF_VIEW
from data.phantom.natural_leaves import LEAVES, MARKS, SHAPES

PLANES = 3  # behind the shapes: sky or backdrop, hills, ground
ROWS = PLANES + SHAPES  # surfaces; a shape's row is its index + PLANES
PALETTE = 4  # colours of the surroundings, and as many of the subject
NORMALS, UNIFORMS = 6, 4  # random numbers a surface takes
RIDGES = 4  # waves of the outline of the hills
SLOPES = (1.7, 0.9)  # of the amplitude of the two textures against the frequency
# Deviations of red-blue and magenta-green over that of brightness. Ruderman, Cronin and Chiao, Statistics of cone
# responses to natural images, JOSA A 1998, find the achromatic axis to dominate so; the values are near CIFAR-10's.
CHROMA = (0.42, 0.22)
_AXES = np.array([[0.7, 0.0, -0.7], [0.33, -0.67, 0.33]])  # red-blue, magenta-green, in RGB
_COLUMNS = ("gray", "across", "down", "red_blue", "magenta", "smooth", "fine", "stripes", "wave_u", "wave_v", "phase")


def palettes(f, normal):
    """Brightness, red-blue and magenta-green [n, 2 PALETTE] each, from normal [n, 2 PALETTE, 3]."""
    gray = f["brightness"] + f["contrast"] * normal[..., 0]
    heavy = normal[..., 1:] * np.sqrt(np.abs(normal[..., 1:]))  # vivid colours are rare, but there
    deviation = _chroma(f)
    return gray, f["warmth"] + deviation[0] * heavy[..., 0], f["tint"] + deviation[1] * heavy[..., 1]


def _chroma(f):
    """Deviations of red-blue and magenta-green, [n, 1] each."""
    return f["saturation"] * CHROMA[0], f["saturation"] * CHROMA[1]


def surfaces(f, shapes, palette, normal, uniform):
    """The properties of every surface.

    palette: of `palettes`. normal: [n, ROWS, NORMALS]. uniform: [n, ROWS, UNIFORMS].
    Returns {name: float64 [n, ROWS]}: brightness `gray` + `across` u + `down` v; the two chromatic axes; amplitudes of
    the textures and of stripes, these with their wave vector and phase.
    """
    colour = _colours(f, shapes, palette, normal, uniform)
    x, y, radius = (_with_planes(c, v) for c, v in ((shapes.x, 0), (shapes.y, 0), (shapes.radius, 1)))
    across, down = _shading(f, radius, normal[..., 4])
    table = {
        "gray": colour[0] - across * x - down * y,  # so that the colour is that of the shape's centre
        "across": across,
        "down": down,
        "red_blue": colour[1],
        "magenta": colour[2],
    } | _textures(f, radius, normal, uniform)
    return table


def _with_planes(column, value):
    return np.concatenate([np.full((len(column), PLANES), value, float), column], 1)


def _shading(f, radius, normal):
    """Gradient of brightness over each surface: shapes are brighter toward the light, skies toward the horizon."""
    slope = f["relief"] * (0.6 + 0.4 * normal) / np.maximum(radius, 0.1)
    across, down = slope * np.cos(f["light_angle"]), slope * np.sin(f["light_angle"])
    across[:, :PLANES] = down[:, :PLANES] = 0
    down[:, :1] = np.where(f["horizon"] < OUT_OF_VIEW, 0.7, 0.25 * f["relief"])
    return across, down


def _textures(f, radius, normal, uniform):
    """Amplitudes of the two fields, log-normal; one surface in eight has stripes, 1.5 periods across."""
    amplitude = f["texture"] * np.exp(0.8 * normal[..., 3] - 0.3)
    mixture, bearing = 2 * np.pi * uniform[..., 1], 2 * np.pi * uniform[..., 3]
    periods = np.minimum(0.75 / np.maximum(radius, 0.05), 7)  # in half an image; 14 an image can still be drawn at 32
    return {
        "smooth": amplitude * np.cos(mixture),
        "fine": 0.8 * amplitude * np.sin(mixture),
        "stripes": 2.2 * f["texture"] * (uniform[..., 2] < 0.12),
        "wave_u": 2 * np.pi * periods * np.cos(bearing),
        "wave_v": 2 * np.pi * periods * np.sin(bearing),
        "phase": 2 * np.pi * normal[..., 5],
    }


def _colours(f, shapes, palette, normal, uniform):
    """Brightness and the two chromatic axes of every surface, [n, ROWS] each."""
    row = np.arange(ROWS)
    subject = row >= PLANES + LEAVES
    piece = subject & (row < ROWS - MARKS)
    chosen = np.where(piece, PALETTE, (uniform[..., 0] * PALETTE).astype(int) + PALETTE * subject)
    jitter = np.where(piece, 0.12, 0.4) * np.stack(np.broadcast_arrays(f["contrast"], *_chroma(f)))
    colour = np.stack([np.take_along_axis(one, chosen, 1) for one in palette])
    colour += jitter * np.moveaxis(normal[..., :3], -1, 0)
    return np.where(f["horizon"] < OUT_OF_VIEW, _with_air(f, colour, shapes.distance, normal[:, :1]), colour)


def _with_air(f, colour, distance, normal):
    """The sky, and what the air between does to things far away: they take on its colour."""
    sky = (0.9 + 0.4 * normal[..., 0], 0.2 * normal[..., 1] - 0.35, 0)
    sky = np.stack([f[k] + shift for k, shift in zip(("brightness", "warmth", "tint"), sky, strict=True)])
    haze = 0.65 * _with_planes(distance, 0)
    haze[:, :2] = 1, 0.5  # the sky itself; the hills
    return colour + haze * (sky - colour)


def planes(f, waves, size):
    """Row of the plane at each pixel, int32 [n, size, size]: 0 sky or backdrop, 1 hills, 2 ground.

    waves: uniform numbers [n, 2, RIDGES].
    """
    u, v = raster.unit_grid(size)
    number = np.arange(1, RIDGES + 1)
    phase = 2.2 * number * u[0, :1, :, None] + 2 * np.pi * waves[:, :, None]  # [n, 2, size, RIDGES]
    outline = (np.sin(phase) * waves[:, :, None] / number).sum(-1)
    hills = f["horizon"] - 0.12 + 0.16 * outline[:, 0]
    ground = f["horizon"] + 0.02 * outline[:, 1]
    return (v > hills[:, None]).astype(np.int32) + (v > np.maximum(hills, ground)[:, None])


def paint(table, z, f, modes):
    """Logarithm of the light from each pixel, float64 [n, 3, size, size]; channels R, G, B.

    table: of `surfaces`. z: row of the surface at each pixel, int [n, size, size]. modes: coefficients of
    raster.texture.
    """
    n, size = z.shape[:2]
    place = z + (np.arange(n, dtype=np.int32) * ROWS)[:, None, None]
    at = {name: np.take(table[name].reshape(-1), place) for name in _COLUMNS}
    smooth, fine = raster.texture(modes, size, SLOPES)
    u, v = raster.unit_grid(size)
    light = at["gray"] + at["across"] * u + at["down"] * v + at["smooth"] * smooth + at["fine"] * fine
    light += at["stripes"] * np.sin(at["wave_u"] * u + at["wave_v"] * v + at["phase"] + smooth)
    c, s = np.cos(f["light_angle"])[..., None], np.sin(f["light_angle"])[..., None]
    light += f["light_fall"][..., None] * (c * u + s * v) - f["vignette"][..., None] * (u**2 + v**2)
    red_blue, magenta = at["red_blue"], at["magenta"]
    return np.stack([light + a * red_blue + b * magenta for a, b in _AXES.T], 1)


def shadow(z, f, reach=0.05):
    """Where a nearer surface, `reach` away toward the light, shades what is behind it: [n, size, size] in [0, 1]."""
    size = z.shape[-1]
    offset = reach * size / 2
    dark = np.zeros(z.shape)
    for share in (0.5, 1.0):  # two distances: a penumbra
        for i, angle in enumerate(f["light_angle"][:, 0]):
            column = np.clip(np.arange(size) + round(float(share * offset * np.cos(angle))), 0, size - 1)
            row = np.clip(np.arange(size) + round(float(share * offset * np.sin(angle))), 0, size - 1)
            dark[i] += z[i][row[:, None], column] > z[i]
    return dark / 2
