"""How far a phantom is from real images of its kind: pictures, statistics, a classifier's AUROC.

    python -m analysis.phantom_check --real DIR --out DIR [--phantom cxr] [--lacking LABEL] [--coloured] [--n 800]
        [--size 64] [--seed 0]

DIR holds PNG or JPEG images (such as ChestX-ray14's). Writes side_by_side_64.png and _128.png (rows of real and phantom
images in turn), statistics.png and phantom_check.json. An AUROC of 0.5 means that the classifier cannot tell phantom
from real, 1.0 that it always can. Half of the images train it, the other half measure it. All but the colours is
measured on the luminance.
"""

import argparse
import importlib
import json
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

from analysis.auroc import auroc
from data import UserError
from data.images import EXTENSIONS
from train.cli import guarded

PHANTOMS = ("cxr", "mri", "us", "tissue")  # modules of data/phantom; `natural` has analysis.natural_check
LUMINANCE = np.float32([0.299, 0.587, 0.114])  # ITU-R BT.601
COLOURED = 0.05  # mean difference of an image's strongest and weakest channel, in [0, 1]: gray ones have 0
QUANTILES = (0.25, 0.5, 0.75, 0.9)
EPOCHS = 30
CELL = 8  # pixels of a gradient histogram's cell, at 64 pixels
RIDGE = 3.0


def load_real(folder, size, limit, coloured=False):
    """Images [n, size, size, 3] in [0, 1], Lanczos-resized, 8 bit; a fixed shuffle of those in the folder.

    Args:
      coloured: those that are in colour only, of a folder that holds both.

    Raises:
      UserError: fewer than 20 such images (or than `limit`).
    """
    paths = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in EXTENSIONS)
    images = []
    for i in np.random.default_rng(0).permutation(len(paths)):
        image = Image.open(paths[i]).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
        pixels = np.asarray(image, np.float32) / 255
        if not coloured or np.ptp(pixels, axis=-1).mean() > COLOURED:
            images.append(pixels)
        if len(images) == limit:
            break
    if len(images) < min(limit, 20):
        kind = "coloured images" if coloured else "images"
        raise UserError(
            f"--real {folder} holds {len(images)} {kind} ({', '.join(EXTENSIONS)}); {min(limit, 20)} are needed"
        )
    return np.stack(images)


