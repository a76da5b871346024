"""What a breast ultrasound phantom is drawn from: every factor, its distribution, where its range comes from.

Lengths are centimetres; x runs to the right from the middle of the probe, z down from its face. Echo levels are
dB of backscattered power relative to subcutaneous fat, the reference tissue of BI-RADS. Ranges of anatomy are those
of radiology textbooks for adults; ranges without a source were chosen by eye.
"""


from data.phantom.factors import Factor, names, values

CLASSES = ("normal", "cyst", "benign", "malignant")  # equally likely


TABLE = (
    Factor("class_draw", "uniform", 0.0, 1.0, "its quarter is the class, in the order of CLASSES"),
    # The breast.
    Factor("skin", "normal", 0.17, 0.03, "thickness of the skin [cm]; normally 0.07-0.3 cm"),
    Factor("fat", "uniform", 0.25, 1.1, "thickness of the subcutaneous fat [cm]"),
    Factor("gland", "uniform", 0.9, 1.9, "thickness of the fibroglandular zone [cm]"),
    Factor("retrofat", "uniform", 0.05, 0.35, "thickness of the fat behind it [cm]"),
    Factor("muscle", "normal", 0.85, 0.15, "thickness of the pectoral muscle [cm]"),
    Factor("slope", "normal", 0.0, 0.07, "tilt of the deep layers against the probe"),
    Factor("undulation", "uniform", 0.06, 0.2, "deviation of the zone's anterior border from a line [cm]"),
    Factor("density", "uniform", 0.0, 1.0, "0: the zone is mostly fat, 1: dense"),
    Factor("patch", "uniform", 0.32, 0.7, "extent of the patches of gland and of fat between them [cm]"),
    Factor("ducts", "uniform", 1.5, 4.5, "contrast of the dark stripes along ducts [dB, standard deviation]"),
    Factor("lobule", "uniform", 0.45, 0.9, "width of a fat lobule [cm]"),
    Factor("septa", "uniform", 4.0, 12.0, "Cooper's ligaments above fat [dB]"),
    Factor("gland_level", "normal", 12.0, 1.5, "gland above fat [dB]"),
    Factor("muscle_level", "normal", -2.0, 1.5, "muscle above fat [dB]"),
    Factor("skin_level", "normal", 12.0, 1.5, "skin above fat [dB]"),
    Factor("lossy", "normal", 1.0, 0.12, "attenuation of all tissue over the textbook's values"),
    Factor("ribs", "bernoulli", 0.35, 0.0, "1 if a rib crosses the plane, below the muscle"),
    Factor("rib_x", "uniform", -0.9, 0.9, "its place over the half-width of the image"),
    # The lesion; position in shares of the range that keeps it within the zone.
    Factor("lesion_x", "uniform", -0.45, 0.45, "its centre over the width of the image"),
    Factor("lesion_z", "uniform", 0.25, 0.75, "its centre, from the front of the zone to its back"),
    Factor("width_draw", "uniform", 0.0, 1.0, "position within the class's range of widths"),
    Factor("aspect_draw", "uniform", 0.0, 1.0, "position within the class's range of height over width"),
    Factor("level_draw", "uniform", 0.0, 1.0, "position within the class's range of echo levels"),
    Factor("loss_draw", "uniform", 0.0, 1.0, "position within the class's range of attenuation"),
    Factor("lesion_tilt", "normal", 0.0, 0.12, "its axis against the probe [rad]"),
    Factor("lobulation", "uniform", 0.0, 0.07, "relative deviation of a benign outline from an ellipse"),
    Factor("irregularity", "uniform", 0.06, 0.13, "and of a malignant one"),
    Factor("spiculation", "uniform", 0.05, 0.45, "length of a malignant lesion's spicules over its radius"),
    Factor("halo", "uniform", 0.0, 6.0, "echogenic rim of a malignant lesion [dB]"),
    Factor("mottle", "uniform", 0.5, 2.0, "unevenness of a solid lesion [dB, standard deviation]"),
    Factor("edge_shadow", "uniform", 1.0, 5.0, "loss behind the sides of a smooth lesion, by refraction [dB]"),
    Factor("calcified", "bernoulli", 0.35, 0.0, "1 if a malignant lesion holds calcifications"),
    # The scanner.
    Factor("depth", "uniform", 2.8, 4.2, "of the image, and its width [cm]"),
    Factor("frequency", "uniform", 6.0, 10.0, "centre of the pulse's spectrum [MHz]"),
    Factor("bandwidth", "uniform", 0.35, 0.6, "-6 dB width of that spectrum over its centre"),
    Factor("focus", "uniform", 0.35, 0.7, "depth of the transmit focus over the image's"),
    Factor("f_number", "uniform", 1.8, 3.0, "of transmission, and the least of reception"),
    Factor("aperture", "uniform", 0.9, 1.6, "widest receiving aperture [cm]"),
    Factor("compound", "bernoulli", 0.6, 0.0, "1 if two looks are averaged: less speckle, wider grain"),
    Factor("dynamic_range", "uniform", 48.0, 62.0, "from black to white [dB]"),
    Factor("fat_gray", "uniform", 0.30, 0.42, "gray level of fat's mean power: the gain"),
    Factor("tgc_error", "normal", 0.0, 0.8, "gain that grows with depth too fast [dB/cm]"),
    Factor("noise", "uniform", -75.0, -55.0, "electronic noise below fat's echo at the surface [dB]"),
    Factor("clutter", "uniform", -34.0, -22.0, "haze of side lobes and reverberation over its surroundings [dB]"),
    Factor("contact", "uniform", -14.0, 10.0, "loss where the probe leaves the skin; below 0 it does not [dB]"),
    Factor("contact_x", "uniform", -1.0, 1.0, "which side, and how much of it"),
)
DERIVED = {  # of the lesion; all 0 in a normal image
    "lesion_width": "of the ellipse that its outline deviates from [cm]",
    "lesion_height": "of that ellipse [cm]",
    "lesion_level": "its mean echo above fat [dB]",
    "lesion_loss": "its attenuation [dB/cm/MHz]",
    "lesion_center_x": "to the right of the image's middle [cm]",
    "lesion_center_z": "below the probe [cm]",
    "lesion_area": "with its spicules [cm^2]",
    "lesion_contrast": "mean backscattered power over that of the tissue within 0.3 cm [dB]",
    "posterior_gain": "what its attenuation changes 0.15 to 0.45 cm behind it [dB]; above 0 is enhancement",
}
NAMES = names(TABLE)
# From low to high. width: full, cm. aspect: height over width; fibroadenomas lie parallel to the skin, carcinomas are
# often taller than wide (Stavros et al., Radiology 196:123, 1995). level: dB above fat. loss: dB/cm/MHz; that of
# carcinomas exceeds that of fibroadenomas (Nam et al., Ultrason. Imaging 35:146, 2013), here by enough for a shadow.
LESIONS = {
    "normal": {"width": (0, 0), "aspect": (0, 0), "level": (0, 0), "loss": (0, 0)},
    "cyst": {"width": (0.5, 1.7), "aspect": (0.6, 0.95), "level": (-60, -32), "loss": (0.01, 0.05)},
    "benign": {"width": (0.7, 1.9), "aspect": (0.42, 0.72), "level": (-7, -1), "loss": (0.55, 0.85)},
    "malignant": {"width": (0.6, 1.5), "aspect": (0.8, 1.4), "level": (-10, -4), "loss": (0.95, 1.9)},
}
BEHIND = 0.9  # cm, least depth of the image behind a lesion


