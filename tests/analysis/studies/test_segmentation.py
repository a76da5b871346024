"""The study of segmentation, end to end at its smallest, and what it makes of scored masks."""

from pathlib import Path

import numpy as np
import pytest

from analysis.plots import study_segmentation
from analysis.studies import segmentation as study
from configs.studies.segmentation import get_config
from models.transfer import Images, transfer
from tests.analysis.studies.helpers import run_study
from tests.analysis.studies.made_up import estimate


@pytest.mark.slow
def test_end_to_end(monkeypatch, tmp_path):
    code, content = run_study(monkeypatch, tmp_path, "segmentation.py:smoke")
    assert code == 0 and content["failed"] == {}
    points = {(row["arm"], row["sampler"], row["steps"], row["ensemble"]) for row in content["grid"]}
    assert points == {("flow", "euler", 1, 2), ("flow", "euler", 2, 2), ("flow", "flowsdf", 2, 2), ("unet", "", 1, 1)}
    found = {(row["sampler"], row["steps"]): row for row in content["grid"]}
    assert found["flowsdf", 2]["dice"]["value"] != found["euler", 2]["dice"]["value"]
    data = {row["arm"]: row for row in content["by_data"]}
    assert set(data) == {"flow", "unet", "unet_pretrained"}
    assert data["flow"]["parameters"] == data["unet"]["parameters"] and data["unet"]["seconds"] > 0
    assert 0.0 <= data["unet"]["dice"]["value"] <= 1.0 and data["unet"]["hd95"]["value"] >= 0.0
    assert {(row["arm"], row["against"]) for row in content["contrasts"]} == {
        ("flow", "unet"), ("unet_pretrained", "unet"),
    }  # fmt: skip
    # A flow segmenter is the same network as the baseline: all of its numbers are taken over.
    assert content["transfer"] == {"unet_pretrained": {"loaded": 1.0, "adapted": 0.0, "fresh": 0.0}}


def test_a_grid_is_of_the_largest_fraction_alone():
    config = get_config("cpu")
    grid = study.readings_of(config, study.Cell("flow", 1.0, 0))
    drawn = len(config.ensembles) * (len(config.steps) + len(config.published_steps))
    assert len(set(grid)) == len(grid) == drawn == 14
    assert study.Reading("flowsdf", 4, 8) in grid and study.Reading("euler", 2, 8) in grid
    assert study.readings_of(config, study.Cell("flow", 0.1, 0)) == [study.Reading("euler", 2, 8)]
    assert study.readings_of(config, study.Cell("unet", 1.0, 0)) == [study.ONE_PASS]


def scored(arm, seed, dice, sampler="euler", steps=2, ensemble=8, groups=None):
    dice = np.asarray(dice)
    groups = np.arange(len(dice)) if groups is None else groups
    result = {"images": {"dice": dice, "hd95": 10 * (1 - dice)}, "parameters": 5, "step": 9,
              "dice": {"low": 0.0, "high": 1.0}, "hd95": {"low": 0.0, "high": 9.0},
              "groups": groups, "patients": int(np.max(groups)) + 1,
              "sampling": {"images_per_second": 7.0}}  # fmt: skip
    facts = {"arm": arm, "fraction": 1.0, "seed": seed, "sampler": sampler, "steps": steps, "ensemble": ensemble}
    return [study.scored(result, facts | {"seconds": 3.0, "images": 53}, measure) for measure in study.MEASURES]


