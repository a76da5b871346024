"""The study of samplers, end to end at its smallest, and what it makes of scored runs."""

import numpy as np
import pytest

from analysis.domain import classifier
from analysis.plots import study_samplers
from analysis.studies import samplers as study
from analysis.studies.pairs import Scored
from configs.studies.samplers import get_config
from models import ode
from models import samplers as solvers
from tests.analysis.studies.helpers import run_study
from tests.analysis.studies.made_up import WHAT, estimate


@pytest.mark.slow  # a whole study that is not: test_scratch_vs_finetune
def test_end_to_end(monkeypatch, tmp_path):
    monkeypatch.setattr(classifier, "STEPS", 3)
    code, content = run_study(monkeypatch, tmp_path, "samplers.py:smoke")
    assert code == 0 and content["failed"] == {}
    found = {(row["sampler"], row["steps"]): row for row in content["steps"]}
    assert set(found) == {("euler", 1), ("euler", 2), ("heun", 2)}
    assert found["heun", 2]["evaluations"] == 3 and found["heun", 2]["kid"]["seeds"] == 1  # the last step is Euler's
    assert found["euler", 1]["kid"]["value"] != found["heun", 2]["kid"]["value"]
    guided = {row["guidance"]: row for row in content["guidance"]}
    assert set(guided) == {1.0, 2.0} and 0.0 <= guided[2.0]["auroc"]["value"] <= 1.0
    assert guided[1.0]["sampler"] == "midpoint" and content["floor"]["value"] < 1.0
    assert all(0.0 <= row["auroc"] <= 1.0 for row in content["real_findings"].values()) and content["real_findings"]
    assert {(row["sampler"], row["steps"]) for row in content["contrasts"]} == {("euler", 1), ("euler", 2)}
    assert {path.suffix for path in (tmp_path / "results" / "samplers").iterdir()} == {
        ".json", ".md", ".tex", ".pdf", ".png"
    }  # fmt: skip


def scored(sampler, seed, steps, value, speed):
    facts = {"family": "ddpm", "sampler": sampler, "seed": seed, "steps": steps, "images_per_second": speed}
    return Scored(facts | {"kid": {"value": value}}, np.zeros(5))


def test_seeds_are_averaged_and_evaluations_counted():
    rows = [scored("heun", 0, 10, 1.0, 4.0), scored("heun", 1, 10, 3.0, None), scored("ddpm", 0, 300, 5.0, 8.0)]
    ddpm, heun = study.step_curves(rows)
    assert (heun["kid"]["value"], heun["evaluations"], heun["images_per_second"]) == (2.0, 19, 4.0)
    assert (ddpm["kid"]["value"], ddpm["evaluations"], ddpm["kid"]["low"]) == (5.0, 300, None)


def test_points_are_compared_with_the_reference_of_their_family():
    """Runs differ by 2, samplers by 0.1 in each: what the runs share drops out."""
    config = get_config("cpu")
    rows = [scored("ddpm", seed, 300, 1.0 + 2.0 * seed, None) for seed in (0, 1, 2)]
    rows += [scored("dpmpp", seed, 15, 1.1 + 2.0 * seed + 0.01 * (seed == 1), None) for seed in (0, 1)]
    (test,) = study.contrasts(config, rows)
    assert (test["sampler"], test["steps"], test["against"]) == ("dpmpp", 15, ["ddpm", 300])
    assert test["differences"] == pytest.approx([0.1, 0.11]) and test["difference"]["seeds"] == 2
    assert test["p_holm"] == test["p"]


def test_guidance_takes_each_evaluation_twice():
    assert study.evaluations("flow", "rk4", 5) == 18 and study.evaluations("flow", "rk4", 5, 2.0) == 36
    assert study.evaluations("ddpm", "dpmpp", 15, 3.0) == 30


