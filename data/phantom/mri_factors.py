"""What a brain MRI phantom is drawn from: every factor, its distribution, where its range comes from.

Lengths are millimetres of an average adult head, with the anterior commissure as the origin: x to the viewer's right
(the patient's left), y to the front (up in the image), z to the crown. Sizes of anatomy are those of neuroradiology
textbooks and of the MNI space; ranges of the examination and shape parameters without a source were chosen by eye
beside clinical images.
"""

import numpy as np

from data.phantom.factors import Factor, names, values

CONTRASTS = ("T1", "T2", "FLAIR")
CLASSES = (*CONTRASTS, "tumour")


def _spread(tissue, t1=0.05, t2=0.05, density=0.02):
    """Factors of one tissue relative to the table of mri_tissues: the spread between subjects."""
    quantities = (("t1", t1), ("t2", t2), ("pd", density))
    return [Factor(f"{tissue}_{name}", "normal", 1.0, sd, "relative to the average") for name, sd in quantities]


TABLE = (
    Factor("contrast", "uniform", 0, 3, "0: T1, 1: T2, 2: FLAIR (the whole part of the number drawn)"),
    Factor("tumour", "bernoulli", 0.5, 0, "1 if there is a glioma"),
    # The head and the slice through it.
    Factor("slice_level", "uniform", 1, 47, "above the commissures [mm]: basal ganglia to centrum semiovale"),
    Factor("pitch", "normal", 0.05, 0.10, "rise of the slice toward the front [rad]"),
    Factor("roll", "normal", 0.0, 0.035, "rise of the slice toward the viewer's right [rad]"),
    Factor("head_width", "normal", 1.0, 0.04, "relative to a brain of 134 mm"),
    Factor("head_length", "normal", 1.0, 0.035, "relative to a brain of 170 mm"),
    Factor("head_box", "uniform", 1.35, 1.95, "shape of the outline: 2 elliptic, below boxier"),
    Factor("head_egg", "normal", 0.08, 0.035, "relative narrowing toward the front"),
    Factor("skull", "normal", 6.5, 1.0, "thickness of the vault [mm]; 5-8 mm in adults"),
    Factor("marrow", "uniform", 0.15, 0.6, "share of the vault's thickness that is marrow (diploe)"),
    Factor("scalp", "normal", 3.3, 1.0, "thickness of the subcutaneous fat [mm]; scalp 4-7 mm in all"),
    Factor("skin", "normal", 1.7, 0.25, "thickness of the skin [mm]"),
    Factor("muscle", "uniform", 2, 11, "greatest thickness of the temporal muscle [mm]"),
    # The brain.
    Factor("atrophy", "uniform", 0, 1, "0: narrow sulci, 1: wide ones, as in old age"),
    Factor("ventricle_draw", "normal", 0.0, 0.22, "log size of the ventricles beyond what atrophy explains"),
    Factor("ventricle_side", "normal", 0.0, 0.08, "excess of the ventricle at the viewer's right"),
    Factor("sulcus_depth", "normal", 1.0, 0.10, "depth of the sulci relative to the average"),
    Factor("cortex", "normal", 3.5, 0.25, "seen thickness of the cortex [mm]; 2-4 mm, oblique cuts thicker"),
    Factor("meander", "uniform", 2.6, 5.0, "standard deviation by which sulci leave straight lines [mm]"),
    Factor("fissure", "normal", 1.0, 0.25, "half-width of the Sylvian fissure [mm], without atrophy"),
    Factor("plexus", "bernoulli", 0.6, 0, "1 if choroid plexus is seen in the atria"),
    Factor("leukoaraiosis", "uniform", -1.2, 1.0, "periventricular white matter lesions: none below 0, to 1"),
    # The tumour.
    Factor("tumour_side", "bernoulli", 0.5, 0, "+1 at the viewer's right, -1 left"),
    Factor("tumour_out", "uniform", 0.30, 0.78, "centre, from the midline to the brain's edge"),
    Factor("tumour_front", "uniform", -0.68, 0.66, "centre, from the back of the brain (-1) to its front (1)"),
    Factor("tumour_radius", "uniform", 7, 22, "mean radius of the solid part [mm]"),
    Factor("tumour_aspect", "uniform", 0.75, 1.3, "its extent front to back over that across"),
    Factor("irregularity", "uniform", 0.08, 0.26, "relative deviation of its outline from an ellipse"),
    Factor("necrosis_draw", "uniform", -0.4, 0.78, "radius of the necrotic core over the tumour's; below 0.15: none"),
    Factor("rim", "uniform", 1.5, 3.8, "thickness of the tissue that takes up contrast agent [mm]"),
    Factor("agent_draw", "bernoulli", 0.55, 0, "1 if gadolinium was given; in T1 only"),
    Factor("gadolinium", "uniform", 0.12, 0.6, "its concentration in the rim [mmol/l]"),
    Factor("edema", "uniform", 1, 22, "reach of the edema beyond the tumour [mm]"),
    Factor("mass_effect", "uniform", 0.10, 0.50, "relative displacement of what lies beside the tumour"),
    # The examination.
    Factor("tesla3", "bernoulli", 0.5, 0, "1: field of 3 T, 0: 1.5 T"),
    Factor("tr_draw", "uniform", 0, 1, "position within the contrast's range of repetition times"),
    Factor("te_draw", "uniform", 0, 1, "position within the contrast's range of echo times"),
    Factor("ti_draw", "uniform", 0, 1, "position within the contrast's range of inversion times"),
    Factor("fat_saturated", "bernoulli", 0.35, 0, "1 if fat is suppressed"),
    Factor("view", "uniform", 95, 117, "half-width of the field of view [mm]; 190-234 mm across"),
    Factor("shift_x", "normal", 0.0, 2.5, "centring error [mm]"),
    Factor("shift_y", "normal", 0.0, 2.0, "centring error [mm]"),
    Factor("rotation", "normal", 0.0, 0.06, "in-plane rotation [rad]"),
    Factor("bias", "uniform", 0.0, 0.16, "log sensitivity of the coil, standard deviation over the field"),
    Factor("bias_angle", "uniform", 0, 6.2832, "direction in which it grows [rad]"),
    Factor("bias_bowl", "uniform", -0.8, 1.6, "share that grows outward (surface coils) or inward (3 T)"),
    Factor("snr", "uniform", 15, 50, "brightest brain tissue over noise in a pixel of 1.75 mm"),
    Factor("blur", "uniform", 0.3, 0.8, "standard deviation of the in-plane point spread [mm]"),
    Factor("brightness", "uniform", 0.0, 1.0, "position within the contrast's range of display levels"),
    Factor("black", "uniform", -0.6, 1.6, "signal shown black, in standard deviations of the noise"),
    Factor("gamma", "normal", 1.0, 0.10, "exponent of the display"),
    # Tissue of this subject. The display is relative to brain, so that only ratios are seen.
    *_spread("white", 0.04, 0.03, 0.015),
    *_spread("gray", 0.04, 0.03, 0.015),
    *_spread("deep"),
    *_spread("pallidum"),
    *_spread("csf", 0.03, 0.1, 0.0),
    *_spread("fat"),
    *_spread("muscle_tissue"),
    *_spread("marrow_tissue", 0.1, 0.1, 0.2),
    *_spread("edema_tissue", 0.08, 0.12),
    *_spread("tumour_tissue", 0.12, 0.15),
    *_spread("necrosis_tissue", 0.12, 0.2),
)
DERIVED = (
    "tr", "te", "ti", "sigma", "enhancing", "necrosis", "tumour_x", "tumour_y", "ventricle_size",
    "brain_area", "gray_matter_area", "white_matter_area", "ventricles_area", "tumour_area", "edema_area",
    "ventricle_brain_ratio",
)  # fmt: skip
NAMES = names(TABLE)


def factors_from(normal, uniform):
    """Factors of one example, {name: float64}, from raw draws.

    normal, uniform: [len(TABLE)] standard normal and uniform numbers; a factor uses the one of its kind.
    """
    f = dict(zip(NAMES, values(TABLE, normal, uniform), strict=True))
    return _condition(f)


def _condition(f):
    """Dependencies between factors: contrast agent is given for T1 alone, ventricles widen as the brain shrinks."""
    f["contrast"] = np.floor(np.minimum(f["contrast"], 2.5))
    f["tumour_side"] = 2 * f["tumour_side"] - 1
    f["necrosis"] = f["tumour"] * np.where(f["necrosis_draw"] > 0.15, f["necrosis_draw"], 0.0)
    f["enhancing"] = f["tumour"] * f["agent_draw"] * (f["contrast"] == 0)
    f["ventricle_size"] = np.exp(f["ventricle_draw"] + 0.55 * (f["atrophy"] - 0.4))
    return f
