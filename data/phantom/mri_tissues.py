"""Signal of each tissue by the equations of spin echo and inversion recovery, from T1, T2 and proton density.

T1, T2 and densities are rounded from published values at 1.5 T and 3 T; a subject's own deviate (mri_factors).
Sources: Rooney et al., Magn Reson Med 57:308, 2007 (T1 of brain and CSF, 1.5 T); Wansapura et al., J Magn Reson
Imaging 9:531, 1999 (T1 and T2 of brain, 3 T); Stanisz et al., Magn Reson Med 54:507, 2005 (T2 of brain, both);
Kwan et al., IEEE Trans Med Imaging 18:1085, 1999 (BrainWeb: T2 at 1.5 T, order of the densities); Gelman et al.,
Radiology 210:759, 1999 (iron shortens T2 in deep nuclei, 3 T); Gold et al., AJR 183:343, 2004 (fat and muscle, both);
de Blank et al., Pediatr Neurosurg 54:310, 2019 (gliomas and the brain beside them, as ratios to white matter).
"""

import numpy as np

from data.phantom.mri_factors import CONTRASTS

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
SILENT = {"bone": 0.0, "blood": 0.0}  # T2 below 1 ms; leaves the slice before the echo
ALIKE = {"ventricles": "csf", "plexus": "gray", "edema": "edema_tissue", "leukoaraiosis": "edema_tissue"}
SKIN_DENSITY = 0.75  # of muscle: collagen hides part of the water
RELAXIVITY = (4.1, 3.7)  # l/(mmol s) of gadopentetate at 1.5 and 3 T (Rohrer et al., Invest Radiol 40:715, 2005)
SATURATED = 0.12  # share of fat's signal that suppression leaves
# Range of each protocol in ms: TR, TE and TI, at 1.5 T and at 3 T. T1 at 3 T is an inversion recovery (T1-FLAIR), as
# spin echo contrasts gray and white poorly there. FLAIR's TI is relative to the one that nulls CSF.
PROTOCOLS = {
    "T1": (((430, 650), (9, 16), (0, 0)), ((2000, 2400), (8, 14), (860, 980))),
    "T2": (((3500, 5500), (85, 110), (0, 0)), ((4000, 6500), (80, 105), (0, 0))),
    "FLAIR": (((8000, 10000), (95, 125), (0.97, 1.02)), ((8500, 11000), (90, 120), (0.97, 1.02))),
}
LEVELS = {"T1": (0.38, 0.72), "T2": (0.28, 0.48), "FLAIR": (0.32, 0.56)}  # display level of white or gray matter


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
    ranges = PROTOCOLS[CONTRASTS[int(f["contrast"])]][int(f["tesla3"])]
    for name, (low, high) in zip(("tr", "te", "ti"), ranges, strict=True):
        f[name] = low + f[f"{name}_draw"] * (high - low)
    if f["contrast"] == CONTRASTS.index("FLAIR"):
        f["ti"] = f["ti"] * null_time(parameters(f, "csf")[0], f["tr"])


def parameters(f, tissue):
    """T1 [ms], T2 [ms] and density of a tissue in this subject at this field."""
    t1, t2 = TISSUES[tissue][2:4] if f["tesla3"] else TISSUES[tissue][:2]
    return t1 * f[f"{tissue}_t1"], t2 * f[f"{tissue}_t2"], TISSUES[tissue][4] * f[f"{tissue}_pd"]


def signals(f):
    """{tissue: signed signal} by the subject's sequence, with skin, rim, bone and flowing blood."""
    signal = {tissue: _measured(f, *parameters(f, tissue)) for tissue in TISSUES}
    if f["fat_saturated"]:
        signal |= {tissue: SATURATED * signal[tissue] for tissue in ("fat", "marrow_tissue")}
    signal["skin"] = SKIN_DENSITY * signal["muscle_tissue"]
    t1, t2, density = parameters(f, "tumour_tissue")
    rate = 1 / t1 + RELAXIVITY[int(f["tesla3"])] * f["enhancing"] * f["gadolinium"] / 1000  # 1/ms
    signal["rim"] = _measured(f, 1 / rate, t2, density)
    return signal | {name: signal[like] for name, like in ALIKE.items()} | SILENT


def _measured(f, t1, t2, density):
    if f["ti"] > 0:
        return inversion_recovery(t1, t2, density, f["tr"], f["te"], f["ti"])
    return spin_echo(t1, t2, density, f["tr"], f["te"])


def reference(f, signal):
    """What the display is anchored to: a signal and its gray level; white matter in T1, else gray matter."""
    low, high = LEVELS[CONTRASTS[int(f["contrast"])]]
    anchor = signal["white"] if f["contrast"] == 0 else signal["gray"]
    return abs(anchor), low + f["brightness"] * (high - low)
