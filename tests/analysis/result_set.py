"""Result files as analysis.evaluate writes them, with numbers of a usual size, for tests of tables and figures."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SPACE = "efficientnet_lite0"
FINDINGS = ("pneumonia", "pneumothorax", "effusion", "cardiomegaly")
# KID, images a second, bits/dim, parameters
RUNS = {
    "gan": (0.052, 410.0, None, 4_200_000),
    "vae": (0.212, 655.0, 3.61, 6_100_000),
    "ddpm": (0.0141, 5.6, 2.92, 10_653_988),
    "flow": (0.0183, 11.4, 3.05, 10_653_988),
}
BETTER = {"precision": "higher", "recall": "higher", "coverage": "higher", "density": "closer", "vendi": "closer"}


def estimate(value: float, half: float | None = None, n=(1000, 1000), **more) -> dict:
    ends = {"low": None, "high": None} if half is None else {"low": value - half, "high": value + half}
    return {"value": value, **ends, "n": list(n), **more}


def metrics(kid: float, n=(1000, 1000)) -> dict:
    """All metrics of a generator whose KID is about this."""
    share = float(np.exp(-4 * max(kid, 0.0)))
    rows = {
        "kid": row(estimate(kid, 0.03 * abs(kid) + 4e-4, n), estimate(-1e-4, 5e-4, n), estimate(0.61, 0.009, n)),
        "fd": row(estimate(310 * kid + 9, n=n, singular=True), estimate(8.7, n=n, singular=True),
                  estimate(188.0, n=n, singular=True)),
        "fd_infinity": row(estimate(310 * kid + 1, 0.9, n), estimate(0.4, 0.8, n), estimate(180.0, 3.0, n)),
    }  # fmt: skip
    for name, floor, ceiling in (("precision", 0.81, 0.02), ("recall", 0.80, 0.0), ("density", 1.0, 0.01),
                                 ("coverage", 0.968, 0.01), ("vendi", 14.2, 3.1)):  # fmt: skip
        rows[name] = row(estimate(floor * share, n=n), estimate(floor, n=n), estimate(ceiling, n=n), BETTER[name])
    return rows


def row(generated: dict, floor: dict, ceiling: dict, better: str = "lower") -> dict:
    return {"generated": generated, "floor": floor, "ceiling": ceiling, "better": better}


def result(family: str, /, **changes) -> dict:
    """The content of a run's result file; `changes` replace or add keys."""
    kid, speed, bits, parameters = RUNS[family]
    content = {
        "run": f"{family}_cxr", "family": family, "dataset": "phantom_cxr", "data": "f" * 12,
        "image_shape": [64, 64, 1], "step": 1500, "images_trained": 24000, "parameters": parameters,
        "train_seconds": 2000.0,
        "sampling": {"seed": 0, "n": 1000, "images_per_second": speed, **options(family)},
        "real": {"split": "test", "n": 1000},
        "features": {SPACE: {"name": SPACE, "weights_sha256": "ab12cd34ef", "resize": "bicubic"}},
        "metrics": {SPACE: metrics(kid), "images": {
            "ms_ssim": row(estimate(0.41 + kid / 2, 0.008), estimate(0.405, 0.008), estimate(0.33, 0.006), "closer"),
            "spectrum": row(estimate(0.5 + 20 * kid), estimate(0.11), estimate(0.05)),
        }},
        "likelihood": bits and {"kind": "IWAE, k = 100" if family == "vae" else "ODE",
                                "bits_per_dim": estimate(bits, 0.04, (100,))},
        "label_fidelity": {name: fidelity(0.95 - 0.05 * i, 0.93 - kid - 0.06 * i) for i, name in enumerate(FINDINGS)},
        "device": "AMD EPYC, 2 cores", "git": "0" * 40, "command": ["python -m analysis.evaluate"],
    }  # fmt: skip
    return content | changes


def options(family: str) -> dict:
    """Fields of `config.sample`."""
    steps = {"ddpm": {"sampler": "dpmpp", "steps": 20}, "flow": {"sampler": "midpoint", "steps": 10}}
    return {"guidance": 2.0, "postprocess": "none", **steps.get(family, {})}


def fidelity(real: float, samples: float) -> dict:
    return {
        "real": {"auroc": real, "interval": [real - 0.02, real + 0.015], "n": 1000},
        "samples": {"auroc": samples, "interval": [samples - 0.04, samples + 0.035], "n": 1000},
    }


def sampled(family: str, kid: float, /, **changes) -> dict:
    """The same run sampled otherwise, without a likelihood."""
    content = result(family, likelihood=None)
    content["sampling"] |= changes
    content["metrics"][SPACE] = metrics(kid)
    return content


def write(folder: Path, name: str, content: dict) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def write_families(folder: Path, families=tuple(RUNS)) -> list[Path]:
    """A result file of each family, named after its run."""
    return [write(folder, f"{family}_cxr", result(family)) for family in families]


def write_strip(path: Path, content: dict, captions: list[str], images: np.ndarray | None = None) -> dict:
    """A PNG of tiles [n, h, w] in one row, and the content that names it."""
    n, (h, w, _) = len(captions), content["image_shape"]
    images = np.random.default_rng(0).integers(0, 256, (n, h, w), np.uint8) if images is None else images
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(list(images), axis=1)).save(path)
    return content | {"grid": {"file": path.name, "tiles": n, "captions": captions}}
