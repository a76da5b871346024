"""The metrics by name: which way is better, and which depend on the number of images."""

# Which way is better. "closer" is to the floor's value: real images have a diversity of their own.
BETTER = {
    "kid": "lower", "fd": "lower", "fd_infinity": "lower", "precision": "higher", "recall": "higher",
    "density": "closer", "coverage": "higher", "vendi": "closer", "inception_score": "higher", "ms_ssim": "closer",
    "spectrum": "lower",
}  # fmt: skip
# Their expected value changes with the number of images: compare at one n only.
OF_SIZE = ("fd", "precision", "recall", "density", "coverage", "vendi", "inception_score")
