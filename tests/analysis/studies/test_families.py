"""The study of families, end to end at its smallest, and what it makes of scored runs."""

import itertools

import numpy as np
import pytest
from PIL import Image

from analysis.plots import study_families
from analysis.studies import families as study
from analysis.studies.pairs import Scored
from configs.studies.families import get_config
from tests.analysis.studies.helpers import run_study
from tests.analysis.studies.made_up import WHAT, estimate


@pytest.mark.slow
def test_end_to_end(monkeypatch, tmp_path):
    code, content = run_study(monkeypatch, tmp_path, "families.py:smoke")
    assert code == 0 and content["failed"] == {}
    ends = {row["family"]: row for row in content["ends"]}
    assert set(ends) == {"gan", "vae"} and ends["vae"]["bits_per_dim"]["value"] > 0
    assert ends["gan"]["bits_per_dim"] is None and 0.0 <= ends["gan"]["precision"]["value"] <= 1.0
    counts = content["parameters"]["phantom"]["counts"]
    assert counts == {family: ends[family]["parameters"] for family in ends}
    assert content["parameters"]["phantom"]["equal"] is (max(counts.values()) / min(counts.values()) <= 1.1)
    equal = {row["family"]: row["seconds"] for row in content["equal_time"]}
    assert len(set(equal.values())) == 1 and equal["gan"] == min(row["seconds"] for row in ends.values())
    assert len(content["contrasts"]) == 1
    folder = tmp_path / "results" / "families"
    assert {path.name for path in folder.iterdir()} == {"smoke", *(
        f"smoke{name}.{ending}" for name in ("", "_samples_phantom", "_failures_phantom") for ending in ("pdf", "png")
    ), "smoke.json", "smoke.md", "smoke.tex"}  # fmt: skip
    worst = content["strips"][0]["worst"]["distance"]
    assert worst == sorted(worst, reverse=True)
    with Image.open(folder / "smoke" / content["strips"][0]["worst_file"]) as strip:
        assert strip.size == (16 * 16, 16) and strip.text["Synthetic"] == "true"


def scored(family, seed, step, seconds, value, parameters=100):
    facts = {"modality": "phantom", "family": family, "seed": seed, "step": step, "seconds": seconds}
    more = {"parameters": parameters - 20, "fitted": 20, "recall": {"value": value / 10.0, "low": None, "high": None}}
    return Scored(facts | more | {"kid": {"value": value}}, np.zeros(5))


def test_families_are_read_at_one_time_of_each_seed():
    """The GAN ends at 10 s and 12 s; the VAE, slower, is then between its points."""
    config = get_config("smoke")
    config.seeds = (0, 1)
    rows = []
    for seed, step in itertools.product((0, 1), (2, 4)):
        rows.append(scored("gan", seed, step, (5 + seed) * step / 2, 4.0 - seed))
        rows.append(scored("vae", seed, step, 4.0 * step, 10.0 - step))
    found = study.equal_time(config, rows)
    gan, vae = found["equal_time"]
    assert gan["seconds"] == vae["seconds"] == pytest.approx(11.0)
    # At 10 s and 12 s, between 8 at 8 s and 6 at 16 s: 7.5 and 7.
    assert vae["kid"]["value"] == pytest.approx(7.25) and vae["recall"]["value"] == pytest.approx(0.725)
    assert gan["kid"]["value"] == pytest.approx(3.5)
    (test,) = found["contrasts"]
    assert test["differences"] == pytest.approx([7.5 - 4.0, 7.0 - 3.0]) and test["p_holm"] == test["p"]


def test_a_run_that_has_not_ended_is_not_read_at_equal_time():
    config = get_config("smoke")
    rows = [scored("gan", 0, 2, 1.0, 1.0), scored("vae", 0, 2, 1.0, 1.0), scored("vae", 0, 4, 2.0, 1.0)]
    assert [row["family"] for row in study.equal_time(config, rows)["equal_time"]] == ["vae"]


@pytest.mark.parametrize(("count", "equal"), [(109, True), (112, False)])
def test_parameters_are_called_equal_only_where_they_are(count, equal):
    rows = [scored("gan", 0, 4, 1.0, 1.0), scored("vae", 0, 4, 1.0, 1.0, count)]
    found = study.parameters(get_config("smoke"), rows)
    assert found["phantom"]["equal"] is equal
    words = study_families.size_words({"parameters": found, "config": {"tolerance": 0.1}})
    assert ("NOT equal" in words) is not equal


def made_up():
    families, modalities = ("gan", "vae", "ddpm", "flow"), ("phantom", "phantom_mri")
    counts = dict(zip(families, (2_500_000, 2_600_000, 2_610_676, 2_610_676), strict=True))
    curves, ends, equal = [], [], []
    for modality in modalities:
        for i, family in enumerate(families):
            at = {"modality": modality, "family": family}
            for step in (500, 1000, 2000):
                kid = estimate(60.0 / step + 0.02 * i)
                curves.append(at | {"step": step, "seconds": 0.4 * step * (1 + 0.2 * i), "kid": kid})
            values = {"kid": estimate(0.03 + 0.02 * i), "fd_infinity": estimate(3.0 + i, 0.5), "seconds": 800.0,
                      "precision": estimate(0.6), "recall": estimate(0.3 + 0.1 * i),
                      "spectrum": {"value": 0.4, "low": None, "high": None}}  # fmt: skip
            equal.append(at | values)
            bits = None if family == "gan" else estimate(3.0 + 0.2 * i)
            speed = {"images_per_second": 2000.0 / 10**i, "parameters": counts[family], "fitted": 7 * (i > 1),
                     "sampling": {"sampler": "euler", "steps": 4, "guidance": 1.0} if i > 1 else {}}  # fmt: skip
            ends.append(at | values | speed | {"bits_per_dim": bits, "bits_kind": bits and "ODE"})
    tests = [{"modality": "phantom", "a": "gan", "b": "ddpm", "difference": estimate(-0.02), "p": 0.03, "p_holm": 0.06}]
    return {
        "modalities": {modality: WHAT | {"dataset": modality} for modality in modalities}, "device": "a processor",
        "parameters": {modality: {"counts": counts, "apart": 0.044, "equal": True} for modality in modalities},
        "curves": curves, "ends": ends, "equal_time": equal, "contrasts": tests, "rows": [{"seed": 0}, {"seed": 1}],
        "config": {"tolerance": 0.1, "baseline": "ddpm"}, "strips": [],
    }  # fmt: skip


def test_a_row_of_panels_for_each_modality():
    drawing = study_families.draw(made_up())
    assert len(drawing.figure.axes) == 6 and "equal to within 4%" in drawing.caption
    times = drawing.figure.axes[0]
    dotted = [line for line in times.get_lines() if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in dotted] == pytest.approx([800.0 / 60.0])
    broken = [line for line in times.get_lines() if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in broken] == [pytest.approx(0.2)]  # the ceiling
    assert "guidance 1" in drawing.caption and "All seeds share" in drawing.caption
    equal, ends, _ = study_families.tables(made_up())
    assert "FD∞ ↓" in ends.header and ends.rows[-2][1].text == "Real images, 100 beside 100"
    content = made_up()
    for row in [*content["ends"], *content["equal_time"]]:
        del row["fd_infinity"]  # as where there are fewer images than features
    assert not any("FD∞ ↓" in table.header for table in study_families.tables(content))
    for table in study_families.tables(made_up()):
        assert table.rows and all(len(row) == len(table.header) for row in table.rows)
