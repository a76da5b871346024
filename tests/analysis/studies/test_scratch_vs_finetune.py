"""The study of beginnings, end to end at its smallest, and what it makes of scored runs."""

import numpy as np
import pytest

from analysis import figures
from analysis.studies import scratch_vs_finetune as study
from analysis.studies.pairs import Scored
from tests.analysis.studies.helpers import run_study, without_times


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("study")
        return folder, *run_study(monkeypatch, folder, "scratch_vs_finetune.py:smoke")


def test_end_to_end(done):
    folder, code, content = done
    assert code == 0 and content["failed"] == {} and content["study"] == "scratch_vs_finetune"
    points = {(row["start"], row["seed"], row["step"]) for row in content["rows"]}
    assert points == {("scratch", s, p) for s in (0, 1) for p in (2, 4, 6)} | {
        ("natural", s, p) for s in (0, 1) for p in (2, 4)
    }
    primary = [row for row in content["contrasts"] if row["primary"]]
    assert len(primary) == 1 and primary[0]["budget"] == "steps" and len(primary[0]["differences"]) == 2
    figures = {f"smoke{name}.{ending}" for name in ("", "_samples_50") for ending in ("pdf", "png")}
    written = {path.name for path in (folder / "results" / "scratch_vs_finetune").iterdir()}
    assert written == figures | {"smoke", "smoke.json", "smoke.md", "smoke.tex"}
    kept = {path.name for path in (folder / "results" / "scratch_vs_finetune" / "smoke").iterdir()}
    assert kept == {"gan_scratch_0.5.png", "gan_natural_0.5.png"}
    assert str(folder) not in (folder / "results" / "scratch_vs_finetune" / "smoke.json").read_text()


def test_it_goes_on_where_it_was_and_draws_from_the_file_alone(done, monkeypatch, tmp_path, capsys):
    folder, _, content = done
    lines = (folder / "work" / "jobs.jsonl").read_text()
    (folder / "work" / "evaluations/gan/natural/fraction_0.5/seed_1/at_checkpoint_4.json").unlink()
    code, again = run_study(monkeypatch, folder, "scratch_vs_finetune.py:smoke")
    assert code == 0 and without_times(again) == without_times(content)
    more = (folder / "work" / "jobs.jsonl").read_text()[len(lines) :]
    assert more.count("\n") == 1 and "seed_1/evaluate" in more
    figures.main(["--results", str(folder / "results"), "--out", str(tmp_path)])
    name = "scratch_vs_finetune/smoke"
    for ending in ("md", "tex", "pdf", "png"):
        drawn = (tmp_path / f"{name}.{ending}").read_bytes()
        assert drawn == (folder / "results" / f"{name}.{ending}").read_bytes()


@pytest.mark.slow
def test_two_reruns_agree_bit_for_bit(done, monkeypatch, tmp_path):
    """But for what is read at a wall-clock time, which no two runs share."""
    both = [done[2], run_study(monkeypatch, tmp_path, "scratch_vs_finetune.py:smoke")[1]]
    for content in both:
        content["contrasts"] = [row for row in content["contrasts"] if row["budget"] == "steps"]
    assert both[0]["contrasts"] and without_times(both[0]) == without_times(both[1])


def test_a_run_that_fails_is_told_and_the_rest_goes_on(monkeypatch, tmp_path):
    fields = '--config.finetune_fields=("init.checkpoint=best",)'  # a source that has no such checkpoint
    code, content = run_study(monkeypatch, tmp_path, "scratch_vs_finetune.py:smoke", fields, "--config.seeds=(0,)")
    assert code == 1 and "no checkpoint has a score" in content["failed"]["gan/natural/fraction_0.5/seed_0/train"]
    assert {row["start"] for row in content["rows"]} == {"scratch"} and content["contrasts"] == []


