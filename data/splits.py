"""Which split an image belongs to, by a hash that no other image can change."""

import hashlib

NAMES = ("train", "val", "test")


def unit(text: str) -> float:
    """A number in [0, 1) that depends on the text alone (first 53 bits of its SHA-256)."""
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53


def assign(group: str, fractions: tuple[float, ...]) -> str:
    """The split of a patient (or of an image, where no patient is named).

    Args:
        group: patient id, or the image's key.
        fractions: train, val, test; sum 1.

    Images of one patient are never split, and adding images moves none: the fractions are of the
    space of hashes, so the sizes come out near them and not exactly.
    """
    u = unit(group)
    if u < fractions[0]:
        return "train"
    return "val" if u < fractions[0] + fractions[1] or not fractions[2] else "test"


def carve(group: str, fractions: tuple[float, ...]) -> str:
    """Train or val, for a published list that says only what is not the test set."""
    return assign(group, (fractions[0] / (fractions[0] + fractions[1]), 1.0, 0.0))


def lacking(there: set[str], fractions: tuple[float, ...]) -> tuple[float, ...]:
    """How to share out a published train part: among train and those of val and test that have no part of their own."""
    wanted = [0.0 if name in there - {"train"} else f for name, f in zip(NAMES, fractions, strict=True)]
    return tuple(fraction / sum(wanted) for fraction in wanted)


def patient_number(patient: str) -> int:
    """A 63-bit number in place of the patient's id, so that the id itself is stored nowhere."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") >> 1
