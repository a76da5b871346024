"""Command-line options that change how a run is sampled; each is a field of some family's `config.sample`."""

import argparse
from typing import Any

FIELDS = {
    "sampler": (str, "ddpm, ddim, dpmpp, euler, heun, em; of a flow euler, midpoint, heun, rk4, adaptive"),
    "steps": (int, "steps of the sampler"),
    "guidance": (float, "s in u + s (c - u); 1 is off"),
    "spacing": (str, "time grid: auto, uniform, karras, logsnr"),
    "eta": (float, "noise of ddim, 0 to 1"),
    "threshold": (str, "of the denoised image: none, static, dynamic"),
    "variance": (str, "of ddpm: auto, small, large, learned"),
    "truncation": (float, "of a GAN: z is drawn within so many standard deviations"),
    "postprocess": (str, "none or bilateral_sharpen"),
}


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each field; which of them a family takes is checked when it samples."""
    for name, (kind, words) in FIELDS.items():
        parser.add_argument(f"--{name}", type=kind, help=words)


def sampling_changes(args: argparse.Namespace) -> dict[str, Any]:
    """{field: value}, None where the option was not given."""
    return {name: getattr(args, name) for name in FIELDS}
