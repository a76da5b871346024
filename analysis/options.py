"""Command-line options that change how a run is sampled; each is a field of some family's `config.sample`."""

import argparse
from pathlib import Path
from typing import Any

FIELDS = {
    "sampler": (str, "ddpm, ddim, dpmpp, dpmpp_sde, euler, heun, em; of a flow euler, midpoint, heun, rk4, adaptive"),
    "steps": (int, "steps of the sampler"),
    "guidance": (float, "s in u + s (c - u); 1 is off"),
    "spacing": (str, "time grid: auto, uniform, karras, logsnr"),
    "eta": (float, "noise of ddim, 0 to 1"),
    "threshold": (str, "of the denoised image: none, static, dynamic"),
    "variance": (str, "of ddpm: auto, small, large, learned"),
    "truncation": (float, "of a GAN: z is drawn within so many standard deviations"),
    "postprocess": (str, "none or bilateral_sharpen"),
}


def add_result(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Adds what every command has that opens a run (or several) with its data and writes a result file."""
    if several:
        parser.add_argument("--run", action="append", default=[], help="run directory; may be given several times")
    else:
        parser.add_argument("--run", required=True, help="run directory")
    parser.add_argument("--out", default="results", help="folder of result files")
    parser.add_argument("--study", help="subfolder of --out; default: the dataset and its size")
    parser.add_argument("--name", help="of the result file; default: that of the run")
    parser.add_argument("--data-dir", help="where the dataset lies now, if not where the run found it")
    parser.add_argument("--checkpoint", default="", help="latest, best, a step, or a duration kept by the config")
    parser.add_argument("--seed", type=int, default=0)


def result_path(args: argparse.Namespace, run, ending: str = "") -> Path:
    """OUT/STUDY/NAME.json; its folder is made."""
    folder = Path(args.out) / (args.study or f"{run.info.name}_{run.info.image_shape[0]}{ending}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{args.name or run.folder.resolve().name}.json"


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each field; which of them a family takes is checked when it samples."""
    for name, (kind, words) in FIELDS.items():
        parser.add_argument(f"--{name}", type=kind, help=words)


def sampling_changes(args: argparse.Namespace) -> dict[str, Any]:
    """{field: value}, None where the option was not given."""
    return {name: getattr(args, name) for name in FIELDS}
