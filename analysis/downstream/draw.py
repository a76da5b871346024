"""python -m analysis.downstream.draw --config configs/X.py:DATASET --run RUN --ratio 10 --out DIR

Draws as many images as `--arm mixed --ratio 10` needs of that dataset. Given to all arms by `--samples DIR`, the images
of a small ratio are the first of a large one's, and no arm waits for another's drawing. All other options are those of
analysis.downstream.
"""

import sys
from pathlib import Path

from analysis.downstream.options import define_flags, settings_of
from train.cli import guarded, parse_config


def main() -> int:
    """Writes DIR/samples.npz; returns the exit status."""
    config, values = parse_config([sys.argv[0], "--arm", "synthetic", *sys.argv[1:]], define_flags)
    settings = settings_of(values)
    from analysis.downstream.synthetic import added, draw
    from analysis.run import load as load_run
    from data import DataOptions, UserError, load

    if not settings.run:
        raise UserError("analysis.downstream.draw needs --run, the generator to draw from")
    images = load(DataOptions(**config.data.to_dict())).arrays("train")["image"]
    run = load_run(settings.run, settings.checkpoint)
    draw(run, settings, added(settings, len(images)), Path(settings.out))
    return 0


if __name__ == "__main__":
    guarded(main)
