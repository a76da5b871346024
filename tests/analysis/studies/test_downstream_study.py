"""The downstream study, end to end at its smallest, and what is drawn of it."""

import pytest

from analysis.plots import study_downstream
from analysis.plots.drawing import NothingToDraw
from tests.analysis.studies.helpers import run_study
from tests.analysis.studies.made_up import estimate


@pytest.mark.slow
def test_end_to_end(monkeypatch, tmp_path):
    code, content = run_study(monkeypatch, tmp_path, "downstream.py:smoke")
    assert code == 0 and content["failed"] == {}
    arms = {(row["arm"], row["ratio"], row["seed"]) for row in content["rows"]}
    names = (("real", 0.0), ("synthetic", 1.0), ("mixed", 1.0), ("duplicated", 1.0))
    assert arms == {(*name, seed) for name in names for seed in (0, 1)}
    sizes = {row["arm"]: (row["images"], row["synthetic"]) for row in content["rows"]}
    assert sizes["mixed"][0] == sizes["duplicated"][0] == 2 * sizes["real"][0] and sizes["duplicated"][1] == 0
    assert content["generator"]["kid"]["generated"]["value"] and content["sampling"]["seed"] == 0
    explained = {row["arm"] for row in content["rows"] if "inside_mask" in row and row["seed"] == 0}
    assert explained == {"real", "synthetic", "mixed", "duplicated"}
    held = {(row["arm"], row["ratio"]): row["metrics"]["auroc"] for row in content["arms"]}
    assert set(held) == set(names) and all(row["low"] <= row["value"] <= row["high"] for row in held.values())
    assert [(c["a"], c["b"]) for c in content["contrasts"]] == [
        ("mixed_1", "duplicated_1"), ("mixed_1", "real"), ("synthetic_1", "real"),
    ]  # fmt: skip
    assert {path.suffix for path in (tmp_path / "results/downstream").iterdir()} == {
        ".json", ".md", ".tex", ".pdf", ".png",
    }  # fmt: skip


def metrics(value, spread=None):
    row = {"value": value, "low": value - 0.1, "high": value + 0.1}
    names = ("auroc", "auprc", "accuracy", "ece", "nll")
    return {name: {"difference": row} if spread else row for name in names}


def content():
    rows = [
        {"network": network, "arm": arm, "ratio": ratio, "seed": seed, "images": 100 * (1 + ratio), "synthetic": 0,
         "metrics": metrics(0.7 + 0.02 * seed + 0.01 * ratio * (arm == "mixed"))}
        for network in ("cnn", "efficientnet_lite0")
        for arm, ratio in (("real", 0), ("synthetic", 1), ("mixed", 0.5), ("mixed", 10), ("duplicated", 0.5),
                           ("duplicated", 10))
        for seed in (0, 1)
    ]  # fmt: skip
    contrasts = [
        {"network": network, "a": f"mixed_{ratio:g}", "b": f"duplicated_{ratio:g}", "ratio": ratio,
         "metrics": metrics(0.01 * ratio, True)}
        for network in ("cnn", "efficientnet_lite0") for ratio in (0.5, 10)
    ]  # fmt: skip
    contrasts += [
        {"network": network, "a": "mixed_0.5", "b": "real", "ratio": 0.5, "metrics": metrics(0.05, True)}
        for network in ("cnn", "efficientnet_lite0")
    ]  # fmt: skip
    test = {"images": 200, "groups": 150, "groups_are": "patients"}
    arms = [
        {"network": network, "arm": arm, "ratio": ratio, "real": 100, "duplicates": 0, "synthetic": 100 * ratio,
         "metrics": metrics(0.7)}
        for network in ("cnn", "efficientnet_lite0")
        for arm, ratio in (("real", 0), ("synthetic", 1), ("mixed", 0.5), ("mixed", 10), ("duplicated", 0.5),
                           ("duplicated", 10))
    ]  # fmt: skip
    return {"dataset": "nih", "image_shape": [64, 64, 1], "fraction": 0.1, "family": "ddpm", "device": "a CPU",
            "test": test, "rows": rows, "arms": arms, "contrasts": contrasts,
            "sampling": {"guidance": 1.0},
            "generator": {"suspected": ["pixels"], "kid": {"generated": {"value": 0.25, "n": [500, 200]}}},
            "config": {"generator_steps": 3000, "classifier_steps": {"cnn": 600, "efficientnet_lite0": 100}}}


def test_lines_are_means_and_the_control_is_beside(tmp_path):
    drawing = study_downstream.draw(content())
    axes = drawing.figure.axes
    assert len(axes) == 8 and axes[3].get_title() == "AUROC, mixed − control"
    mixed = next(line for line in axes[0].lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-")
    assert list(mixed.get_ydata()) == [pytest.approx(0.715), pytest.approx(0.81)]
    arms, differences = study_downstream.tables(content())
    assert len(arms.rows) == 12 and arms.rows[2][0].text == "CNN, mixed 1:0.5"
    assert arms.rows[2][3].text == "50.0" and arms.rows[2][4].interval == "[0.60, 0.80]"
    assert "No patient is named" not in drawing.caption and "CNN 600 from scratch" in drawing.caption
    assert "(guidance 1), KID 0.250 of 500 of them, copies of training images suspected" in drawing.caption
    images = content() | {"test": {"images": 200, "groups": 150, "groups_are": "images"}, "generator": {}}
    assert "No patient is named" in study_downstream.draw(images).caption
    assert differences.rows[1][1].text == "0.10" and differences.rows[1][1].interval == "[0.00, 0.20]"
    with pytest.raises(NothingToDraw):
        study_downstream.draw({"rows": []})


def test_where_classifiers_look_is_tabled_if_it_was_asked():
    made = content()
    assert len(study_downstream.tables(made)) == 2
    shares = {"inside": estimate(0.4) | {"n": [9]}, "area": estimate(0.1), "excess": estimate(0.3), "empty": 1}
    for row in made["rows"]:
        if (row["network"], row["arm"], row["seed"]) == ("cnn", "real", 0):
            none = shares | dict.fromkeys(study_downstream.EXPLAINED)
            row["inside_mask"] = {"grad_cam": {"all": shares}, "lime": {"all": none}}
    table = study_downstream.tables(made)[2]
    rows = [[cell.text for cell in row] for row in table.rows]
    assert [row[:2] + row[-1:] for row in rows] == [["CNN, real", "Grad-CAM", "9"], ["CNN, real", "LIME", "0"]]
    assert rows[0][2].startswith("0.4") and rows[0][4].startswith("0.3") and "seed 0" in table.caption
