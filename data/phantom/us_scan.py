"""One scan of the ultrasound phantom: from tissue through the received signal to gray levels."""

import numpy as np

from data.phantom import us_beam as beam
from data.phantom import us_fields as fields
from data.phantom import us_lesions as lesions
from data.phantom import us_tissue as tissues
from data.phantom.raster import coverage, gaussian_matrix

DEPTHS, LINES = 256, 160  # samples of the received signal along depth, and across
MARGIN = 8  # lines simulated beyond each side, because the beam's convolution is periodic
COLUMNS = LINES + 2 * MARGIN
COARSE = (4, 4)  # samples averaged, along depth and across, where a quantity is smooth
HAZE = (0.12, 0.2)  # cm, standard deviation along depth and across of where clutter comes from
MOST = 1.1  # dB/cm/MHz, the greatest attenuation that the gain over depth makes up for


def render(f, draws):
    """Gray levels [DEPTHS, LINES] in [0, 1] and the lesion's share of each sample; adds what it measures to `f`."""
    grid, pulse = grid_of(f), beam.Pulse.of(f)
    tissue = tissues.breast(f, grid, draws)
    mean = beam.straight_path(np.minimum(tissue.attenuation, MOST).mean(1, keepdims=True), grid.dz)
    gain = pulse.loss(mean) + f["tgc_error"] * (grid.z - f["depth"] / 2)
    tissue, inside, loss = _examine(f, grid, pulse, tissue, draws)
    width = beam.beam_width(grid.z[:, 0], pulse.frequency(mean[:, 0]), f)
    # Half a turn makes other, independent numbers of the scatterers' at each sample, at no cost.
    noise = beam.amplitude(f["noise"] + gain) * draws.scatterers[::-1, ::-1]
    looks = beam.beams(echo(f, grid, tissue, gain - loss, draws), width, grid.dx, f["compound"])
    envelope = sum(np.abs(beam.along_depth(look + noise, pulse.length / grid.dz)) for look in looks) / len(looks)
    gray = beam.compress(envelope, f["dynamic_range"], f["fat_gray"])
    return gray[:, MARGIN:-MARGIN], inside[:, MARGIN:-MARGIN]


def grid_of(f):
    """The Grid of a scan: the image as wide as deep, and a margin of lines."""
    dz, dx = f["depth"] / DEPTHS, f["depth"] / LINES
    z = (np.arange(DEPTHS) + 0.5) * dz
    x = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * dx
    return tissues.Grid(z[:, None], x[None], dz, dx)


def echo(f, grid, tissue, level, draws):
    """The received signal before the pulse and the beam blur it, complex128 [z, x]; level: gain less loss, dB.

    Clutter adds a share of the power around a sample, as side lobes and reverberation do.
    """
    power = beam.amplitude(2 * tissue.level)
    around = _coarse(power)
    down, across = (gaussian_matrix(n, s / d) for n, s, d in zip(around.shape, HAZE, _steps(grid), strict=True))
    haze = beam.amplitude(2 * f["clutter"]) * _fine(down @ around @ across.T)
    return beam.amplitude(level) * (np.sqrt(power + haze) * draws.scatterers + tissue.coherent)


def _examine(f, grid, pulse, tissue, draws):
    """Puts the lesion, if any, into the tissue; returns (Tissue, the lesion's share, loss in dB), each [z, x]."""
    way = _path(f, grid, tissue)
    shade = _contact(f, grid)
    f.update(lesion_area=0.0, lesion_contrast=0.0, posterior_gain=0.0)
    if not f["class"]:
        return tissue, np.zeros_like(tissue.level), _fine(pulse.loss(way)) + shade
    clear = _fine(pulse.loss(way))
    lesion = lesions.locate(f, grid, lesions.outline(f, draws.outline, draws.spicules))
    tissue, inside = lesions.insert(f, grid, tissue, lesion, draws)
    loss = _fine(pulse.loss(_path(f, grid, tissue)))
    f.update(lesions.measure(f, grid, tissue, lesion, inside, clear - loss))
    return tissue, inside, loss + shade + lesions.refraction(f, lesion)


def _contact(f, grid):
    """Loss in dB of the lines where the probe leaves the skin, at one side, [1, x]."""
    side, edge = np.sign(f["contact_x"]), 0.5 * f["depth"] * (1 - 0.4 * abs(f["contact_x"]))
    return max(f["contact"], 0.0) * coverage(side * grid.x - edge, 0.3)


def _path(f, grid, tissue):
    """beam.path on the coarse grid."""
    return beam.path(_coarse(tissue.attenuation), *_steps(grid), f["f_number"])


def _steps(grid):
    return COARSE[0] * grid.dz, COARSE[1] * grid.dx


def _coarse(field):
    """Averages over COARSE samples."""
    rows, columns = (n // k for n, k in zip(field.shape, COARSE, strict=True))
    return field.reshape(rows, COARSE[0], columns, COARSE[1]).mean((1, 3))


def _fine(field):
    """Linear interpolation from the coarse grid to the samples."""
    down, across = (fields.resampling(n, n * k) for n, k in zip(field.shape, COARSE, strict=True))
    return down @ field @ across.T


def resample(field, size):
    """Images [n, size, size] of samples [n, DEPTHS, LINES], antialiased."""
    return fields.resampling(DEPTHS, size) @ field @ fields.resampling(LINES, size).T
