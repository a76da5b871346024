"""How metrics are written in tables and figures, in the order in which they stand."""

TITLES = {
    "kid": "KID",
    "fd": "FD",
    "fd_infinity": "FD∞",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "vendi": "Vendi score",
    "inception_score": "Inception score",
    "ms_ssim": "MS-SSIM",
    "spectrum": "Spectrum (dB)",
}
BITS = "Bits/dim"
SPEED = "Images/s"
ARROWS = {"lower": "↓", "higher": "↑", "closer": "→ floor"}


def title(metric: str) -> str:
    """A metric's name in words; its own name where it has no other."""
    return TITLES.get(metric, metric)


def ordered(names) -> list[str]:
    """Metrics in the order of TITLES, others after them."""
    names = set(names)
    return [name for name in TITLES if name in names] + sorted(names - set(TITLES))
