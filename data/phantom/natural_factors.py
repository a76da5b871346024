"""What a natural scene is drawn from: its kinds, every factor and its distribution.

Lengths are in half image sides: the image spans u and v from -1 to 1, u to the right and v down. Brightness is the
logarithm of the light that falls on the sensor, in nepers; 0 is mid-gray. Ranges were chosen to resemble the
statistics of CIFAR-10 and, where a source is named, to follow it.
"""

import numpy as np

from data.phantom.factors import Factor, names, values

CLASSES = ("blobs", "polygons", "strokes", "landscape")
OUT_OF_VIEW = 1.6  # the horizon of scenes without one: below the image


TABLE = (
    # The subject: one object in front of everything.
    Factor("subject_x", "normal", 0.0, 0.16, "centre, across"),
    Factor("subject_y", "normal", 0.06, 0.13, "centre, down"),
    Factor("subject_radius", "uniform", 0.26, 0.52, "of its body; the parts that stick out add to it"),
    Factor("subject_angle", "uniform", -3.14159, 3.14159, "of its body [rad]"),
    # The leaves around and behind it.
    Factor("smallest", "uniform", -3.1, -1.7, "logarithm of the smallest radius; sizes are scale-free above it"),
    Factor("largest", "uniform", 0.45, 1.1, "largest radius"),
    Factor("layers", "uniform", 0.8, 2.6, "area of all leaves over that of the image"),
    Factor("direction", "uniform", -1.570796, 1.570796, "common orientation of leaves [rad]"),
    Factor("disorder", "uniform", 0.03, 0.5, "deviation of each leaf's orientation from it [rad]"),
    Factor("horizon", "uniform", -0.45, 0.25, "its height, landscapes only; 1.6, below the image, elsewhere"),
    # Colour: achromatic contrast dominates, then red-blue, then green-magenta (Ruderman et al. 1998).
    Factor("brightness", "normal", -0.15, 0.5, "mean of the leaves"),
    Factor("contrast", "uniform", 0.5, 1.8, "deviation between leaves"),
    Factor("warmth", "normal", 0.15, 0.42, "red against blue, of all"),
    Factor("tint", "normal", -0.06, 0.21, "magenta against green, of all"),
    Factor("saturation", "uniform", 0.1, 1.4, "scale of the deviations of colour between leaves"),
    # Surfaces and light.
    Factor("texture", "uniform", 0.05, 0.55, "typical amplitude of surface texture"),
    Factor("relief", "uniform", 0.0, 0.6, "shading across each leaf, toward the light"),
    Factor("light_angle", "normal", -1.570796, 0.8, "where the light comes from [rad]; -pi/2 is from above"),
    Factor("light_fall", "uniform", 0.0, 0.5, "its fall from the centre to the border"),
    Factor("shadow", "uniform", 0.0, 0.9, "depth of the shadow a leaf throws on what is behind it"),
    # The camera.
    Factor("defocus", "uniform", -0.03, 0.04, "blur of all but the subject; below 0: none"),
    Factor("blur", "uniform", 0.0, 0.014, "blur of everything, beyond the pixel's own"),
    Factor("vignette", "uniform", 0.0, 0.35, "fall of brightness at the border's middle"),
    Factor("noise", "uniform", 0.0, 0.012, "deviation of the sensor noise, of the full range"),
)
NAMES = names(TABLE)


def factors_from(normal, uniform):
    """Factors of a batch from raw draws.

    normal: [n, len(TABLE)] standard normal numbers. uniform: [n, len(TABLE) + 1] in [0, 1); a factor uses the one
    of its kind, the last uniform number is the scene's. Returns ({name: float64 [n, 1]}, scene int [n]: an index
    into CLASSES).
    """
    scene = np.minimum((uniform[:, -1] * len(CLASSES)).astype(int), len(CLASSES) - 1)
    drawn = values(TABLE, normal, uniform[:, :-1], clip=2.5)
    f = {name: drawn[:, i, None] for i, name in enumerate(NAMES)}
    flat = scene[:, None] != CLASSES.index("landscape")
    f["horizon"] = np.where(flat, OUT_OF_VIEW, f["horizon"])
    f["defocus"] = np.maximum(f["defocus"], 0)
    f["smallest"] = np.exp(f["smallest"])
    return f, scene