def load_phantom(name, seed, n, size, lacking=""):
    """The same of a phantom, quantised to 8 bit like the real ones: the first n, or the first n without a label.

    Raises:
      UserError: a label that this phantom does not have.
    """
    module = importlib.import_module(f"data.phantom.{name}")
    if lacking and lacking not in module.CLASSES:
        raise UserError(f"--lacking {lacking}: the phantom {name} has {', '.join(module.CLASSES)}")
    images, first = [], 0
    while sum(map(len, images)) < n:
        drawn = module.generate(seed, np.arange(first, first + n), size)
        chosen = drawn["label"][:, module.CLASSES.index(lacking)] == 0 if lacking else slice(None)
        images.append(np.round(drawn["image"][chosen] * 255) / 255)
        first += n
    images = np.concatenate(images)[:n].astype(np.float32)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def radial_spectrum(images):
    """Mean power at integer spatial frequencies 1..size/2 (cycles per image), Hann-windowed."""
    size = images.shape[-1]
    window = np.hanning(size + 2)[1:-1]
    centred = (images - images.mean((1, 2), keepdims=True)) * window[:, None] * window
    power = (np.abs(np.fft.fft2(centred)) ** 2).mean(0)
    k = np.fft.fftfreq(size) * size
    radius = np.round(np.hypot(k[:, None], k[None])).astype(int)
    total = np.bincount(radius.ravel(), power.ravel())
    return (total / np.bincount(radius.ravel()))[1 : size // 2 + 1]


def spectrum_slope(power):
    """Exponent of the power law fitted between 3 cycles and 0.9 of Nyquist."""
    k = np.arange(1, len(power) + 1)
    part = (k >= 3) & (k <= 0.9 * len(power))
    return float(np.polyfit(np.log(k[part]), np.log(power[part]), 1)[0])


def histogram_distance(a, b):
    """Wasserstein-1 distance between the pooled gray-level histograms, in gray levels of [0, 1]."""
    edges = np.linspace(0, 1, 257)
    cdf = [np.cumsum(np.histogram(x, edges)[0]) / x.size for x in (a, b)]
    return float(np.abs(cdf[0] - cdf[1]).mean())


def gradient_histograms(images, bins=9):
    """Histograms of oriented gradients of square cells [n, cells * bins], plus the cells' mean and spread."""
    gy, gx = np.gradient(images, axis=(1, 2))
    magnitude, angle = np.hypot(gx, gy), np.mod(np.arctan2(gy, gx), np.pi)
    which = np.minimum((angle / np.pi * bins).astype(int), bins - 1)
    cell = CELL * images.shape[-1] // 64

    def pool(x):
        n, h, w = x.shape
        return x.reshape(n, h // cell, cell, w // cell, cell).mean((2, 4)).reshape(n, -1)

    hog = np.stack([pool(magnitude * (which == b)) for b in range(bins)], -1)
    hog = np.sqrt(hog / (hog.sum(-1, keepdims=True) + 1e-3))
    mean = pool(images)
    spread = np.sqrt(np.maximum(pool(images**2) - mean**2, 0))
    return np.concatenate([hog.reshape(len(images), -1), mean, spread], 1)


def linear_scores(train, target, test):
    """Ridge regression on gradient histograms: scores of the test images."""
    x, y = gradient_histograms(train), gradient_histograms(test)
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, y = (x - mean) / scale, (y - mean) / scale
    gram = x.T @ x / len(x) + RIDGE * np.eye(x.shape[1])
    return y @ np.linalg.solve(gram, x.T @ (2 * target - 1) / len(x))


class Critic(nn.Module):
    """A small convolutional classifier: [b, s, s, 1] -> [b] logits."""

    @nn.compact
    def __call__(self, x):
        for width in (16, 32, 64, 64):
            x = nn.relu(nn.GroupNorm(8)(nn.Conv(width, (3, 3), strides=2)(x)))
        return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]


def network_scores(train, target, test, seed, batch=32):
    """Trains Critic with left-to-right order kept (laterality is part of the question); test logits."""
    critic, key = Critic(), jax.random.key(seed)
    batch = min(batch, len(train))
    params = critic.init(key, train[:1, :, :, None])
    steps = EPOCHS * (len(train) // batch)
    tx = optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=1e-2)

    @jax.jit
    def step(params, state, x, t):
        def loss(p):
            return optax.sigmoid_binary_cross_entropy(critic.apply(p, x[..., None]), t).mean()

        update, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, update), state

    state, rng = tx.init(params), np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = rng.permutation(len(train))
        for i in range(0, len(train) - batch + 1, batch):
            part = order[i : i + batch]
            params, state = step(params, state, jnp.asarray(train[part]), jnp.asarray(target[part]))
    return np.asarray(critic.apply(params, jnp.asarray(test)[..., None]))


def separability(real, phantom, seed=0):
    """AUROC of both classifiers on held-out halves; the target is 1 for a phantom."""
    half_r, half_p = len(real) // 2, len(phantom) // 2
    train = np.concatenate([real[:half_r], phantom[:half_p]]).astype(np.float32)
    test = np.concatenate([real[half_r:], phantom[half_p:]]).astype(np.float32)
    target = np.repeat([0.0, 1.0], [half_r, half_p]).astype(np.float32)
    truth = np.repeat([0, 1], [len(real) - half_r, len(phantom) - half_p])
    sizes = {"n_real": int((truth == 0).sum()), "n_phantom": int((truth == 1).sum())}
    return {
        "gradient_histograms": auroc(linear_scores(train, target, test), truth) | sizes,
        "network": auroc(network_scores(train, target, test, seed), truth) | sizes,
    }


