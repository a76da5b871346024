"""python -m analysis.downstream --config configs/X.py:DATASET --arm real|synthetic|mixed|duplicated [--run RUN] [...]

Trains one classifier on one training set and tests it on the real test split. Writes OUT/NAME.json and
OUT/NAME_scores.npz, what it says of each test image. With --explain N also OUT/NAME_explained.png, Grad-CAM and LIME,
which shows test images.
"""

import sys
from pathlib import Path

from analysis.downstream.options import Settings, define_flags, settings_of
from data import DataOptions, load
from train.cli import guarded, parse_config

SHOWN = ("auroc", "auprc", "accuracy", "balanced_accuracy", "ece", "brier", "nll")


def main() -> int:
    """One arm; returns the exit status."""
    config, values = parse_config(sys.argv, define_flags)
    settings = settings_of(values)
    from analysis.downstream.lime_maps import check
    from analysis.downstream.result import evaluate_arm
    from train.rundir import device_name, git_revision, write_json

    options = DataOptions(**config.data.to_dict())
    dataset = load(options)
    if settings.explain:
        check(dataset.info.image_shape[2])  # now, and not when all has been trained
    result, predictions, fitted = evaluate_arm(dataset, options, settings)
    out, name = Path(settings.out), settings.name or f"{settings.arm}_{settings.network}_{settings.seed}"
    out.mkdir(parents=True, exist_ok=True)
    result["scores"] = f"{name}_scores.npz"
    predictions.save(out / result["scores"])
    if settings.explain:
        result["explanations"] = _explain(fitted, dataset, settings, out / f"{name}_explained.png")
    command = ["python -m analysis.downstream", *sys.argv[1:]]
    write_json(out / f"{name}.json", result | {"command": command, "device": device_name(), "git": git_revision()})
    print("\n".join(lines(result)))
    print(out / f"{name}.json")
    return 0


def _explain(fitted, dataset, settings: Settings, path: Path) -> dict:
    from analysis.downstream.explain import explain, inside, save_figure

    explained = explain(fitted, dataset, settings.explain, settings.lime_samples)
    save_figure(path, explained, dataset)
    facts = {"images": len(explained.rows), "lime_samples": settings.lime_samples, "figure": path.name}
    return facts | {"inside_mask": inside(explained, dataset.info.classes)}


def lines(result: dict) -> list[str]:
    """The result in lines, for a terminal."""
    images, test = result["training"], result["test"]
    text = [f"{result['arm']}: {images['images']} training images ({images['synthetic']} synthetic), tested on "
            f"{test['images']} real ones of {test['groups']} {test['groups_are']}"]  # fmt: skip
    for metric in SHOWN:
        row = result["metrics"]["all"][metric]
        text.append(f"  {metric:<18}{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    return text


if __name__ == "__main__":
    guarded(main)
