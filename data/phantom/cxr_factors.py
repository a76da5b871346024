"""What a chest radiograph phantom is drawn from: every factor, its distribution, where its range comes from.

Lengths are centimetres in the detector plane, y runs down from the lung apex, x to the viewer's right (the
patient's left). Sides are +1 for the patient's left and -1 for the right. Ranges of anatomy are those of
radiology textbooks for adults, quoted beside the factor; ranges of the examination (field of view, exposure,
gray levels) and shape parameters without a unit were chosen to resemble the statistics of ChestX-ray14.
"""

import numpy as np

from data.phantom.factors import Factor, names, values

CLASSES = ("pneumonia", "pneumothorax", "effusion", "cardiomegaly")
PREVALENCE = 0.2  # of each finding, independently: 0.8^4 = 41 % are normal
NORMAL_CTR = (0.36, 0.455)  # PA adults: mean 0.42-0.45, above 0.50 is cardiomegaly (Danzer 1919)
ENLARGED_CTR = (0.55, 0.66)  # the gap keeps the label readable from a mask of 64 pixels


TABLE = (
    # Findings (labels), drawn independently.
    *(Factor(name, "bernoulli", PREVALENCE, 0, "1 if the finding is present") for name in CLASSES),
    # The patient.
    Factor("female", "bernoulli", 0.45, 0, "sex: 1 female (NIH ChestX-ray14: 44 %)"),
    Factor("supine", "bernoulli", 0.40, 0, "1: bedside AP film, 0: erect PA (ChestX-ray14: 40 % AP)"),
    Factor("thorax_halfwidth", "normal", 12.8, 0.9, "inner half-width [cm]; 26-31 cm across in adults"),
    Factor("cage_shape", "uniform", 0.2, 0.9, "dome of the rib cage: 1 elliptic, below boxier"),
    Factor("lung_height", "normal", 20.8, 2.3, "apex to right dome [cm]; 9-10 posterior ribs when inspired"),
    Factor("dome_drop", "normal", 1.2, 0.6, "left dome below the right [cm]; normally 1-3 cm"),
    Factor("angle_depth", "normal", 4.6, 1.0, "costophrenic angle below the dome [cm]"),
    Factor("thorax_depth", "normal", 8.6, 0.7, "half AP depth of the pleural cavity [cm]"),
    Factor("recess", "uniform", 0.6, 0.9, "share of the lung depth behind the dome, at its edge"),
    Factor("dome_blur", "uniform", 0.6, 4.0, "depth over which the dome leaves the beam's tangent [cm]"),
    Factor("taper", "uniform", 0.15, 0.5, "share of lung depth lost from apex to dome"),
    Factor("wall", "uniform", 2.0, 7.5, "soft tissue lateral of the rib cage [cm]; thin to obese"),
    Factor("body_depth", "normal", 10.7, 0.9, "half AP depth of the trunk [cm]; 18-28 cm across"),
    Factor("belly", "uniform", 0.0, 0.3, "relative gain of the trunk's depth from apex to dome"),
    Factor("lung_density", "normal", 0.27, 0.04, "aerated lung relative to soft tissue; 0.2-0.35 g/ml"),
    Factor("markings", "uniform", 0.02, 0.09, "relative fluctuation of the lung density by small vessels"),
    Factor("curve", "normal", 0.0, 0.4, "lateral bend of the spine [cm]"),
    Factor("curve_phase", "uniform", 0.0, 6.28, "phase of that bend [rad]"),
    # Heart and mediastinum.
    Factor("ctr_draw", "uniform", 0.0, 1.0, "position within the class's range of cardiothoracic ratios"),
    Factor("heart_round", "normal", 0.30, 0.03, "radius of the left ventricle over the heart's width"),
    Factor("heart_offset", "normal", 0.31, 0.04, "share of the heart right of the midline; about 1/3"),
    Factor("heart_depth", "normal", 5.4, 0.5, "half AP depth of the heart [cm]"),
    Factor("heart_level", "normal", 0.0, 0.5, "vertical shift of the heart [cm]"),
    Factor("knob_radius", "normal", 1.7, 0.35, "aortic knob [cm]; 3-4 cm across"),
    Factor("mediastinum", "normal", 2.7, 0.4, "half-width of the upper mediastinum [cm]; below 8 cm across"),
    Factor("hilum_size", "normal", 1.0, 0.25, "size of the hila relative to the average"),
    Factor("turn", "normal", 0.0, 0.8, "shift of anterior structures by axial rotation [cm]"),
    # Bones.
    Factor("rib_spacing", "normal", 2.6, 0.14, "between posterior ribs at the spine [cm]"),
    Factor("rib_drop", "normal", 4.8, 1.0, "from spine to lateral wall [cm]"),
    Factor("rib_slope", "uniform", 0.05, 0.28, "fall of the posterior ribs per cm outward"),
    Factor("rib_phase", "uniform", 0.0, 1.0, "level of the first rib, in spacings"),
    Factor("rib_halfheight", "normal", 0.64, 0.08, "half craniocaudal height of a rib [cm]"),
    Factor("bone", "normal", 1.0, 0.2, "mineral density relative to the average"),
    Factor("clavicle_level", "normal", 3.0, 1.2, "medial ends below the apex [cm]"),
    Factor("clavicle_slope", "normal", 0.22, 0.12, "rise toward the shoulder"),
    Factor("scapula", "uniform", 0.0, 3.0, "how far the scapulae are rotated off the lungs [cm]"),
    # Soft tissue outside the cage.
    Factor("breast_size", "uniform", 0.0, 1.0, "breast size, women only"),
    Factor("breast_level", "normal", 0.0, 1.5, "vertical shift of the breasts [cm]"),
    Factor("shoulder_level", "normal", 5.6, 1.2, "trapezius at the neck above the apex [cm]"),
    Factor("shoulder_slope", "normal", 0.25, 0.08, "slope of the trapezius line"),
    Factor("arm_spread", "uniform", -1.5, 5.5, "elbow away from the trunk [cm]"),
    Factor("arm_radius", "normal", 5.3, 0.6, "upper arm [cm]"),
    Factor("neck_halfwidth", "normal", 5.6, 0.6, "neck [cm]; 10-13 cm across"),
    Factor("chin", "bernoulli", 0.35, 0, "1 if the head may enter at the top"),
    Factor("gas", "bernoulli", 0.45, 0, "1 if the stomach holds a gas bubble"),
    Factor("gas_size", "uniform", 0.4, 1.9, "size of the bubble relative to the average"),
    Factor("gas_y", "uniform", -0.3, 2.5, "how far the bubble lies below the dome, beyond its size [cm]"),
    Factor("gas_x", "uniform", 3.5, 8.0, "its distance from the midline [cm]"),
    # Findings in detail.
    Factor("pneumonia_side", "bernoulli", 0.45, 0, "+1 left, -1 right (the right is more frequent)"),
    Factor("pneumonia_x", "uniform", 0.30, 0.80, "centre, across the hemithorax"),
    Factor("pneumonia_y", "uniform", 0.30, 0.90, "centre, apex to dome"),
    Factor("pneumonia_radius", "uniform", 2.2, 5.0, "extent [cm]"),
    Factor("pneumonia_strength", "uniform", 0.35, 0.80, "share of air replaced"),
    Factor("pneumothorax_side", "bernoulli", 0.40, 0, "+1 left, -1 right"),
    Factor("pneumothorax_width", "uniform", 1.6, 4.5, "lung edge to wall [cm]; above 2 cm is large (BTS)"),
    Factor("effusion_side", "bernoulli", 0.5, 0, "+1 left, -1 right"),
    Factor("effusion_level", "uniform", 3.5, 10.0, "fluid above the costophrenic angle [cm]"),
    # The examination.
    Factor("view_x", "normal", 0.0, 0.7, "centring error [cm]"),
    Factor("view_top", "normal", 4.9, 1.9, "upper edge above the apex [cm]"),
    Factor("view_margin", "uniform", 1.18, 1.6, "half-width of the field over that of the thorax, plus 1 cm"),
    Factor("view_aspect", "normal", 1.0, 0.07, "height over width of the field"),
    Factor("tilt", "normal", 0.0, 0.035, "in-plane rotation [rad]"),
    Factor("scatter", "uniform", 0.1, 0.5, "strength of single scatter that passes the grid"),
    Factor("heel_x", "normal", 0.0, 0.010, "log intensity per cm across: heel effect, decentred grid"),
    Factor("heel_y", "normal", 0.0, 0.010, "log intensity per cm down"),
    Factor("dose", "uniform", 6.5, 8.3, "log10 photons per cm^2 in air; 7.8 leaves 2.5 uGy behind a lung"),
    Factor("lung_gray", "normal", 0.475, 0.085, "display level of the mean lung"),
    Factor("heart_gray", "normal", 0.74, 0.05, "display level of the mean heart"),
    Factor("top_gray", "normal", 0.93, 0.035, "display level that the densest tissue approaches"),
    Factor("air_gray", "uniform", -0.10, 0.10, "display level of the darkest pixel"),
    Factor("harmonise", "uniform", 0.0, 0.45, "share of the broad contrast that processing removes"),
    Factor("collimated", "bernoulli", 0.22, 0, "1 if a shutter edge is within the image"),
    Factor("shutter_gray", "bernoulli", 0.12, 0, "1 if the shutter is shown white, 0 black"),
    Factor("shutter_tilt", "normal", 0.0, 0.02, "shutter against the image [rad]"),
    Factor("leads", "bernoulli", 0.25, 0, "1 if ECG leads lie on the chest"),
    Factor("marker", "bernoulli", 0.85, 0, "1 if a side marker is exposed"),
    Factor("marker_left", "bernoulli", 0.8, 0, "1: an L at the patient's left, 0: an R at the right"),
    Factor("annotation", "bernoulli", 0.5, 0, "1 if a line of text is exposed under the marker"),
    Factor("marker_x", "uniform", 0.70, 0.94, "its place across the half image"),
    Factor("marker_y", "uniform", 0.03, 0.25, "its place down the image"),
)
DERIVED = (
    "cardiothoracic_ratio",
    "lung_area_left",
    "lung_area_right",
    "pneumonia_opacity",
    "gas_present",
    "effusion_depth",
    "pneumothorax_gap",
)
NAMES = names(TABLE)