def scored(family, start, seed, step, seconds, value):
    facts = {"family": family, "start": start, "fraction": 0.5, "seed": seed, "step": step, "seconds": seconds}
    return Scored(facts | {"kid": {"value": value}}, np.zeros(5))


def test_budgets_compare_what_cost_the_same():
    """Fine-tuning twice as slow a step, and a pretraining of 20 s."""
    from configs.studies.scratch_vs_finetune import get_config

    config = get_config("smoke")
    rows = []
    for seed in (0, 1):
        rows += [scored("gan", "scratch", seed, p, 10.0 * p, 10.0 - p + seed) for p in (2, 4, 6)]
        rows += [scored("gan", "natural", seed, p, 20.0 * p, 5.0 - p / 2 + seed) for p in (2, 4)]
    found = {row["budget"]: row for row in study.contrasts(config, rows, {"gan": {"natural": -20.0}})}
    assert found["steps"]["mean_a"] - found["steps"]["mean_b"] == pytest.approx(3.0 - 6.0)
    # At 40 s the fine-tuned run is at step 2, scratch at step 4.
    assert found["wall-clock"]["mean_a"] - found["wall-clock"]["mean_b"] == pytest.approx(4.0 - 6.0)
    assert found["wall-clock"]["seconds_apart"] == 0.0  # both are read at one time
    # The fine-tuned one ends at 80 - 20 s, when scratch is at step 6.
    counted = found["with pretraining"]
    assert counted["mean_a"] - counted["mean_b"] == pytest.approx(3.0 - 4.0)
    assert found["steps"]["seconds_apart"] == 80.0 - 40.0 and found["with pretraining"]["seconds_apart"] == 0.0
    # At 80 - 25 s scratch is between two points, and read at that time.
    between = {row["budget"]: row for row in study.contrasts(config, rows, {"gan": {"natural": -25.0}})}
    assert between["with pretraining"]["seconds_apart"] == 0.0
    assert between["with pretraining"]["mean_b"] == pytest.approx(4.5 + 0.5)
    # Of a longer pretraining scratch is read at its end, with as many steps; by how much the clocks differ is told.
    late = {row["budget"]: row for row in study.contrasts(config, rows, {"gan": {"natural": 20.0}})}
    assert late["with pretraining"]["seconds_apart"] == 100.0 - 60.0
    assert late["with pretraining"]["mean_b"] == pytest.approx(4.0 + 0.5)
    assert found["steps"]["primary"] and "p_holm" not in found["steps"] and "p_holm" in counted


def test_a_run_that_is_missing_takes_its_pair_along_and_no_other():
    from configs.studies.scratch_vs_finetune import get_config

    config = get_config("smoke")
    rows = [scored("gan", start, seed, p, p, value * seed) for start, value in (("scratch", 10.0), ("natural", 4.0))
            for seed in (0, 1, 2) for p in ((2, 4, 6) if start == "scratch" else (2, 4))]  # fmt: skip
    left = [row for row in rows if (row.facts["start"], row.facts["seed"], row.facts["step"]) != ("natural", 2, 4)]
    left = [row for row in left if (row.facts["start"], row.facts["seed"], row.facts["step"]) != ("scratch", 1, 6)]
    found = {row["budget"]: row for row in study.contrasts(config, left, {"gan": {"natural": 2.0}})}
    assert {budget: row["seeds"] for budget, row in found.items()} == {
        "steps": [0, 1], "wall-clock": [0, 1], "with pretraining": [0]}  # fmt: skip
    steps = found["steps"]
    assert steps["tuned"]["value"] == 2.0 and steps["scratch"]["value"] == 5.0 and steps["differences"] == [0.0, -6.0]


def test_only_what_the_protocol_names_is_primary():
    from configs.studies.scratch_vs_finetune import get_config

    assert get_config("cpu").primary.family == "ddpm" and get_config("cpu").data.preset == "brain_mri"
    for size in ("gpu", "cpu,nih"):
        assert get_config(size).primary.family == ""
