"""The tables in the README."""

import json

import pytest

from analysis import figures
from analysis.headline import BEGIN, BLOCK, END, insert
from analysis.headline import headline as headline_of
from analysis.plots import study_downstream, study_families, study_scratch_vs_finetune
from data import UserError
from tests.analysis.studies.made_up import WHAT, estimate
from tests.analysis.studies.test_downstream_study import content as downstream
from tests.analysis.studies.test_families import made_up as families
from tests.train.helpers import ROOT

STUDY = "scratch_vs_finetune"
MARK = BEGIN.format(STUDY)


def headline(results, beside):
    return headline_of(STUDY, results, beside)


def results(folder, size="cpu", value=0.3):
    """A scratch_vs_finetune results file of one family with made-up numbers."""
    arm = {"family": "ddpm", "fraction": 0.1}
    contrast = arm | {"source": "natural", "difference": estimate(-0.1), "tuned": estimate(value - 0.1),
                      "scratch": estimate(value), "seeds": [0, 1, 2], "p": 0.0123, "effect": -2.0}  # fmt: skip
    content = WHAT | {
        "study": "scratch_vs_finetune", "config": {"points": [2, 4]}, "rows": [{"seed": seed} for seed in range(3)],
        "ceilings": [{"fraction": 0.1, "ceiling": {"value": 0.2, "low": 0.19, "high": 0.21}}],
        "guidance": {"ddpm": 3.0},
        "failed": {"ddpm/scratch/fraction_0.1/seed_3/train": "failed: status 1"},
        "contrasts": [contrast | {"budget": "steps", "primary": True},
                      contrast | {"budget": "wall-clock", "primary": False, "p_holm": 0.5},
                      contrast | {"budget": "with pretraining", "primary": False, "difference": estimate(0.05),
                                  "p_holm": 0.25}],
    }  # fmt: skip
    path = folder / "scratch_vs_finetune" / f"{size}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_a_row_an_arm_at_equal_steps_with_the_references_below(tmp_path):
    results(tmp_path)
    rows = [line for line in headline(tmp_path, tmp_path).splitlines() if line.startswith("|")][2:]
    assert [[cell.strip() for cell in row.strip("|").split("|")] for row in rows] == [
        ["**DDPM, natural, 10%**", "0.300 [0.280, 0.320]", "0.200 [0.180, 0.220]", "−0.100 [−0.120, −0.080]",
         "0.0123", "–", "0.050 [0.030, 0.070]", "0.2500"],
        ["Real training images", "0.001 [−0.001, 0.003]", *[""] * 6],
        ["A Gaussian fitted to the pixels, 10%", "0.200 [0.190, 0.210]", *[""] * 6],
    ]  # fmt: skip


def test_no_columns_of_what_was_not_measured(tmp_path):
    results(tmp_path)
    path = tmp_path / "scratch_vs_finetune" / "cpu.json"
    content = json.loads(path.read_text())
    content["contrasts"] = content["contrasts"][:2]
    path.write_text(json.dumps(content))
    text = headline(tmp_path, tmp_path)
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    assert [len(row) for row in rows] == [6] * 5 and "retraining counted" not in text


def test_what_a_reader_could_be_misled_by_is_said(tmp_path):
    results(tmp_path)
    words = headline(tmp_path, tmp_path).splitlines()[0]
    for said in ("means of 3 seeds", "after 4 optimiser steps", "Guidance: DDPM 3.", "the 2 exploratory contrasts",
                 "Failed: ddpm/scratch/fraction_0.1/seed_3/train."):  # fmt: skip
        assert said in words
    content = WHAT | {"real": {"split": "test", "n": 60, "floor_n": 30}}
    assert study_scratch_vs_finetune._floor_name(content) == "Two halves of the real test images, 30 each"


def test_the_largest_size_is_told_and_a_smoke_never(tmp_path):
    results(tmp_path, "smoke")
    with pytest.raises(UserError, match="has no gpu.json or cpu.json; run the study, or take the block out"):
        headline(tmp_path, tmp_path)
    results(tmp_path, "cpu", 0.3)
    results(tmp_path, "gpu", 0.7)
    text = headline(tmp_path, tmp_path)
    assert "0.700 [0.680, 0.720]" in text and "0.300 [0.280, 0.320]" not in text


def test_a_size_can_be_named(tmp_path):
    results(tmp_path, "gpu", 0.7)
    results(tmp_path, "cpu_nih", 0.3)
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN.format(f'{STUDY}/cpu_nih')}\n{END}\n{MARK}\n{END}\n")
    insert(readme, tmp_path)
    named, largest = (block[2] for block in BLOCK.finditer(readme.read_text()))
    assert "0.300 [0.280, 0.320]" in named and "scratch_vs_finetune/cpu_nih.png" in named
    assert "0.700 [0.680, 0.720]" in largest
    with pytest.raises(UserError, match="headline scratch_vs_finetune/cpu64: .* has no cpu64.json; run the study"):
        headline_of(f"{STUDY}/cpu64", tmp_path, tmp_path)


def test_only_what_is_between_the_marks_is_written(tmp_path):
    results(tmp_path / "results")
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{MARK}\nearlier\n{END}\nbelow\n")
    assert figures.main(["--results", str(tmp_path / "results"), "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith(f"above\n{MARK}\n") and text.endswith(f"{END}\nbelow\n")
    assert "DDPM, natural" in text and "(results/scratch_vs_finetune/cpu.png)" in text and "earlier" not in text
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("text", ["nothing", MARK, f"{END}\n{MARK}"])
def test_a_file_without_the_marks_is_left_alone(tmp_path, text):
    results(tmp_path / "results")
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(UserError, match="needs a line"):
        figures.main(["--results", str(tmp_path / "results"), "--readme", str(tmp_path / "README.md")])
    assert (tmp_path / "README.md").read_text() == text


def test_a_study_that_has_no_headline_is_told(tmp_path):
    (tmp_path / "README.md").write_text(f"{BEGIN.format('weather')}\n{END}\n")
    with pytest.raises(UserError, match="headline weather: no study of that name has one; choose from .*families"):
        figures.main(["--results", str(tmp_path), "--readme", str(tmp_path / "README.md")])


def test_the_readme_says_what_the_results_say():
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    assert STUDY in dict(blocks)
    for study, text in blocks:
        assert text.strip() == headline_of(study, ROOT / "results", ROOT).strip()


def test_families_have_a_row_each_at_equal_time():
    table = study_families.headline(families())
    assert [row[0].text for row in table.rows[:2]] == ["phantom, GAN", "phantom, VAE"] and table.references == 4
    assert all(len(row) == len(table.header) for row in table.rows)
    gan = table.rows[0]
    assert [cell.text for cell in gan[1:4]] == ["0.030", "−0.020", "0.0600"] and table.rows[1][2].text == "–"


def test_downstream_arms_stand_beside_real_images_alone():
    table = study_downstream.headline(downstream())
    assert [row[0].text for row in table.rows[:3]] == ["CNN, real", "CNN, synthetic 1:1", "CNN, mixed 1:0.5"]
    assert all(len(row) == len(table.header) for row in table.rows)
    assert table.rows[0][3].text == "–" and table.rows[2][3].text == "0.05"
