"""Every factor of the tissue phantom, with its distribution, and how some depend on others.

Lengths are in micrometres (um), densities in nuclei per 1,000 um^2, stain in optical density (base 10).
Coordinates: the centre of the image is the origin, x to the right, y down. Ranges were set by hand, to sizes that
are common in sections of 3-5 um under 20x to 40x; none was fitted to a data set.
"""


from data.phantom.factors import Factor, names, values

CLASSES = ("gland", "lesion", "inflammation")
TURN = 6.2831853
DENSE_STROMA, DENSE_INFILTRATE, SCATTERED = 2.4, 14.0, 0.3  # most fibroblasts and lymphocytes, 1/1,000 um^2


TABLE = (
    # Findings (labels), drawn independently.
    Factor("gland", "bernoulli", 0.5, 0, "1 if there are glands"),
    Factor("lesion", "bernoulli", 0.4, 0, "1 if there is tumour"),
    Factor("inflammation", "bernoulli", 0.3, 0, "1 if there is an infiltrate of lymphocytes"),
    Factor("field", "uniform", 80, 128, "width of the image [um]; over its pixels it is um per pixel"),
    # Glands.
    Factor("gland_radius", "uniform", 20, 32, "outer radius of the first gland [um]"),
    Factor("gland_height", "uniform", 10, 15, "height of the epithelium [um]; cuboidal to columnar"),
    Factor("gland_oval", "uniform", 0.0, 0.2, "relative amplitude of the outline's second harmonic"),
    Factor("gland_fold", "uniform", 0.0, 0.07, "relative amplitude of the third and fifth"),
    Factor("gland_x", "normal", 0.0, 0.10, "centre of the first gland, share of the field; tumour pushes it aside"),
    Factor("gland_y", "normal", 0.0, 0.10, "the same, down"),
    Factor("secretion", "uniform", 0.0, 0.2, "eosin in the lumen, relative to collagen"),
    Factor("mucin", "uniform", 0.0, 0.8, "share of the cells' apical part that does not stain"),
    Factor("epithelial_radius", "normal", 3.3, 0.25, "nuclei of glands, mean [um]"),
    Factor("epithelial_spacing", "uniform", 1.15, 1.6, "between nuclei along the ring, in their widths"),
    # Tumour.
    Factor("lesion_angle", "uniform", 0, TURN, "direction in which it lies [rad]"),
    Factor("lesion_depth", "uniform", 0.0, 0.60, "its front beyond the image's centre, share of the field"),
    Factor("lesion_curve", "uniform", 0.35, 1.5, "distance of its centre, share of the field; small is round"),
    Factor("lesion_wobble", "uniform", 0.5, 3.0, "amplitude of its outline [um]"),
    Factor("retraction", "uniform", -1.5, 2.5, "cleft around it [um]; below 0 none"),
    Factor("tumour_radius", "uniform", 4.7, 6.6, "nuclei, mean [um]; 1.4 to 2 times those of glands"),
    Factor("tumour_variation", "uniform", 0.14, 0.30, "their pleomorphism: relative deviation of the radius"),
    Factor("tumour_spacing", "uniform", 1.1, 1.45, "between nuclei, in mean diameters; 1: they touch"),
    Factor("hyperchromasia", "uniform", 1.1, 1.45, "haematoxylin relative to a normal nucleus"),
    Factor("clumping", "uniform", 0.12, 0.4, "relative coarseness of tumour chromatin"),
    Factor("nucleolus", "uniform", 0.0, 0.8, "haematoxylin of the nucleoli, relative to the nucleus"),
    # Stroma.
    Factor("fibre_angle", "uniform", 0, TURN, "direction of the collagen [rad]"),
    Factor("fibre_wave", "uniform", 0.8, 5.0, "amplitude of its waves [um]"),
    Factor("fibre_length", "uniform", 35, 90, "their wavelength [um]"),
    Factor("fibre_contrast", "uniform", 0.15, 0.40, "relative deviation of its density"),
    Factor("looseness", "uniform", 0.0, 1.0, "clefts between bundles: none to many"),
    Factor("stroma_density", "uniform", 0.7, DENSE_STROMA, "fibroblasts [1/1,000 um^2]"),
    Factor("spindle_length", "normal", 6.5, 0.9, "half-length of their nuclei [um]"),
    Factor("spindle_width", "normal", 1.6, 0.2, "half-width [um]"),
    # Lymphocytes.
    Factor("lymphocyte_radius", "normal", 2.9, 0.15, "nucleus [um]; about that of a red cell"),
    Factor("scattered", "uniform", 0.0, SCATTERED, "lymphocytes everywhere in the stroma [1/1,000 um^2]"),
    Factor("infiltrate_density", "uniform", 7.0, DENSE_INFILTRATE, "in the middle of an infiltrate [1/1,000 um^2]"),
    Factor("infiltrate_radius", "uniform", 0.22, 0.5, "its extent, share of the field"),
    Factor("infiltrate_x", "uniform", -0.3, 0.3, "its centre, share of the field"),
    Factor("infiltrate_y", "uniform", -0.3, 0.3, "the same, down"),
    # The cut.
    Factor("edge", "bernoulli", 0.15, 0, "1 if the tissue ends within the image"),
    Factor("edge_angle", "uniform", 0, TURN, "direction of the empty side [rad]; tumour: either of two"),
    Factor("edge_depth", "uniform", 0.25, 0.45, "distance of the edge from the centre, share of the field"),
    # The stain.
    Factor("haematoxylin", "normal", 0.68, 0.09, "optical density of a normal nucleus"),
    Factor("eosin", "normal", 0.28, 0.05, "optical density of collagen"),
    Factor("haematoxylin_hue", "uniform", 0.0, 1.0, "stain vector: 0 Ruifrok's, 1 Macenko's"),
    Factor("eosin_hue", "uniform", 0.45, 1.0, "the same; Ruifrok's is nearer magenta"),
    Factor("haematoxylin_tint", "normal", 0.0, 0.03, "red of the vector more, blue less"),
    Factor("eosin_tint", "normal", 0.0, 0.03, "the same"),
    Factor("basophilia", "uniform", 0.06, 0.16, "haematoxylin of cytoplasm, relative to a nucleus"),
    # The scanner.
    Factor("white", "normal", 0.94, 0.015, "gray level of empty glass"),
    Factor("warmth", "normal", 0.0, 0.008, "red of empty glass more, blue less"),
    Factor("unsharp", "uniform", 0.3, 0.8, "deviation of the point spread [um]; 20x, NA 0.75: 0.2 in focus"),
    Factor("noise", "uniform", 0.005, 0.02, "deviation at white; falls with the root of the light"),
)  # fmt: skip
DERIVED = ("nuclei", "nuclear_density", "nuclear_radius", "pleomorphism", "nuclear_fraction")
NAMES = names(TABLE)


def factors_from(normal, uniform):
    """Factors of a batch from raw draws.

    normal, uniform: [n, len(TABLE)] standard normal and uniform numbers; a factor uses the one of its kind.
    Returns {name: float64 [n, 1, 1]}, shaped to broadcast over pixels; DERIVED are added by tissue_nuclei.
    """
    drawn = values(TABLE, normal, uniform)
    return {name: drawn[:, i, None, None] for i, name in enumerate(NAMES)}
