"""`python -m analysis.evaluate` as a user calls it: on runs, and on folders of anyone's images."""

import json

import numpy as np
import pytest
from PIL import Image

import analysis
from analysis import evaluate
from data import UserError
from tests.train.helpers import train_here


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A GAN's and a VAE's, of the same data."""
    folder, cache = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("cache")
    for family in ("gan", "vae"):
        train_here(folder / family, cache=cache, config=f"{family}_cxr")
    return folder


def score(out, *options):
    evaluate.main(
        [*map(str, options), "--out", str(out), "--features", "pixels", "--feature-cache", str(out / "cache")]
    )
    return {path.stem: json.loads(path.read_text()) for path in out.glob("*/*.json")}


def test_families_are_scored_alike(runs, tmp_path, capsys):
    results = score(tmp_path, "--run", runs / "gan", "--run", runs / "vae", "--n", 12, "--likelihood-n", 4)
    assert [results[name]["family"] for name in ("gan", "vae")] == ["gan", "vae"]
    for name, result in results.items():
        kid = result["metrics"]["pixels"]["kid"]
        for kind in ("generated", "floor", "ceiling"):
            assert kid[kind]["low"] < kid[kind]["value"] < kid[kind]["high"] and kid[kind]["n"] == [12, 12]
        assert result["features"]["pixels"]["name"] == "pixels" and result["parameters"] > 1000
        assert result["real"] | {"sha256": ""} == {
            "split": "test", "n": 12, "groups": 12, "groups_are": "images", "floor_n": 12, "sha256": "",
        }  # fmt: skip
        assert len(result["real"]["sha256"]) == 64 and result["train_seconds"] > 0
        assert set(result["label_fidelity"]) == set(analysis.load(runs / name).info.classes)
        strip = Image.open(next(tmp_path.glob(f"*/{name}.png")))
        assert strip.size == (12 * 16, 16) and strip.text["Synthetic"] == "true"
    a, b = results["gan"], results["vae"]
    assert a["real"] == b["real"]
    assert a["metrics"]["images"]["spectrum"]["floor"] == b["metrics"]["images"]["spectrum"]["floor"]
    assert a["grid"]["captions"] == b["grid"]["captions"] and len(a["grid"]["captions"]) == 12
    assert a["likelihood"] is None and b["likelihood"]["kind"] == "IWAE, k = 100"
    assert b["likelihood"]["bits_per_dim"]["n"] == [4] and b["likelihood"]["bits_per_dim"]["value"] > 0
    out = capsys.readouterr().out
    assert "12 generated beside 12 real images" in out and "real (floor)" in out and "bits/dim" in out


def test_vary_writes_a_file_for_each_value_against_the_same_real_images(runs, tmp_path):
    vary = ("--vary", "truncation=0.3,2.0", "--vary", "postprocess=none,bilateral_sharpen")
    results = score(tmp_path, "--run", runs / "gan", "--n", 10, *vary, "--parts", "")
    assert "gan_truncation_2.0_postprocess_none" in results and len(results) == 4
    for name, result in results.items():
        assert "truncation_{truncation}_postprocess_{postprocess}".format(**result["sampling"]) in name
        assert "label_fidelity" not in result
    kids = [result["metrics"]["pixels"]["kid"] for result in results.values()]
    assert len({kid["generated"]["value"] for kid in kids}) == 4 and len({kid["floor"]["value"] for kid in kids}) == 1
    with pytest.raises(UserError, match="--steps: the family 'gan' samples without it"):
        score(tmp_path, "--run", runs / "gan", "--n", 10, "--vary", "steps=3")


def picture(path, seed, size=16, shift=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.random.default_rng(seed).integers(0, 128, (size, size)) + shift).astype(np.uint8)).save(path)


def test_two_folders_of_images(tmp_path):
    for i in range(24):
        picture(tmp_path / "real" / f"{i % 2}" / f"{i}.png", i)
        picture(tmp_path / "fake" / f"{i}.png", 100 + i, shift=60)
    result = score(tmp_path / "out", "--real", tmp_path / "real", "--fake", tmp_path / "fake")["fake"]
    kid = result["metrics"]["pixels"]["kid"]
    assert kid["generated"]["low"] > kid["floor"]["high"] and kid["floor"]["n"] == [12, 12]
    assert result["dataset"] == "real" and result["sampling"]["n"] == 24 and result["real"]["n"] == 24
    fewer = score(tmp_path / "fewer", "--real", tmp_path / "real", "--fake", tmp_path / "fake", "--n", 12)["fake"]
    assert fewer["metrics"]["pixels"]["kid"]["floor"]["n"] == [12, 12]  # and not the halves of twelve
    for i in range(12):
        picture(tmp_path / "few" / f"{i}.png", 100 + i, shift=60)
    few = score(tmp_path / "few_out", "--real", tmp_path / "real", "--fake", tmp_path / "few")["few"]
    kid = few["metrics"]["pixels"]["kid"]  # floor and ceiling are of as many as were generated
    assert [kid[name]["n"] for name in ("generated", "floor", "ceiling")] == [[12, 12]] * 3


def test_a_generator_may_draw_black_and_hidden_files_are_none(tmp_path):
    from analysis.evaluation.folders import read_folder

    for i in range(10):
        picture(tmp_path / f"{i}.png", i)
    (tmp_path / "._0.png").write_bytes(b"what a Mac leaves in a zip")
    assert len(read_folder(tmp_path, "--real")) == 10
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "black.png")
    assert len(read_folder(tmp_path, "--fake")) == 11
    with pytest.raises(UserError, match="black.png shows nothing: every pixel is 0: replace it, or take it out"):
        read_folder(tmp_path, "--real")


def test_a_folder_that_sample_wrote_is_read_without_its_grid(tmp_path):
    from analysis.evaluation.folders import read_folder

    picture(tmp_path / "grid.png", 0, 64)
    np.savez(tmp_path / "samples.npz", images=np.zeros((11, 8, 8, 1), np.uint8))
    assert read_folder(tmp_path, "--fake").shape == (11, 8, 8, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--run", "a/ddpm", "--run", "b/ddpm"], "several runs are called ddpm"),
     (["--fake", "fake"], "give --run RUN"), (["--run", "a", "--real", "r", "--fake", "f"], "give --run RUN"),
     (["--real", "real", "--fake", "nowhere"], "--fake nowhere is no folder"),
     (["--real", "real", "--fake", "few"], "holds 1 images"),
     (["--real", "real", "--fake", "mixed"], "bring all images of --fake to one"),
     (["--real", "real", "--fake", "larger"], "--real holds images of 16x16, 1 channels, 8 bits, --fake of 20x20"),
     (["--run", "a", "--parts", "fid"], "--parts fid: unknown; known: likelihood"),
     (["--run", "a", "--vary", "step=3"], "--vary step=3: FIELD=VALUE"),
     (["--run", "a", "--vary", "steps=3,x"], "--vary steps=3,x: invalid literal"),
     (["--run", "a", "--run", "b", "--name", "c"], "--name is of one result file"),
     (["--run", "a", "--n", "9"], "--n must be at least 10"), (["--run", "nowhere"], "no run directory")],
)  # fmt: skip
def test_mistakes_leave_nothing(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    for i in range(10):
        picture(tmp_path / "real" / f"{i}.png", i)
        picture(tmp_path / "larger" / f"{i}.png", i, 20)
        picture(tmp_path / "mixed" / f"{i}.png", i, 16 + i // 9)
    picture(tmp_path / "few" / "0.png", 0)
    with pytest.raises(UserError, match=message):
        evaluate.main([*options, "--out", "out"])
    assert not (tmp_path / "out").exists()
