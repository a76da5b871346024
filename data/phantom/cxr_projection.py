"""From tissue to a displayed radiograph: Beer-Lambert, scatter, quantum noise, blur, log and window."""

import numpy as np

from data.phantom.raster import blur

MU_SOFT = 0.20  # 1/cm, water at about 65 keV (NIST XCOM), the effective energy of a 120 kVp chest beam
MU_BONE = 0.36  # 1/cm that trabecular bone adds to soft tissue (bone of 1.3-1.9 g/ml: 0.35-0.6 in all)
SCATTER_RANGE = 0.16  # sigma of the scatter's point spread over the image width (about 6 cm)


def transmit(attenuation):
    """Primary intensity relative to air; attenuation is the line integral of mu [1/cm] over the ray [cm]."""
    return np.exp(-attenuation)


def detect(attenuation, scatter, dose, area, noise, unsharp=0.05, pitch=0.38):
    """Detector signal relative to air, [n, h, w].

    attenuation: line integrals [n, h, w], dimensionless. scatter: strength of single scatter behind the grid;
    it arises where photons meet tissue, as A exp(-A), and spreads over SCATTER_RANGE. dose: log10 of photons
    per cm^2 in air. area: of a pixel, cm^2. noise: standard normal [n, h, w]; counts are in the thousands,
    where Poisson is Gaussian. unsharp: sigma in cm of focal spot, motion and screen on a field of 40 cm.
    pitch: sigma in pixels of the filter before sampling. All but noise [n, 1, 1].
    """
    size = attenuation.shape[-1]
    primary = transmit(attenuation)
    veil = blur(attenuation * primary, SCATTER_RANGE * size)
    signal = blur(primary, np.hypot(pitch, unsharp * size / 40)) + scatter * veil
    photons = 10.0**dose * area
    return np.maximum(signal + noise * np.sqrt(signal / photons), 1e-4)


def display(signal, lung, heart, f):
    """Gray levels in [0, 1] of a detector signal: log, harmonisation, sigmoid window (DICOM VOI SIGMOID).

    lung, heart: weight of each pixel as lung field and as heart. Like automatic exposure with its measuring
    fields, the window is anchored at these means, to the gray levels the factors ask for.
    """
    size = signal.shape[-1]
    a = -np.log(signal)
    a = a - f["harmonise"] * blur(a, 0.11 * size)
    low, high = _mean(a, lung), _mean(a, heart)
    dark, bright = logit(f["lung_gray"] / f["top_gray"]), logit(f["heart_gray"] / f["top_gray"])
    slope = (bright - dark) / np.maximum(high - low, 0.5)
    gray = f["top_gray"] / (1 + np.exp(-(dark + slope * (a - low))))
    floor = np.minimum(gray.min((1, 2), keepdims=True), f["lung_gray"] - 0.02)
    # Below the lung's level the curve bends, without a kink, so that the darkest pixel reaches air_gray.
    deep = np.maximum(f["lung_gray"] - gray, 0) / (f["lung_gray"] - floor)
    return np.clip(gray - (floor - f["air_gray"]) * deep * deep, 0, 1)


def _mean(image, weight):
    return (image * weight).sum((1, 2), keepdims=True) / (weight.sum((1, 2), keepdims=True) + 1e-3)


def logit(p):
    """Inverse of the sigmoid."""
    return np.log(p / (1 - p))
