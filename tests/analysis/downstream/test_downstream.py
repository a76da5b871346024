"""`python -m analysis.downstream` and `.paired` as a user calls them, on runs small enough for tests."""

import contextlib
import json
import sys
from unittest import mock

import numpy as np
import pytest

from analysis import sample
from analysis.downstream import __main__ as downstream
from analysis.downstream import paired
from analysis.downstream.predictions import load
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


def call(out, cache, *options):
    """The arm's result and predictions; the dataset and its size are those of `run`."""
    config = [part for part in train_command("", cache=cache, config="gan_cxr")[3:] if "data" in part or "gan" in part]
    argv = ["downstream", "--config", *config, "--steps=6", "--batch_size=16", "--checks=2", "--resamples=50",
            f"--out={out}", f"--sample_cache={cache}/drawn", *options]  # fmt: skip
    with mock.patch.object(sys, "argv", argv), contextlib.chdir(ROOT):
        assert downstream.main() == 0
    named = [part.partition("=")[2] for part in options if part.startswith("--name=")]
    path = out / f"{named[0]}.json"
    result = json.loads(path.read_text())
    return result, load(path.parent / result["scores"])


def test_an_arm_of_real_images(results, cache):
    result, predictions = call(results, cache, "--name=real")
    assert (result["arm"], result["ratio"], result["training"]["images"]) == ("real", None, 96)
    assert result["exclusive"] and set(result["metrics"]) == {"all", *result["classes"]}
    assert len(predictions) == result["test"]["images"] == 16 and result["test"]["groups_are"] == "images"
    assert result["test"]["truth_sha256"] == predictions.truth_sha256()
    row = result["metrics"]["all"]["auroc"]
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    json.dumps(result, allow_nan=False)


def test_arms_that_a_run_draws_for(results, cache, run, capsys):
    options = (f"--run={run}", "--arm=mixed", "--ratio=0.25")
    result, first = call(results, cache, *options, "--name=mixed")
    assert result["training"]["images"] == 120 and result["training"]["synthetic"] == 24
    assert result["training"]["generator"]["same_split"] and result["training"]["generator"]["run"] == "gan"
    (folder,) = (path for path in (cache / "drawn").iterdir() if path.is_dir())
    assert "24 synthetic images" in capsys.readouterr().out
    again, second = call(results, cache, *options, "--name=again")
    assert "synthetic images:" not in capsys.readouterr().out  # they were kept
    np.testing.assert_array_equal(first.logit, second.logit)
    named, third = call(results, cache, f"--samples={folder}", *options[1:], "--name=named")
    np.testing.assert_array_equal(first.logit, third.logit)
    other, _ = call(results, cache, *options, "--sample_seed=1", "--name=other")
    assert len([path for path in (cache / "drawn").iterdir() if path.is_dir()]) == 2
    assert other["training"]["generator"]["seed"] == 1


def test_samples_of_another_split_are_refused(results, cache, run, tmp_path):
    out = tmp_path / "drawn"
    sample.main(["--run", str(run), "--n", "96", "--out", str(out)])
    with pytest.raises(UserError, match="nothing shows that the generator learned from this training split"):
        call(results, cache, "--arm=synthetic", f"--samples={out}", "--config.data.resize=stretch", "--name=x")


def test_arms_are_compared_on_the_same_patients(results, cache, run, tmp_path, capsys):
    for seed in (0, 1):
        call(results, cache, "--arm=duplicated", "--ratio=0.25", f"--seed={seed}", f"--name=twice{seed}")
        call(results, cache, "--arm=mixed", "--ratio=0.25", f"--run={run}", f"--seed={seed}", f"--name=mix{seed}")
    a, b = ([str(results / f"{name}{seed}.json") for seed in (0, 1)] for name in ("mix", "twice"))
    assert paired.main(["--a", *a, "--b", *b, "--out", str(tmp_path / "d" / "x.json"), "--resamples", "50"]) == 0
    found = json.loads((tmp_path / "d" / "x.json").read_text())
    row = found["metrics"]["all"]["nll"]
    assert row["difference"]["value"] == pytest.approx(row["a"] - row["b"])
    assert row["a"] == pytest.approx(np.mean([seed["nll"] for seed in found["a"]["seeds"].values()]))
    assert found["b"]["arm"] == "duplicated" and set(found["b"]["seeds"]) == {"0", "1"}
    with pytest.raises(UserError, match="--a: the files of one side are one arm"):
        paired.main(["--a", a[0], b[0], "--b", b[1]])
    call(results, cache, "--steps=7", "--name=longer")
    with pytest.raises(UserError, match="results differ in steps"):
        paired.main(["--a", a[0], "--b", str(results / "longer.json")])
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(UserError, match="is no result"):
        paired.main(["--a", str(tmp_path / "none.json"), "--b", b[1]])


def test_a_pair_shares_its_draws(results, cache):
    """A classifier beside itself differs by nothing in every draw."""
    _, predictions = call(results, cache, "--name=self")
    for rows in paired.compare([predictions], [predictions], 50).values():
        for row in rows.values():
            assert {row["difference"][part] for part in ("value", "low", "high")} in ({0.0}, {None})
