"""The study of memorisation, end to end at its smallest, and what it makes of audits."""

import numpy as np
import pytest

from analysis.plots import study_memorisation
from analysis.studies import memorisation as study
from analysis.studies.pairs import Scored
from configs.studies.memorisation import get_config
from tests.analysis.studies.helpers import run_study
from tests.analysis.studies.made_up import WHAT, estimate


@pytest.mark.slow
def test_end_to_end(monkeypatch, tmp_path):
    code, content = run_study(monkeypatch, tmp_path, "memorisation.py:smoke")
    assert code == 0 and content["failed"] == {}
    found = {(row["augmentation"], row["fraction"], row["step"]): row for row in content["curves"]}
    assert set(found) == {(a, f, s) for a in ("none", "flip") for f in (0.2, 1.0) for s in (1, 4)}
    images = {row["fraction"]: row["images"] for row in content["curves"]}
    assert 20 < images[0.2] < 60 and 180 < images[1.0] < 210
    for row in content["curves"]:
        assert row["images"] == images[row["fraction"]], "mirrored images are not counted"
        for name in ("copies", "copies_unseen", "authentic", "membership"):
            assert 0.0 <= row[name]["low"] <= row[name]["value"] <= row[name]["high"] <= 1.0
    assert {(row["augmentation"], row["fraction"]) for row in content["contrasts"]} == {("flip", 0.2), ("flip", 1.0)}


LAST = get_config("cpu").points.flow[-1]  # contrasts are at the runs' ends


def audit(copies, membership, mirrored=False):
    share = lambda value: {"value": value, "low": max(value - 0.1, 0.0), "high": value + 0.1, "n": 10}  # noqa: E731
    near = {"ratio": {"samples": share(copies), "held_out": share(0.01), "expected": 0.0128},
            "authentic": {"samples": share(1.0 - copies), "held_out": share(0.6)}}  # fmt: skip
    return {"images_trained": 400, "memorisation": {
        "calibration": 77, "patients": {"calibration": 77, "held_out": 77}, "samples": 300, "p_limit": 0.01 / 3,
        "train": 80 if mirrored else 40, "mirrored": mirrored, "spaces": {"pixels_32": near},
        "membership": {"kl": {"auc": share(0.1)}, "loss": {"auc": share(membership)}},
        "suspected": ["hash"] if copies > 0.5 else [],
    }}  # fmt: skip


def scored(augmentation, seed, copies, membership=0.5):
    cell = {"family": "flow", "augmentation": augmentation, "fraction": 0.5, "seed": seed}
    read = study.audited(audit(copies, membership, augmentation == "flip"), "pixels_32")
    return Scored(cell | {"step": LAST, "seconds": 9.0} | read | {"kid": {"value": copies}}, np.zeros(5))


def test_seeds_are_averaged_and_flips_compared_with_none():
    rows = [scored("none", 0, 0.4), scored("none", 1, 0.6), scored("flip", 0, 0.1), scored("flip", 1, 0.2, 0.7)]
    flip, none = study.curves(rows)
    assert none["copies"]["value"] == pytest.approx(0.5) and none["suspected"] == 1 and flip["suspected"] == 0
    assert flip["images"] == none["images"] == 40 and flip["membership"]["value"] == pytest.approx(0.6)
    (found,) = study.contrasts(get_config("cpu"), rows)
    assert found["augmentation"] == "flip" and found["copies"]["value"] == pytest.approx(-0.35)
    # Student's with one degree of freedom: 12.706 times 0.05 of the differences -0.3 and -0.4.
    assert found["copies"]["high"] == pytest.approx(-0.35 + 12.706 * 0.05, rel=1e-3)
    assert none["rounds"] == 10.0 and none["smallest"] == pytest.approx(25 / 300)
    # Beta-binomial with parameters 1 and 77: 300 samples, none of which is a copy.
    assert none["expected"] == {"value": 0.0128, "low": 0.0, "high": pytest.approx(15 / 300, abs=2 / 300)}


def test_seeds_that_agree_are_not_taken_for_certain():
    """No copy in any of two sets of ten: Clopper and Pearson's end of each is kept."""
    (row,) = study.curves([scored("none", 0, 0.0), scored("none", 1, 0.0)])
    assert row["copies"]["low"] == 0.0 and row["copies"]["high"] == pytest.approx(0.1)
    (found,) = study.contrasts(get_config("cpu"), [scored(arm, s, 0.0) for arm in ("none", "flip") for s in (0, 1)])
    assert (found["copies"]["low"], found["copies"]["high"]) == (pytest.approx(-0.1), pytest.approx(0.1))


def made_up():
    curves = []
    for family, arms in (("gan", ("none", "flip", "adaptive")), ("flow", ("none", "flip"))):
        for j, arm in enumerate(arms):
            for fraction, images in ((0.05, 34), (0.2, 134), (1.0, 672)):
                for step in (500, 1000, 2000):
                    copies = min(step / images / 60.0, 1.0) * 0.9 / (1 + j)
                    row = {"family": family, "augmentation": arm, "fraction": fraction, "step": step, "images": images}
                    curves.append(row | {
                        "copies": estimate(copies, 0.03), "authentic": estimate(0.7 * (1 - copies), 0.03),
                        "membership": estimate(0.5 + 0.5 * copies, 0.03), "kid": estimate(0.2), "suspected": 1,
                        "expected": estimate(0.013, 0.013), "smallest": 0.08, "rounds": 9.0, "seconds": 60.0,
                        "copies_unseen": estimate(0.01, 0.01), "authentic_unseen": estimate(0.5 + fraction / 5, 0.02),
                    })  # fmt: skip
    contrasts = [{"family": "flow", "augmentation": "flip", "fraction": 0.05, "kid": estimate(0.01),
                  **{name: estimate(-0.1) for name in study.MEASURES}}]  # fmt: skip
    return WHAT | {"curves": curves, "contrasts": contrasts, "space": "pixels_32", "rows": [{"seed": 0}, {"seed": 1}]}


def test_a_line_for_each_data_size_and_augmentation():
    drawing = study_memorisation.draw(made_up())
    axes = {axis.get_title(): axis for axis in drawing.figure.axes}
    assert len(axes) == 6
    lines = [line for line in axes["GAN: Share of copies"].get_lines() if len(line.get_xdata()) == 3]
    assert len(lines) == 9 and len({(line.get_color(), line.get_linestyle()) for line in lines}) == 9
    for table in study_memorisation.tables(made_up()):
        assert table.rows and all(len(row) == len(table.header) for row in table.rows)
