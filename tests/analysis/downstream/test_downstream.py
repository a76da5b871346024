"""`python -m analysis.downstream` and `.paired` as a user calls them, on runs small enough for tests."""

import contextlib
import dataclasses
import json
import sys
from unittest import mock

import pytest

from analysis import sample
from analysis.downstream import __main__ as downstream
from analysis.downstream import draw, paired
from analysis.downstream.measures import measure
from analysis.downstream.options import Settings
from analysis.downstream.predictions import load
from analysis.downstream.synthetic import drawn, read
from data import UserError
from tests.train.helpers import ROOT, train_command, write_run


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    """A GAN of random parameters, of the dataset that the arms below are of."""
    return write_run(tmp_path_factory.mktemp("runs") / "gan", cache=cache, config="gan_cxr")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def source(cache) -> list[str]:
    """The dataset and its size, those of `run`."""
    command = train_command("", cache=cache, config="gan_cxr")[3:]
    return ["--config", *(part for part in command if "data" in part or "gan" in part)]


def call(out, cache, *options):
    """The arm's result and predictions."""
    argv = ["downstream", *source(cache), "--steps=6", "--batch_size=16", "--checks=2", "--resamples=50",
            f"--out={out}", f"--sample_cache={cache}/drawn", *options]  # fmt: skip
    with mock.patch.object(sys, "argv", argv), contextlib.chdir(ROOT):
        assert downstream.main() == 0
    named = [part.partition("=")[2] for part in options if part.startswith("--name=")]
    path = out / f"{named[0]}.json"
    result = json.loads(path.read_text())
    return result, load(path.parent / result["scores"])


@pytest.fixture(scope="module")
def mixed(results, cache, run):
    return call(results, cache, f"--run={run}", "--arm=mixed", "--ratio=0.25", "--name=mixed")


@pytest.fixture(scope="module")
def duplicated(results, cache):
    return call(results, cache, "--arm=duplicated", "--ratio=0.25", "--name=duplicated")


def test_what_a_result_says(duplicated):
    result, predictions = duplicated
    assert (result["arm"], result["ratio"], result["training"]["images"]) == ("duplicated", 0.25, 120)
    assert result["exclusive"] and set(result["metrics"]) == {"all", *result["classes"]}
    assert len(predictions) == result["test"]["images"] == 16 and result["test"]["groups_are"] == "images"
    assert result["test"]["truth_sha256"] == predictions.truth_sha256()
    row = result["metrics"]["all"]["auroc"]
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    json.dumps(result, allow_nan=False)


def test_a_run_draws_once(mixed, cache, run):
    training = mixed[0]["training"]
    assert (training["images"], training["real"], training["synthetic"]) == (120, 96, 24)
    assert training["generator"]["same_split"] and training["generator"]["run"] == "gan"
    (folder,) = (path for path in (cache / "drawn").iterdir() if path.is_dir())
    settings = Settings(arm="mixed", run=str(run), sample_cache=str(cache / "drawn"))
    with mock.patch.object(sample, "main") as drawing:
        assert drawn(settings, 24) == folder and not drawing.called
        drawn(dataclasses.replace(settings, sample_seed=1), 24)
        drawn(settings, 25)
        assert drawing.call_count == 2
    images, labels, facts = read(folder)
    assert images.shape == (24, 16, 16, 1) and labels.shape == (24, 2) and facts["seed"] == 0


def test_images_drawn_for_a_large_ratio_serve_a_small_one(results, cache, run, mixed, tmp_path):
    argv = ["draw", *source(cache), f"--run={run}", "--ratio=0.5", f"--out={tmp_path}"]
    with mock.patch.object(sys, "argv", argv), contextlib.chdir(ROOT):
        assert draw.main() == 0
    images, _, _ = read(tmp_path)
    assert len(images) == 48
    result, _ = call(results, cache, "--arm=mixed", "--ratio=0.25", f"--samples={tmp_path}", "--name=from_more")
    assert result["training"]["synthetic"] == 24 and result["training"]["generator"]["same_split"]
    with mock.patch.object(sys, "argv", ["draw", *source(cache), f"--samples={tmp_path}"]), contextlib.chdir(ROOT):
        with pytest.raises(UserError, match="needs --run, the generator to draw from"):
            draw.main()


def test_samples_of_another_split_are_refused(results, cache, mixed):
    (folder,) = (path for path in (cache / "drawn").iterdir() if path.is_dir())
    other = "--config.data.official_split=False"
    options = ("--arm=synthetic", "--ratio=0.2", f"--samples={folder}", other, "--name=x")
    with pytest.raises(UserError, match="nothing shows that the generator learned from this training split"):
        call(results, cache, *options)


def seed_one(results, name: str) -> str:
    """The arm's result once more as if of seed 1, its logits half as large."""
    result = json.loads((results / f"{name}.json").read_text())
    held = load(results / result["scores"])
    dataclasses.replace(held, logit=held.logit / 2).save(results / f"{name}_1_scores.npz")
    result["settings"]["seed"], result["scores"] = 1, f"{name}_1_scores.npz"
    (results / f"{name}_1.json").write_text(json.dumps(result))
    return str(results / f"{name}_1.json")


def test_arms_are_compared_on_the_same_patients(results, mixed, duplicated, tmp_path):
    a, b = ([str(results / f"{name}.json"), seed_one(results, name)] for name in ("mixed", "duplicated"))
    assert paired.main(["--a", *a, "--b", *b, "--out", str(tmp_path / "d" / "x.json"), "--resamples", "50"]) == 0
    found = json.loads((tmp_path / "d" / "x.json").read_text())
    row, halved = found["metrics"]["all"]["nll"], load(results / "mixed_1_scores.npz")
    second = measure(halved, 20)["all"]["nll"]["value"]
    assert row["a"]["value"] == pytest.approx((mixed[0]["metrics"]["all"]["nll"]["value"] + second) / 2)
    assert row["difference"]["value"] == pytest.approx(row["a"]["value"] - row["b"]["value"])
    assert found["b"]["arm"] == "duplicated" and set(found["b"]["seeds"]) == {"0", "1"}
    with pytest.raises(UserError, match="--a: the files of one side are one arm"):
        paired.main(["--a", a[0], b[0], "--b", b[1]])
    with pytest.raises(UserError, match="give both the same seeds"):
        paired.main(["--a", *a, "--b", *reversed(b)])


def test_results_that_differ_in_more_than_their_images_are_refused(results, mixed, duplicated, tmp_path):
    other = json.loads((results / "duplicated.json").read_text())
    other["settings"]["steps"] = 7
    (results / "longer.json").write_text(json.dumps(other))
    with pytest.raises(UserError, match="results differ in steps"):
        paired.main(["--a", str(results / "mixed.json"), "--b", str(results / "longer.json")])
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(UserError, match="is no result"):
        paired.main(["--a", str(tmp_path / "none.json"), "--b", str(results / "mixed.json")])
    moved = dataclasses.replace(mixed[1], key=mixed[1].key[::-1])
    with pytest.raises(UserError, match="of other test images"):
        paired.compare([mixed[1]], [moved], 20)


def test_a_pair_shares_its_draws(mixed):
    """A classifier beside itself differs by nothing in every draw."""
    for rows in paired.compare([mixed[1]], [mixed[1]], 50).values():
        for row in rows.values():
            assert {row["difference"][part] for part in ("value", "low", "high")} in ({0.0}, {None})
