"""python -m data.describe --config configs/X.py[:preset,...] [--config.data.field=value ...] [--out DIR]

Says what a config trains on: images, patients and classes of each split, intensities, near-duplicates within and
across the splits. Writes DIR/description.json and DIR/contact_sheet.png. Near-duplicates in two splits are an error
(status 1), unless --allow-leakage says that they are known.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
from absl import flags

from analysis.grid import make_grid, save_png
from analysis.labels import caption
from data import UserError, load
from data.dataset import class_rows
from data.draws import Turns
from data.options import DataOptions
from data.prepare import DRAWN
from data.summary import COPIES, Duplicates, leakage, near_duplicates, summarise
from train.cli import parse_config
from train.rundir import write_json


def main() -> int:
    """Describes one dataset; returns the exit status."""
    config, values = parse_config(sys.argv, _define_flags)
    options = DataOptions(**config.data.to_dict())
    dataset = load(options)
    # Images of two named patients may look alike; only copies tell of a patient under two names. Elsewhere
    # near-duplicates were kept together by hashes of the originals; those of the smaller images differ by a few bits.
    limit = COPIES if dataset.info.patients else max(options.near_duplicates - COPIES, COPIES)
    found = near_duplicates(dataset, limit) if values["duplicates"].value else None
    facts = summarise(dataset)
    folder = Path(values.out or "runs/describe_" + options.name.replace(":", "_").replace("/", "_"))
    folder.mkdir(parents=True, exist_ok=True)
    print("\n".join(lines(dataset.info, facts, found, limit)))
    _write(folder, dataset, facts, found, values.sheet)
    print(f"written: {folder / 'contact_sheet.png'}, {folder / 'description.json'}")
    leaks = leakage(found) if found else None
    if leaks and not values["allow-leakage"].value:
        first = leaks.nearest[0]
        raise UserError(
            f"{len(leaks)} pairs of near-duplicates lie in two splits, such as {first.keys[0]} ({first.splits[0]}) and "
            f"{first.keys[1]} ({first.splits[1]}): remove one of each, or say --allow-leakage."
        )
    return 0


def _define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", "", "folder of what is written; default runs/describe_NAME", flag_values=values)
    flags.DEFINE_integer("sheet", 48, "images on the contact sheet", flag_values=values)
    flags.DEFINE_boolean("duplicates", True, "look for near-duplicates", flag_values=values)
    flags.DEFINE_boolean("allow-leakage", False, "near-duplicates in two splits are no error", flag_values=values)


def lines(info, facts: dict, found: Duplicates | None, limit: int) -> list[str]:
    """The description as text."""
    height, width, channels = info.image_shape
    kind = "one class an image" if info.exclusive else "any number of findings an image"
    text = [
        f"{info.name}: {height}x{width} pixels, {channels} channel(s), {info.bits} bits",
        f"licence: {info.licence}",
        f"citation: {info.citation}",
        f"classes: {', '.join(info.classes) or 'none'}" + (f" ({kind})" if info.classes else ""),
    ]
    text += [f"left out: {info.skipped} images, corrupt or missing"] if info.skipped else []
    for split, of in facts.items():
        text += _split_lines(split, of, info)
    return text + _duplicate_lines(found, limit)


def _split_lines(split: str, of: dict, info) -> list[str]:
    who = f", {of['patients']:,} patients" if of["patients"] is not None else ", no patient named"
    together = f", {of['groups']} groups of near-duplicates kept together" if of["groups"] else ""
    text = [f"{split}: {of['images']:,} images{who}{together}"]
    share = 100 / of["images"]
    counts = [f"{name} {n:,} ({n * share:.1f} %)" for name, n in of["classes"].items()]
    if counts and not info.exclusive:
        counts.append(f"without any {of['without_finding']:,} ({of['without_finding'] * share:.1f} %)")
        if "undecided" in of:
            counts.append(f"none known but not all {of['undecided']:,} ({of['undecided'] * share:.1f} %)")
    text += [f"  {', '.join(counts)}"] if counts else []
    tone = of["intensity"]
    text.append(
        f"  intensity in [-1, 1]: {tone['min']:.3f} to {tone['max']:.3f}, 1 % {tone['1 %']:.3f}, median "
        f"{tone['median']:.3f}, 99 % {tone['99 %']:.3f}, mean {tone['mean']:.3f}, std {tone['std']:.3f}, "
        f"{tone['levels']:,} levels, {tone['black']:.1%} black, {tone['white']:.1%} white"
    )
    for name, (mean, known) in of.get("attributes", {}).items():
        text.append(f"  {name}: " + (f"mean {mean:.3f}, " if mean is not None else "") + f"known for {known:.1%}")
    if "masks" in of:
        text.append("  masks cover " + ", ".join(f"{name} {area:.1%}" for name, area in of["masks"].items()))
    return text


def _duplicate_lines(found: Duplicates | None, limit: int) -> list[str]:
    if found is None:
        return ["near-duplicates: not looked for"]
    where = [f"{n:,} within {a}" if a == b else f"{n:,} across {a} and {b}" for (a, b), n in found.counts.items()]
    text = [f"near-duplicates (at most {limit} of 256 bits differ): {', '.join(where) or 'none'}"]
    return text + [f"  {near.distance:2} bits  {near.keys[0]}  {near.keys[1]}" for near in found.nearest[:3]]


def _write(folder: Path, dataset, facts: dict, found: Duplicates | None, count: int) -> None:
    description = {
        "info": json.loads(json.dumps(dataset.info.to_dict())),
        "splits": facts,
        "near_duplicates": None if found is None else _plain(found),
    }
    write_json(folder / "description.json", description)
    synthetic = dataset.info.name in DRAWN
    save_png(folder / "contact_sheet.png", contact_sheet(dataset, count), {}, synthetic=synthetic)


def _plain(found: Duplicates) -> dict:
    counts = [{"splits": splits, "pairs": count} for splits, count in found.counts.items()]
    return {"counts": counts, "nearest": [dataclasses.asdict(near) for near in found.nearest]}


def contact_sheet(dataset, count: int) -> np.ndarray:
    """Training images, each class in turn, captioned with their label: uint8 [H, W] or [H, W, 3]."""
    arrays, info = dataset.arrays("train"), dataset.info
    label = arrays["label"]
    groups = class_rows(label[:, : len(info.classes)]) if info.classes else [np.arange(len(label))]
    rows = Turns(groups, seed=0).at(np.arange(min(count, len(label))))
    images = np.stack([arrays["image"][row] for row in rows])
    images = images[..., :1] if images.shape[-1] in (2, 4) else images
    columns = len(groups) * max(1, 8 // len(groups))
    return make_grid(images, columns, captions=[caption(label[row], info) for row in rows])

