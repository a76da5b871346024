"""The physics of a B-mode image: attenuation, the pulse, the beam, speckle, envelope and log compression.

The received signal at baseband is (the linear model of Bamber & Dickinson, Phys. Med. Biol. 25:463, 1980)

    s(z, x) = [ (A n + B) * h ](z, x) + noise,   h = exp(-z^2 / 2 sigma_a^2) exp(-x^2 / 2 sigma_l(z)^2)

with n circular complex Gaussian noise (many scatterers a resolution cell), A the amplitude that backscatter and
attenuation leave, and B the coherent echo of smooth interfaces. The envelope |s| of tissue alone is then Rayleigh
distributed with mean over standard deviation sqrt(pi / (4 - pi)) = 1.91 (Wagner et al., IEEE Trans. Sonics
Ultrason. 30:156, 1983).
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft

SPEED = 0.154  # cm/us, of sound in soft tissue, assumed by scanners
NEPER = 20 / np.log(10)  # dB
FWHM = 2.3548  # full width at half maximum over the standard deviation of a Gaussian
HALVES = 1.2  # offset of a half aperture from the middle, in standard deviations of its own spectrum
LOWEST = 0.35  # least centre frequency of a pulse, over that which it started with


def amplitude(level):
    """Amplitude of a level in dB, float64."""
    return np.exp(level / NEPER)


@dataclass(frozen=True)
class Pulse:
    """A Gaussian pulse: centre frequency and standard deviation of its amplitude spectrum, MHz."""

    centre: float
    spread: float

    @classmethod
    def of(cls, f):
        """The pulse of a scanner set to the factors `f`."""
        return cls(f["frequency"], f["bandwidth"] * f["frequency"] / FWHM)

    @property
    def length(self):
        """sigma_a: standard deviation of the envelope along depth, cm; the echo's way is there and back."""
        return SPEED / (4 * np.pi * self.spread)

    def frequency(self, path):
        """Centre frequency, MHz, after a path's attenuation in Np/MHz.

        Attenuation in proportion to frequency shifts a Gaussian spectrum down by path * spread^2 and leaves its
        width (Narayana & Ophir, Ultrason. Imaging 5:17, 1983).
        """
        return np.maximum(self.centre - path * self.spread**2, LOWEST * self.centre)

    def loss(self, path):
        """Loss of the spectrum's peak in dB after a path's attenuation in Np/MHz: the integral of `frequency`."""
        bent = np.minimum(path, (1 - LOWEST) * self.centre / self.spread**2)
        straight = path - bent
        return NEPER * (bent * (self.centre - 0.5 * bent * self.spread**2) + straight * LOWEST * self.centre)


def straight_path(attenuation, dz):
    """Attenuation there and back along each line, Np/MHz, [z, x]; attenuation: dB/cm/MHz [z, x]; dz: cm."""
    return (np.cumsum(attenuation, 0) - 0.5 * attenuation) * (2 * dz / NEPER)


def path(attenuation, dz, dx, f_number):
    """Attenuation there and back, averaged over the rays that meet in each sample, Np/MHz, [z, x].

    attenuation: dB/cm/MHz [z, x]; beyond the sides it goes on as at the sides. dz, dx: sampling, cm. The rays fill
    a cone that is d / f_number wide at a distance d above the sample, which softens shadows with depth.
    """
    rows, columns = attenuation.shape
    side = int(np.ceil(rows * dz / f_number / 2 / dx)) + 1
    wide = np.pad(attenuation, ((0, 0), (side, side)), mode="edge")
    shape = [scipy.fft.next_fast_len(n, real=True) for n in (2 * rows, columns + 4 * side)]
    spectrum = scipy.fft.rfft2(wide, shape) * scipy.fft.rfft2(_cone(rows, side, dz / f_number / dx), shape)
    total = scipy.fft.irfft2(spectrum, shape)[:rows, 2 * side : 2 * side + columns]
    return total * (2 * dz / NEPER)


def _cone(rows, side, opening):
    """Weight [rows, 2 side + 1] of each line at each distance; opening: lines that a row widens the cone by."""
    half = np.arange(rows)[:, None] * (opening / 2)
    box = np.clip(half + 0.5 - np.abs(np.arange(-side, side + 1)), 0, 1)
    box /= box.sum(1, keepdims=True)
    box[0] /= 2  # of its own row a sample has half above it
    return box


def beam_width(z, frequency, f):
    """sigma_l: standard deviation of the two-way beam in cm at depths z [n] cm; frequency: MHz [n].

    The unapodised aperture's one-way beam has a full width of 1.2 wavelengths times the F-number at half maximum.
    Reception is focused at every depth, with an F-number that grows where the aperture ends; transmission is a
    Gaussian beam that widens away from its focus over the Rayleigh length 2 pi sigma^2 / wavelength. The two-way
    beam is the product of both.
    """
    wavelength = SPEED / frequency
    unit = 1.2 / FWHM * wavelength
    receive = unit * np.maximum(f["f_number"], z / f["aperture"])
    waist = unit * f["f_number"]
    away = (z - f["focus"] * f["depth"]) * wavelength / (2 * np.pi * waist**2)
    transmit = waist * np.sqrt(1 + away**2)
    return receive * transmit / np.hypot(receive, transmit)


def beams(field, width, dx, compound):
    """Convolves the rows of a complex field [z, x], periodic, with the beam; one result for each look, a list.

    width: sigma_l, cm [z]. dx: cm. compound: steers two beams to either side, each of half the aperture, whose
    envelopes a scanner averages to reduce speckle (spatial compounding); else one look. White noise keeps its power.
    """
    spectrum = scipy.fft.fft(field, axis=1)
    k = 2 * np.pi * scipy.fft.fftfreq(field.shape[1], dx)
    scaled = width[:, None] * k
    filters = [2 * scaled - HALVES, 2 * scaled + HALVES] if compound else [scaled]
    filters = [np.exp(-0.5 * off * off) for off in filters]
    return [scipy.fft.ifft(spectrum * (h / np.sqrt((h * h).mean(1, keepdims=True))), axis=1) for h in filters]


def along_depth(field, sigma):
    """Convolves the columns with a Gaussian of unit energy; sigma: samples."""
    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = taps / np.sqrt((taps * taps).sum())
    padded = np.pad(field, ((reach, reach), (0, 0)))
    rows = field.shape[0]
    return sum(tap * padded[i : i + rows] for i, tap in enumerate(taps))


def compress(envelope, dynamic_range, reference):
    """Gray levels in [0, 1]: the envelope in dB over `dynamic_range`, so that an envelope of 1 is `reference`."""
    gray = reference + 20 * np.log10(np.maximum(envelope, 1e-6)) / dynamic_range
    return np.clip(gray, 0, 1)