def side_by_side(real, phantom, path, columns=10, pairs=3, zoom=2):
    """Alternating rows of real (first) and phantom images, [n, s, s, 3]."""
    size = real.shape[1] * zoom
    sheet = Image.new("RGB", (columns * (size + 4), 2 * pairs * (size + 4)))
    for row in range(2 * pairs):
        source = (real, phantom)[row % 2]
        for column in range(columns):
            tile = np.round(source[row // 2 * columns + column] * 255).astype(np.uint8)
            tile = Image.fromarray(tile).resize((size, size), Image.Resampling.BICUBIC)
            sheet.paste(tile, (column * (size + 4), row * (size + 4)))
    sheet.save(path)


def draw_statistics(real, phantom, path):
    """Gray-level histograms, radial spectra and mean images."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(15, 3.4), layout="constrained")
    for images, name in ((real, "real"), (phantom, "phantom")):
        axes[0].hist(images.ravel(), 64, range=(0, 1), density=True, histtype="step", label=name)
        axes[1].loglog(np.arange(1, images.shape[-1] // 2 + 1), radial_spectrum(images), label=name)
    axes[0].set(xlabel="gray level", ylabel="density")
    axes[1].set(xlabel="cycles per image", ylabel="power")
    axes[0].legend()
    for axis, images, name in ((axes[2], real, "mean real"), (axes[3], phantom, "mean phantom")):
        axis.imshow(images.mean(0), cmap="gray", vmin=0, vmax=1)
        axis.set(title=name, xticks=[], yticks=[])
    figure.savefig(path, dpi=100)
    plt.close(figure)


def levels(images):
    """Mean, standard deviation and QUANTILES of the gray levels of images [n, s, s]."""
    return {
        "mean": float(images.mean()),
        "std": float(images.std()),
        "quantiles": dict(zip(map(str, QUANTILES), np.quantile(images, QUANTILES).tolist(), strict=True)),
    }


def colours(images):
    """Mean and standard deviation of red, green and blue over all pixels of images [n, s, s, 3]."""
    return {"mean": images.mean((0, 1, 2)).tolist(), "std": images.std((0, 1, 2)).tolist()}


def measure(real, phantom):
    """Everything that is written, of images [n, s, s, 3]."""
    gray = {"real": real @ LUMINANCE, "phantom": phantom @ LUMINANCE}
    halves = np.array_split(gray["real"], 2)
    result = {
        "auroc": separability(gray["real"], gray["phantom"]),
        "histogram_distance": histogram_distance(gray["real"], gray["phantom"]),
        "histogram_distance_of_halves": histogram_distance(*halves),
        "spectrum_slope": {name: spectrum_slope(radial_spectrum(images)) for name, images in gray.items()},
        "levels": {name: levels(images) for name, images in gray.items()},
    }
    if np.ptp(phantom, axis=-1).any():
        result["colours"] = {"real": colours(real), "phantom": colours(phantom)}
    return result


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", required=True, help="folder of real PNG or JPEG images")
    parser.add_argument("--out", required=True, help="folder for the pictures and the JSON")
    parser.add_argument("--phantom", choices=PHANTOMS, default="cxr")
    parser.add_argument("--lacking", default="", help="only phantoms without this label, such as tumour")
    parser.add_argument("--coloured", action="store_true", help="only the real images that are in colour")
    parser.add_argument("--n", type=int, default=800, help="images of each kind at most")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.n < 20:
        raise UserError(f"--n {args.n} images teach a classifier nothing; give 20 or more")
    out = Path(args.out)
    real = load_real(args.real, args.size, args.n, args.coloured)
    phantom = load_phantom(args.phantom, args.seed, len(real), args.size, args.lacking)
    out.mkdir(parents=True, exist_ok=True)
    side_by_side(*(np.resize(images, (30, *images.shape[1:])) for images in (real, phantom)),
                 out / "side_by_side_64.png")  # fmt: skip
    large = load_real(args.real, 128, 18, args.coloured), load_phantom(args.phantom, args.seed, 18, 128, args.lacking)
    side_by_side(*large, out / "side_by_side_128.png", columns=6)
    draw_statistics(real @ LUMINANCE, phantom @ LUMINANCE, out / "statistics.png")
    result = {
        "phantom": args.phantom, "lacking": args.lacking, "coloured": args.coloured, "n": len(real),
        "size": args.size, "seed": args.seed, **measure(real, phantom),
    }  # fmt: skip
    (out / "phantom_check.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    guarded(main)
