"""Signal of each tissue by the equations of spin echo and inversion recovery, from T1, T2 and proton density.

T1, T2 and densities are averages of published values at 1.5 T and 3 T; a subject's own deviate (mri_factors).
Sources: Rooney et al., Magn Reson Med 57:308, 2007 (T1 of brain and CSF, 1.5 T); Wansapura et al., J Magn Reson
Imaging 9:531, 1999 (brain, 3 T); Stanisz et al., Magn Reson Med 54:507, 2005 (T2 of brain); Kwan et al., IEEE Trans
Med Imaging 18:1085, 1999 (BrainWeb: densities and T2, 1.5 T); Gelman et al., Radiology 210:759, 1999 (iron shortens
T2 in deep nuclei, 3 T); Gold et al., AJR 183:343, 2004 (fat, marrow, muscle at both fields); de Blank et al., J
Neurosurg Pediatr 2019 and Badve et al., AJNR 38:492, 2017 (T1 and T2 of gliomas and the brain beside them).
"""

import numpy as np

TISSUES = {  # tissue: (T1 at 1.5 T, T2 at 1.5 T, T1 at 3 T, T2 at 3 T) in ms, density relative to water
    "white": (650, 74, 860, 70, 0.70),
    "gray": (1090, 92, 1350, 88, 0.82),
    "deep": (950, 80, 1180, 72, 0.79),  # caudate, putamen, thalamus
    "pallidum": (800, 66, 1000, 56, 0.74),
    "csf": (4070, 2000, 4200, 2000, 1.0),  # T2 of about 2 s: far beyond every echo time used
    "fat": (288, 165, 371, 133, 0.9),
    "muscle_tissue": (1130, 40, 1420, 36, 0.8),
    "marrow_tissue": (330, 130, 400, 110, 0.38),  # trabeculae and blood leave less fat than under the skin
    "edema_tissue": (1250, 150, 1500, 140, 0.86),
    "tumour_tissue": (1450, 125, 1800, 118, 0.86),
    "necrosis_tissue": (2500, 330, 2800, 300, 0.95),
}
ALIKE = {"ventricles": "csf", "plexus": "gray", "edema": "edema_tissue", "leukoaraiosis": "edema_tissue"}
SKIN_DENSITY = 0.75  # of muscle: collagen hides part of the water
RELAXIVITY = (4.1, 3.7)  # l/(mmol s) of gadopentetate at 1.5 and 3 T (Rohrer et al., Invest Radiol 40:715, 2005)
SATURATED = 0.12  # share of fat's signal that suppression leaves
# Range of each protocol in ms: TR, TE and TI, at 1.5 T and at 3 T. T1 at 3 T is an inversion recovery (T1-FLAIR), as
# spin echo contrasts gray and white poorly there. FLAIR's TI is relative to the one that nulls CSF.
PROTOCOLS = {
    "T1": (((430, 650), (9, 16), (0, 0)), ((1900, 2300), (8, 14), (750, 880))),
    "T2": (((3500, 5500), (85, 110), (0, 0)), ((4000, 6500), (80, 105), (0, 0))),
    "FLAIR": (((8000, 10000), (95, 125), (0.97, 1.02)), ((8500, 11000), (90, 120), (0.97, 1.02))),
}
LEVELS = {"T1": (0.44, 0.78), "T2": (0.34, 0.52), "FLAIR": (0.38, 0.62)}  # display level of white or gray matter


def spin_echo(t1, t2, density, tr, te):
    """Spin echo signal, relative to water's equilibrium: density (1 - exp(-TR/T1)) exp(-TE/T2), TE << TR."""
    return density * (1 - np.exp(-tr / t1)) * np.exp(-te / t2)


def inversion_recovery(t1, t2, density, tr, te, ti):
    """Signed signal of an inversion recovery spin echo: density (1 - 2 exp(-TI/T1) + exp(-TR/T1)) exp(-TE/T2)."""
    return density * (1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / t2)


def null_time(t1, tr):
    """Inversion time that nulls a tissue: T1 (ln 2 - ln(1 + exp(-TR/T1))), same unit as t1 and tr."""
    return t1 * (np.log(2) - np.log1p(np.exp(-tr / t1)))


def add_timing(f):
    """Adds tr, te and ti [ms] to the factors; ti is 0 for a spin echo."""
    ranges = np.array([PROTOCOLS[name] for name in PROTOCOLS], np.float32)  # [contrast, field, time, end]
    chosen = ranges[f["contrast"].astype(int), f["tesla3"].astype(int)]  # [n, 1, 1, time, end]
    for i, name in enumerate(("tr", "te", "ti")):
        f[name] = chosen[..., i, 0] + f[f"{name}_draw"] * (chosen[..., i, 1] - chosen[..., i, 0])
    null = null_time(parameters(f, "csf")[0], f["tr"])
    f["ti"] = np.where(f["contrast"] == 2, f["ti"] * null, f["ti"]).astype(np.float32)


def parameters(f, tissue):
    """T1 [ms], T2 [ms] and density of a tissue in these subjects at their field, each [n, 1, 1]."""
    low_t1, low_t2, high_t1, high_t2, density = TISSUES[tissue]
    t1 = np.where(f["tesla3"] > 0, np.float32(high_t1), np.float32(low_t1)) * f[f"{tissue}_t1"]
    t2 = np.where(f["tesla3"] > 0, np.float32(high_t2), np.float32(low_t2)) * f[f"{tissue}_t2"]
    return t1, t2, np.float32(density) * f[f"{tissue}_pd"]


def signals(f):
    """{tissue: signed signal [n, 1, 1]} by the subject's sequence, with skin, rim, bone and flowing blood."""

    def measured(t1, t2, density):
        inverted = inversion_recovery(t1, t2, density, f["tr"], f["te"], f["ti"])
        return np.where(f["ti"] > 0, inverted, spin_echo(t1, t2, density, f["tr"], f["te"]))

    signal = {tissue: measured(*parameters(f, tissue)) for tissue in TISSUES}
    for tissue in ("fat", "marrow_tissue"):
        signal[tissue] = signal[tissue] * np.where(f["fat_saturated"] > 0, np.float32(SATURATED), 1)
    signal["skin"] = SKIN_DENSITY * signal["muscle_tissue"]
    t1, t2, density = parameters(f, "tumour_tissue")
    rate = np.where(f["tesla3"] > 0, RELAXIVITY[1], RELAXIVITY[0]) * f["gadolinium"] * f["enhancing"]  # 1/s
    signal["rim"] = measured(1 / (1 / t1 + rate / 1000), t2, density)
    signal |= {name: signal[like] for name, like in ALIKE.items()}
    signal["bone"] = np.zeros_like(t1)  # T2 below 1 ms: gone before the echo
    signal["blood"] = np.zeros_like(t1)  # flows out of the slice between pulse and echo
    return {tissue: value.astype(np.float32) for tissue, value in signal.items()}


def reference(f, signal):
    """What the display is anchored to: signal [n, 1, 1] and its gray level [n, 1, 1]; T1: white, else gray matter."""
    anchor = np.where(f["contrast"] == 0, signal["white"], signal["gray"])
    levels = np.array([LEVELS[name] for name in LEVELS], np.float32)[f["contrast"].astype(int)]
    return anchor, levels[..., 0] + f["brightness"] * (levels[..., 1] - levels[..., 0])