def factors_from(normal, uniform):
    """Factors of one phantom from raw draws.

    normal, uniform: [len(TABLE)] standard normal and uniform numbers; a factor uses the one of its kind.
    Returns {name: float}.
    """
    return _condition(dict(zip(NAMES, values(TABLE, normal, uniform).tolist(), strict=True)))


def _condition(f):
    """Dependencies: the class decides on the lesion, the zone holds it, and the operator sets a depth that shows it.

    Adds "class", the index into CLASSES, and those of DERIVED that need no image.
    """
    f["class"] = min(int(f["class_draw"] * len(CLASSES)), len(CLASSES) - 1)
    ranges = LESIONS[CLASSES[f["class"]]]
    width, aspect, level, loss = (low + (high - low) * f[f"{name}_draw"] for name, (low, high) in ranges.items())
    f["lesion_width"], f["lesion_height"] = width, aspect * width
    f["lesion_level"], f["lesion_loss"] = level, loss * f["lossy"]
    f["gland"] = max(f["gland"], f["lesion_height"] + 0.25)
    room = f["gland"] - f["lesion_height"]
    center = f["skin"] + f["fat"] + f["lesion_height"] / 2 + room * f["lesion_z"]
    f["depth"] = max(f["depth"], center + f["lesion_height"] / 2 + BEHIND)
    there = f["class"] > 0
    f["lesion_center_x"] = there * f["lesion_x"] * (f["depth"] - width - 0.4)
    f["lesion_center_z"] = there * center
    return f