def test_arms_are_compared_on_the_same_images():
    """The images differ much and the arms little: the difference's interval holds none of what the images share."""
    images = np.linspace(0.2, 0.9, 50)
    rows = [*scored("unet", 0, images, "", 1, 1), *scored("unet", 1, images + 0.01, "", 1, 1)]
    rows += [*scored("flow", 0, images + 0.05), *scored("flow", 1, images + 0.07)]
    rows += scored("flow", 0, images, "flowsdf", 2)
    config = get_config("cpu")
    data = {row["arm"]: row for row in study.by_data(config, rows)}
    assert data["flow"]["dice"]["value"] == pytest.approx(images.mean() + 0.06)
    assert data["flow"]["hd95"]["value"] == pytest.approx(10 * (0.94 - images.mean()))
    (test,) = study.contrasts(config, rows)
    assert test["differences"] == pytest.approx([0.05, 0.06])
    assert test["difference"]["low"] > 0.0 and data["flow"]["dice"]["low"] < data["unet"]["dice"]["value"]
    assert data["flow"]["difference"]["value"] == pytest.approx(0.055) and data["unet"]["difference"] is None
    assert data["flow"]["images"] == 53
    swept = {(row["arm"], row["sampler"]): row for row in study.grid(config, rows)}
    assert swept["flow", "euler"]["difference"]["value"] == pytest.approx(0.055)
    assert swept["flow", "euler"]["to_euler"] is None and swept["unet", ""]["difference"] is None
    # Of the seed that both have.
    assert swept["flow", "flowsdf"]["to_euler"]["value"] == pytest.approx(-0.05)
    assert swept["flow", "flowsdf"]["to_euler"]["seeds"] == 1
    assert swept["flow", "flowsdf"]["evaluations"] == 16 and set(swept) == {
        ("flow", "euler"), ("flow", "flowsdf"), ("unet", "")
    }  # fmt: skip


def test_images_vary_with_the_patients():
    """Five images of each of ten patients, all alike, are worth ten images."""
    dice = np.linspace(0.2, 0.9, 10)
    (of_patients, _), (of_images, _) = (
        scored("unet", 0, dice.repeat(5), groups=np.arange(10).repeat(5)), scored("unet", 0, dice)
    )  # fmt: skip
    np.testing.assert_allclose(of_patients.real, of_images.real, atol=1e-12)


def test_a_segmenter_is_not_pretrained_on_the_images_that_it_learns_from():
    config = get_config("cpu,phantom")
    jobs = study.jobs(config, Path("work"))
    assert jobs and not any("pretrained" in job.name or job.name.startswith(study.SOURCE) for job in jobs)


def test_what_is_pretrained_is_compared_with_the_same_from_scratch():
    pairs = study._compared(get_config("cpu"))
    assert ("flow_pretrained", "flow") in pairs and ("flow_pretrained", "unet") in pairs
    assert pairs.count(("unet_pretrained", "unet")) == 1


def test_shares_of_what_was_taken_over():
    tensors = [{"status": "loaded", "shape": [3, 2]}, {"status": "fresh", "shape": [2]},
               {"status": "unused", "shape": [99]}]  # fmt: skip
    assert study.shares(tensors) == {"loaded": 0.75, "adapted": 0.0, "fresh": 0.25}


def test_a_generator_of_images_has_next_to_nothing_for_a_segmenter():
    """The time embedding alone has the same path, and fits where the widths are the same: far from half the numbers."""
    import jax
    import jax.numpy as jnp

    from models.seg_net import SegNet, param_group
    from models.unet import UNet
    from train.sources import flatten

    image, time = jnp.zeros((1, 16, 16, 1)), jnp.zeros((1,))
    segmenter = SegNet(out_channels=1, channels=(8, 16), blocks=1, patch=2)
    generator = UNet(out_channels=1, channels=8, multipliers=(1,), blocks=1, patch=4)
    shapes = [jax.eval_shape(segmenter.init, jax.random.key(0), image, time, image),
              jax.eval_shape(generator.init, jax.random.key(0), image, time, jnp.zeros((1, 2)))]  # fmt: skip
    here, there = (flatten(jax.tree.map(lambda a: np.zeros(a.shape), tree["params"])) for tree in shapes)
    _, rows = transfer("net", here, there, param_group, Images(1, None), Images(1, None))
    taken = [row for row in rows if row.status in ("loaded", "adapted")]
    assert taken and {row.path[0] for row in taken} == {"time_embedding"}
    assert sum(row.size for row in taken) < 0.1 * sum(row.size for row in rows if row.status != "unused")


