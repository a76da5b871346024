"""How near the procedural natural images are to photographs in the statistics that all photographs share.

    python -m analysis.natural_check --real FILE.npz --out DIR [--n 2000] [--size 64] [--seed 0]

FILE.npz holds photographs, uint8 [n, s, s, 3] in `train_images` (MedMNIST's layout). Both are measured at s pixels and
the drawn ones at --size too. Writes DIR/natural_check.json, and DIR/natural.png with a row of each class.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from analysis.phantom_check import LUMINANCE, linear_scores, radial_spectrum, spectrum_slope
from analysis.seg_metrics import bootstrap
from data.phantom import natural


def kurtosis(gray):
    """Kurtosis of the differences of horizontal neighbours, one an image; gray: [n, h, w]. Gaussian noise has 3."""
    step = np.diff(gray, axis=2).reshape(len(gray), -1)
    step = step - step.mean(1, keepdims=True)
    return (step**4).mean(1) / (step**2).mean(1) ** 2


def statistics(images):
    """Of images float32 [n, s, s, 3] in [0, 1]: [mean, low, high] of each measure, and the colours' principal axes."""
    gray = images @ LUMINANCE
    variance, axes = np.linalg.eigh(np.cov(images.reshape(-1, 3).T))
    slopes = np.array([spectrum_slope(radial_spectrum(one[None])) for one in gray])
    return {
        "n": len(images),
        "size": images.shape[1],
        "spectrum_slope": bootstrap(slopes),
        "derivative_kurtosis": bootstrap(kurtosis(gray)),
        "luminance_mean": bootstrap(gray.mean((1, 2))),
        "luminance_contrast": bootstrap(gray.std((1, 2))),
        "colour_variance": (variance[::-1] / variance.sum()).tolist(),
        "colour_axes": axes.T[::-1].tolist(),
    }


def class_accuracy(drawn):
    """Share of held-out images whose class ridge regression on gradient histograms names; half of them train it."""
    gray, label = drawn["image"] @ LUMINANCE, drawn["label"]
    half = len(gray) // 2
    scores = [linear_scores(gray[:half], column[:half], gray[half:]) for column in label.T]
    return bootstrap((np.argmax(scores, 0) == label[half:].argmax(1)).astype(float))


def sheet(drawn, path, columns=10):
    """A row of images of each class."""
    kinds = drawn["label"].argmax(1)
    columns = min(columns, *np.bincount(kinds, minlength=len(natural.CLASSES)))
    rows = [drawn["image"][np.flatnonzero(kinds == c)[:columns]] for c in range(len(natural.CLASSES))]
    pixels = np.concatenate([np.concatenate(list(row), 1) for row in rows])
    Image.fromarray(np.uint8(np.rint(255 * pixels))).save(path, optimize=True)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", required=True, help=".npz of photographs, MedMNIST's layout")
    parser.add_argument("--out", required=True, help="folder for the picture and the JSON")
    parser.add_argument("--n", type=int, default=2000, help="images of each kind at most")
    parser.add_argument("--size", type=int, default=64, help="size of the drawn images, pixels")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    real = np.load(args.real)["train_images"][: args.n].astype(np.float32) / 255
    drawn = natural.generate(args.seed, np.arange(args.n), args.size)
    small = natural.generate(args.seed, np.arange(args.n), real.shape[1])
    result = {
        "real": statistics(real),
        "drawn_at_the_same_size": statistics(small["image"]),
        "drawn": statistics(drawn["image"]),
        "class_accuracy": class_accuracy(drawn),
    }
    sheet(drawn, out / "natural.png")
    (out / "natural_check.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