def factors_from(normal, uniform):
    """Factors of a batch from raw draws.

    normal, uniform: [n, len(TABLE)] standard normal and uniform numbers; a factor uses the one of its kind.
    Returns {name: float64 [n, 1, 1]}, shaped to broadcast over pixels.
    """
    drawn = values(TABLE, normal, uniform)
    f = {name: drawn[:, i, None, None] for i, name in enumerate(NAMES)}
    return _condition(f)


def _condition(f):
    """Dependencies: sex, position and label change what is likely. Adds the derived factors."""
    f["thorax_halfwidth"] = f["thorax_halfwidth"] + 0.7 - 1.4 * f["female"]
    f["lung_height"] = f["lung_height"] - 2.6 * f["supine"] - 0.8 * f["female"]
    f["clavicle_slope"] = f["clavicle_slope"] + 0.10 * f["supine"]
    f["breast_size"] = f["breast_size"] * f["female"]
    f["heart_gray"] = np.clip(f["heart_gray"], f["lung_gray"] + 0.15, f["top_gray"] - 0.08)
    low = np.where(f["cardiomegaly"] > 0, ENLARGED_CTR[0], NORMAL_CTR[0])
    high = np.where(f["cardiomegaly"] > 0, ENLARGED_CTR[1], NORMAL_CTR[1])
    f["cardiothoracic_ratio"] = low + (high - low) * f["ctr_draw"]
    f["pneumonia_opacity"] = f["pneumonia"] * f["pneumonia_strength"]
    f["effusion_depth"] = f["effusion"] * f["effusion_level"]
    f["pneumothorax_gap"] = f["pneumothorax"] * f["pneumothorax_width"]
    f["gas_present"] = f["gas"] * f["gas_size"]
    for name in ("pneumonia_side", "pneumothorax_side", "effusion_side"):
        f[name] = 2 * f[name] - 1
    return f