def made_up():
    grid, data = [], []
    speed = {"parameters": 1_713_698, "images_per_second": 50.0}
    for i, arm in enumerate(("flow", "flow_concatenated")):
        for sampler in ("euler", "flowsdf"):
            for steps in (1, 2, 4, 8, 16):
                for ensemble in (1, 8):
                    dice = 0.9 - 0.01 * np.log2(steps) * (1 if ensemble == 1 else 0.3) - 0.03 * i
                    dice -= 0.05 / steps if sampler == "flowsdf" else 0.0
                    at = {"arm": arm, "sampler": sampler, "steps": steps, "ensemble": ensemble}
                    grid.append(at | speed | {"evaluations": steps * ensemble, "dice": estimate(float(dice), 0.01),
                                              "difference": estimate(float(dice) - 0.89, 0.01), "to_euler": None,
                                              "hd95": estimate(3.0, 0.5)})  # fmt: skip
    grid.append({"arm": "unet", "sampler": "", "steps": 1, "ensemble": 1, "evaluations": 1, **speed,
                 "dice": estimate(0.89, 0.01), "hd95": estimate(3.0, 0.4), "difference": None,
                 "to_euler": None})  # fmt: skip
    arms = get_config("cpu").arms.to_dict()
    for i, arm in enumerate(arms):
        for fraction in (0.1, 0.3, 1.0):
            at = {"arm": arm, "fraction": fraction, "steps": 2, "ensemble": 8, "seconds": 600.0,
                  "images": int(532 * fraction), "difference": None if arm == "unet" else estimate(0.01)}  # fmt: skip
            data.append(at | speed | {"dice": estimate(0.9 + 0.03 * np.log10(fraction) * (1 + i / 3), 0.01),
                                      "hd95": estimate(3.0 - np.log10(fraction) * (1 + i / 4), 0.4)})  # fmt: skip
    test = {"arm": "flow", "against": "unet", "fraction": 0.1}
    tests = [test | {"difference": estimate(0.01), "p": 0.2, "p_holm": None}]
    return {
        "grid": grid, "by_data": data, "contrasts": tests, "baseline": "unet", "dataset": "nuclei", "data": "x",
        "image_shape": [64, 64, 1],
        "n": 79, "split": "test", "rows": [{"seed": 0}, {"seed": 1}], "device": "a processor",
        "pretraining": {"steps": 1600, "seconds": 500.0},
        "transfer": {"unet_pretrained": {"loaded": 0.98, "adapted": 0.01, "fresh": 0.01}},
        "config": {"use": {"steps": 2, "ensemble": 8}, "margin": 0.01, "train_steps": 1600,
                   "arms": arms, "source": {"preset": "phantom"}},
    }  # fmt: skip


def test_a_panel_for_each_number_of_masks():
    drawing = study_segmentation.draw(made_up())
    above, below = drawing.figure.subfigs
    assert [axis.get_title() for axis in above.axes] == ["1 mask an image", "mask of the mean SDF of 8"]
    lines = {line.get_ydata()[0] for line in above.axes[0].get_lines() if len(line.get_xdata()) == 2}
    assert lines == {0.0, -0.01}
    assert len([line for line in above.axes[0].get_lines() if len(line.get_xdata()) == 5]) == 4
    by_data = [line.get_xdata() for line in below.axes[0].get_lines() if len(line.get_xdata()) == 3]
    assert len(by_data) == 5 and len({places[0] for places in by_data}) == 5  # beside each other
    assert all(places[-1] == pytest.approx(1.0, rel=0.2) for places in by_data)
    for table in study_segmentation.tables(made_up()):
        assert table.rows and all(len(row) == len(table.header) for row in table.rows)
