"""Every mistake gets one sentence on stderr, a non-zero exit, no traceback, and leaves nothing behind."""

import contextlib
from types import SimpleNamespace

import pytest

from analysis import evaluators
from configs import gan_cxr
from data import UserError
from tests.train.helpers import call, train, train_here

CASES = {
    "an unknown preset": ({"preset": "medmnist,smok"}, (), "preset 'smok' is unknown; choose from"),
    "two datasets": ({"preset": "medmnist,nih"}, (), "choose one"),
    "an unknown field": ({}, ("--config.train.batchsize=4",), "batchsize"),
    "a value of another type": ({}, ("--config.train.batch_size=many",), "batch_size"),
    "an unknown flag": ({}, ("--wrokdir=x",), "wrokdir"),
    "a stray word": ({}, ("smoke",), "'smoke' is not understood"),
    "a duration without a unit": ({}, ("--config.train.duration=200",), "is not a duration"),
    "no duration": ({}, ("--config.train.duration=0 steps",), "is no step"),
    "an unknown optimiser": ({}, ("--config.optim.net.name=adan",), "'adan' is unknown; choose one of adam"),
    "an unknown lr schedule": ({}, ("--config.optim.net.schedule=step",), "'step' is unknown"),
    "an unknown family": ({}, ("--config.model.family=ddqm",), "'ddqm' is unknown"),
    "an unknown target": ({}, ("--config.model.target=mu",), "'mu' is unknown"),
    "an unknown precision": ({}, ("--config.precision=fp8",), "'fp8' is unknown"),
    "a mesh that does not divide": ({}, ("--config.mesh.fsdp=3",), "does not divide"),
    "a size the network cannot take": ({}, ("--config.data.image_size=18",), "18"),
    "an unknown dataset": ({}, ("--config.data.name=cheXray",), "cheXray"),
    "a missing file": ({}, ("--config.data.dir=/nowhere/x.npz",), "/nowhere/x.npz"),
    "an unknown sampler": ({}, ("--config.sample.sampler=plms",), "'plms'"),
    "more steps than the chain has": (
        {}, ("--config.model.schedule=cosine", "--config.model.target=eps", "--config.model.weight=simple",
             "--config.sample.steps=2000"), "sampling: ",
    ),
    "an unknown postprocess": ({}, ("--config.sample.postprocess=sharpen",), "'sharpen' is unknown"),
    "guidance without a null label": ({}, ("--config.model.label_drop=0.0",), "needs a model that also learned"),
    "a negative clip": ({}, ("--config.optim.net.clip=-1.0",), "clip=-1 would turn gradients round"),
    "no images a step": ({}, ("--config.train.batch_size=0",), "config.train.batch_size=0 must be at least 1"),
    "no images a validation batch": ({}, ("--config.eval.batch_size=0",), "config.eval.batch_size=0 must be"),
    "a grid of -1 images": ({}, ("--config.eval.final_images=-1",), "config.eval.final_images=-1 must be"),
    "no checkpoint kept": ({}, ("--config.checkpoint.keep=0",), "config.checkpoint.keep=0 must be at least 1"),
    "-1 best checkpoints": ({}, ("--config.checkpoint.keep_best=-1",), "config.checkpoint.keep_best=-1 must be"),
    "KID of too few samples": (
        {}, ("--config.eval.kid_every=6 steps", "--config.eval.kid_images=9"), "kid_images=9 must be at least 10",
    ),
    "an unknown best metric without validation": (
        {}, ("--config.checkpoint.best=val_fid", "--config.eval.every="), "val_fid",
    ),
    "an unknown best metric": ({}, ("--config.checkpoint.best=val_fid",), "val_fid"),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("case", CASES)
def test_one_sentence(case, cache, tmp_path, capsys):
    kwargs, options, message = CASES[case]
    assert train_here(tmp_path / "run", *options, cache=cache, **kwargs) not in (0, None)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last, said
    assert not list(tmp_path.glob("run/*")), "something was left behind"


def test_a_sampler_that_a_segmenter_does_not_have(cache, tmp_path, capsys):
    run, options = tmp_path / "run", ("--config.data.num_images=120", "--config.data.image_size=16")
    cached = f"--config.data.cache={cache}/data"
    arguments = "--config", "configs/flow_seg.py:smoke", "--workdir", str(run), cached, *options
    assert call(*arguments, "--config.model.channels=(8,16)", "--config.sample.sampler=plms") == 1
    assert "error: segmenting: " in capsys.readouterr().err and not list(run.glob("*"))


@pytest.mark.parametrize("n, least", [(9, False), (0, False), (10, True)])
def test_kid_of_too_few_validation_images(n, least):
    config = gan_cxr.get_config()
    dataset = SimpleNamespace(info=SimpleNamespace(sizes={"train": 90, "val": n}, name="mine"))
    message = f"eval.kid_every .* mine has {n}: .*data.split"
    with contextlib.nullcontext() if least else pytest.raises(UserError, match=message):
        evaluators._check_kid(config, dataset)


def test_a_missing_config_file_is_named(tmp_path):
    import subprocess
    import sys

    from tests.train.helpers import ROOT

    command = [sys.executable, "-m", "train", "--config", "configs/ddpm_xray.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "configs/ddpm_cxr.py" in done.stderr and "Traceback" not in done.stderr


def test_a_folder_that_is_no_run_is_left_alone(cache, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    done = train(tmp_path / "run", cache=cache, check=False)
    assert done.returncode == 1 and "holds no run" in done.stderr
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["thesis.txt"]