@pytest.mark.parametrize("name", solvers.SAMPLERS)
def test_a_denoiser_is_called_as_often_as_is_said(name, monkeypatch):
    import jax
    import jax.numpy as jnp

    from models.denoiser import Denoised
    from models.schedules import EDM

    calls = []

    def denoise(x, t):
        jax.debug.callback(lambda: calls.append(1))
        return Denoised(0.5 * x, None)

    schedule, keys = EDM(), jax.random.split(jax.random.key(0), 1)
    solvers.sample(name, denoise, schedule, solvers.time_grid(schedule, 3), jnp.ones((1, 2, 2, 1)), keys)
    jax.effects_barrier()
    assert len(calls) == solvers.evaluations(name, 3)


def test_guidance_averages_findings_and_seeds():
    rows = []
    for seed, (a, b) in ((0, (0.69, 0.89)), (1, (0.71, 0.91))):
        facts = {"family": "flow", "seed": seed, "guidance": 2.0, "sampler": "euler", "steps": 4}
        found = {name: {"samples": {"auroc": v}, "real": {"auroc": 0.9}} for name, v in (("a", a), ("b", b))}
        found["c"] = {"samples": None, "real": {"auroc": 0.1}}  # too few cases
        result = {"label_fidelity": found, "sampling": {"sampler": "euler", "steps": 4}}
        rows.append(Scored(facts | study._fidelity(result) | {"kid": {"value": 1.0}}, np.zeros(5)))
    (row,) = study.guidance_curves(rows)
    assert row["auroc"]["value"] == pytest.approx(0.8) and row["findings"] == pytest.approx({"a": 0.7, "b": 0.9})
    # Student's with one degree of freedom: 12.706 x 0.01.
    assert row["auroc"]["high"] - row["auroc"]["value"] == pytest.approx(0.12706, rel=1e-3)


def made_up():
    steps = [
        {"family": family, "sampler": sampler, "steps": n, "evaluations": study.evaluations(family, sampler, n),
         "images_per_second": 100.0 / n, "kid": estimate(0.1 + (1.0 + 0.1 * len(sampler)) / n)}
        for family, names in (("ddpm", solvers.SAMPLERS), ("flow", tuple(ode.TABLEAUS))) for sampler in names
        for n in ((5, 10, 20) if sampler != "ddpm" else (20, 300))
    ]  # fmt: skip
    guidance = [
        {"family": family, "guidance": float(s), "sampler": "dpmpp", "steps": 20,
         "kid": estimate(0.1 + 0.05 * s + 0.01 * len(family)), "auroc": estimate(0.6 + 0.06 * s),
         "findings": {"pneumonia": 0.5 + 0.08 * s, "effusion": 0.6}}
        for family in ("ddpm", "flow") for s in range(1, 6)
    ]  # fmt: skip
    return WHAT | {"steps": steps, "guidance": guidance, "rows": [{"seed": 0}, {"seed": 1}],
                   "real_findings": {"pneumonia": {"auroc": 0.88, "interval": [0.8, 0.9], "n": 79}},
                   "contrasts": [{"family": "ddpm", "sampler": "dpmpp", "steps": 15, "against": ["ddpm", 300],
                                  "difference": estimate(0.01), "p": 0.2, "p_holm": 0.4}],
                   "config": {"margin": 0.1}}  # fmt: skip


def test_the_figure_has_a_panel_a_family_and_a_line_a_sampler():
    drawing = study_samplers.draw(made_up())
    axes = {axis.get_title(): axis for sub in drawing.figure.subfigs for axis in sub.axes}
    names = [text.get_text() for text in axes["DDPM, no guidance"].get_legend().get_texts()]
    assert sorted(names) == sorted(solvers.SAMPLERS)
    heun = next(line for line in axes["DDPM, no guidance"].get_lines() if line.get_label() == "heun")
    assert list(heun.get_xdata()) == [9, 19, 39]
    tables = study_samplers.tables(made_up())
    assert [len(table.rows) for table in tables] == [len(made_up()["steps"]), 1, 10]
    assert "below 0.020, 10% of the way" in tables[1].caption  # of the way from 0.001 to 0.2
    assert "Pneumonia" not in drawing.caption and "pneumonia, 79 real images" in drawing.caption
    assert all(len(row) == len(table.header) for table in tables for row in table.rows)
