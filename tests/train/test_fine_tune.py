"""Runs that begin from trained parameters: what they take, what they train, how they go on, what they refuse."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

import analysis
from data import UserError
from models.update import EMA, Updater
from tests.train.helpers import TINY, opened, run_train, train_here, write_run
from tests.train.test_resume import assert_same_run
from train import begin, build, sharding
from train.fine_tune import Options, counts, options_of, read_start
from train.optim import by_role
from train.sources import flatten


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def source(tmp_path_factory, cache):
    """A run on colour images; its parameters and their average are random numbers."""
    return write_run(tmp_path_factory.mktemp("runs") / "source", "--config.data.channels=3", cache=cache)


def started(folder, cache, *options):
    """(start, fresh state, state begun) of a run with these options."""
    config, dataset = opened(folder, *options, cache=cache)
    mesh, means, covariance = sharding.make_mesh(1), dataset.label_means(), build.covariance_of(config, dataset)
    start = begin.prepare(config, folder, dataset.info, means, covariance)
    family = build.build_family(config, dataset.info, means, start, covariance)
    fresh = build.init_state(family, dataset.info, mesh, config.seed)
    return start, fresh, start.begin(fresh)


def leaves(state, place="params"):
    return {path: np.asarray(a) for path, a in flatten(getattr(state, place)["net"]).items()}


STEMS = ("conv_local", "kernel"), ("conv_guess", "kernel")


@pytest.mark.parametrize("average", [True, False])
def test_a_run_begins_from_the_average_or_the_raw_weights(source, tmp_path, cache, average):
    given = f"--config.init.source={source}", f"--config.init.average={average}"
    start, fresh, state = started(tmp_path / "run", cache, *given)
    theirs = leaves(analysis.load(source).state, "ema" if average else "params")
    ours = leaves(state)
    for path, value in ours.items():
        if path not in (*STEMS, ("conv_out", "kernel"), ("conv_out", "bias")):
            np.testing.assert_array_equal(value, theirs[path])
    for path in STEMS:
        np.testing.assert_allclose(ours[path], theirs[path].reshape(3, 3, 3, 4, 16).sum(2), rtol=1e-5, atol=1e-6)
    for path, value in leaves(state, "ema").items():
        np.testing.assert_array_equal(value, ours[path])  # the average begins anew
    assert int(state.step) == 0 and not any(a.any() for a in jax.tree.leaves(state.opt_state))
    assert jax.tree.structure(state) == jax.tree.structure(fresh)
    assert start.facts["step"] == 3 and start.facts["dataset"] == "medmnist"
    assert start.facts["weights"] == {"net": "average" if average else "raw"}
    assert start.differences == []


def test_a_source_may_be_named_from_where_one_stands(source, tmp_path, cache, monkeypatch):
    monkeypatch.chdir(source.parent)
    _, _, state = started(tmp_path / "here", cache, f"--config.init.source={source.name}")
    _, _, other = started(tmp_path / "there", cache, f"--config.init.source={source}")
    jax.tree.map(np.testing.assert_array_equal, state.params, other.params)


def test_the_report_lists_every_tensor_and_is_read_back(source, tmp_path, cache, capsys):
    checkpoint = source / "checkpoints" / "3"
    given = f"--config.init.source={checkpoint}", "--config.init.train=head", "--config.data.channels=3"
    start, _, state = started(tmp_path, cache, *given)
    begin.record(tmp_path, start)
    begin.tell(start)
    saved = json.loads((tmp_path / "init.json").read_text())
    assert {tuple(t["path"].split("/")) for t in saved["tensors"]} == set(leaves(state))
    assert {t["status"] for t in saved["tensors"]} == {"loaded"}
    assert len(saved["source"]["sha256"]) == 64
    again = read_start(tmp_path, Options(source="anywhere"))
    assert again.roles == start.roles and again.rows == start.rows and again.params is None
    sizes = counts(again)
    assert sizes["new"] == 0 and 0 < sizes["pretrained"] < sizes["frozen"]
    said = capsys.readouterr().err
    assert f"{sizes['pretrained']:,} trained" in said and "loaded" in said
    config, dataset = opened(tmp_path, *given, cache=cache)
    build.build_family(config, dataset.info, dataset.label_means(), again, build.covariance_of(config, dataset))


def test_a_checkpoint_without_its_run_names_no_classes(source, tmp_path, cache):
    alone = shutil.copytree(source / "checkpoints", tmp_path / "alone")
    start, *_ = started(tmp_path / "run", cache, f"--config.init.source={alone}", "--config.data.channels=3")
    rules = {"/".join(row.path): row.rule for row in start.rows if row.rule}
    rule = "rows in order: the source names no classes"
    assert rules == {"label_embedding/kernel": rule, "label_embedding/null": rule}
    assert start.facts["kind"] == "checkpoint" and start.facts["dataset"] is None


def test_adapters_are_trained_and_nothing_that_was_loaded(source, tmp_path, cache):
    start, fresh, state = started(
        tmp_path, cache, f"--config.init.source={source}", "--config.init.train=lora", "--config.init.lora_rank=2"
    )
    sizes, factors = counts(start), {p: a for p, a in leaves(state).items() if p[-1].startswith("lora_")}
    assert sizes["new"] == sum(a.size for a in factors.values()) and sizes["pretrained"] == 0 and factors
    moments = sum(a.size for a in jax.tree.leaves(state.opt_state))
    assert moments < 3 * sizes["new"]  # two moments of each factor, and none of what is frozen


def toy(roles, rate=1.0, steps=3, a=0.7):
    """States before and after some steps of adamw on two numbers whose gradient is 1, decayed by a tenth."""
    optimizer = by_role(optax.adamw(0.1, weight_decay=0.1), roles, rate)
    frozen = frozenset(path for path, role in roles.items() if role == "frozen")
    updater = Updater({"net": optimizer}, EMA(100.0, 1.0), frozen={"net": frozen})
    params = {"net": {"a": {"kernel": jnp.broadcast_to(a, (3, 3))}, "b": {"kernel": jnp.full((3, 3), 0.3)}}}
    state = before = updater.init(params, ("net",))
    batch = {"weight": jnp.ones(4)}
    step = jax.jit(lambda s: updater.step(s, "net", lambda p, part: (
        jnp.ones(4) * (p["a"]["kernel"].sum() + p["b"]["kernel"].sum()), {}), batch))  # fmt: skip
    for _ in range(steps):
        state, scalars = step(state)
    return leaves(before), state, scalars


def test_what_is_frozen_stays_and_so_does_its_average():
    uneven = np.linspace(0.1, 3.0, 9, dtype=np.float32).reshape(3, 3)  # an average of equals would round some of them
    before, state, scalars = toy({"a/kernel": "frozen", "b/kernel": "new"}, steps=9, a=uneven)
    after, ema = leaves(state), leaves(state, "ema")
    np.testing.assert_array_equal(after["a", "kernel"], before["a", "kernel"])
    np.testing.assert_array_equal(ema["a", "kernel"], before["a", "kernel"])
    assert (after["b", "kernel"] < before["b", "kernel"] - 0.8).all()
    assert float(scalars["grad_norm"]) == pytest.approx(3.0)  # of b's nine ones alone


def test_the_pretrained_part_moves_at_its_own_rate():
    before, state, _ = toy({"a/kernel": "pretrained", "b/kernel": "new"}, rate=0.1, steps=1)
    moved = {path[0]: float((before[path] - value).mean()) for path, value in leaves(state).items()}
    assert moved["a"] == pytest.approx(0.1 * (0.1 + 0.1 * 0.1 * 0.7), rel=1e-4)  # rate (learning rate (1 + decay w))
    assert moved["b"] == pytest.approx(0.1 + 0.1 * 0.1 * 0.3, rel=1e-4)


def test_a_run_from_before_there_was_fine_tuning():
    assert options_of(ConfigDict({"seed": 0})) == Options()


def test_a_run_whose_report_is_lost(source, tmp_path):
    shutil.copytree(source, tmp_path / "run")
    with pytest.raises(UserError, match="init.json is missing"):
        read_start(tmp_path / "run", Options(source=str(source)))


def test_a_source_that_has_changed(source, tmp_path, cache):
    """Before the first checkpoint the source is read again; it must be the same."""
    start, *_ = started(tmp_path, cache, f"--config.init.source={source}")
    start.facts["sha256"] = "0" * 64
    begin.record(tmp_path, start)
    with pytest.raises(UserError, match="has changed since"):
        started(tmp_path, cache, f"--config.init.source={source}")


REFUSED = {
    "nothing there": (("--config.init.source=/nowhere/run",), "'/nowhere/run' is not there"),
    "no run": (("--config.init.source={empty}",), "is no run directory"),
    "no weights": (("--config.init.source={text}",), "no file of weights; they end in .safetensors"),
    "damaged weights": (("--config.init.source={damaged}",), "damaged.safetensors"),
    "a pickle of something else": (("--config.init.source={pickle}",), "weights.pth"),
    "no such step": (("--config.init.source={source}", "--config.init.checkpoint=7"), "no intact checkpoint of step 7"),
    "no score": (("--config.init.source={source}", "--config.init.checkpoint=best"), "no checkpoint has a score"),
    "another network": (
        ("--config.init.source={source}", "--config.model.unet.channels=32"), "of this model's numbers (net/"
    ),
    "no source": (("--config.init.train=head",), "'head' needs config.init.source"),
    "an unknown part": (("--config.init.source={source}", "--config.init.train=body"), "choose one of all, head"),
    "no judge": (("--config.init.source={source}", "--config.init.train=freezed"), "this model has none"),
    "no rank": (("--config.init.source={source}", "--config.init.lora_rank=0"), "lora_rank=0 must be at least 1"),
    "a negative rate": (("--config.init.source={source}", "--config.init.rate=-1"), "config.init.rate=-1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_one_sentence(case, source, tmp_path, cache, capsys):
    options, message = REFUSED[case]
    places = {"source": source, "empty": tmp_path / "empty", "text": tmp_path / "notes.txt",
              "damaged": tmp_path / "damaged.safetensors", "pickle": tmp_path / "weights.pth"}  # fmt: skip
    places["empty"].mkdir()
    for name in ("text", "damaged", "pickle"):
        places[name].write_bytes(b"not weights" * 10)
    assert train_here(tmp_path / "run", *(o.format(**places) for o in options), cache=cache) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ") and message in said, said
    assert not (tmp_path / "run").exists(), "something was left behind"


def test_dry_run_counts_what_is_trained(source, tmp_path, cache, capsys):
    options = f"--config.init.source={source}", "--config.init.train=head", "--dry-run"
    assert train_here(tmp_path / "run", *options, cache=cache) == 0
    said = capsys.readouterr()
    line = next(line for line in said.out.splitlines() if line.startswith("parameters:"))
    assert "trained, of which" in line and "frozen" in line and not (tmp_path / "run").exists()
    assert "summed over the source's channels" in " ".join(said.err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "kind"), [("ddpm_cxr", "lora"), ("flow_cxr", "head"), ("gan_cxr", "freezed"), ("vae_cxr", "all")]
)
def test_a_fine_tuned_run_goes_on_without_its_source(config, kind, tmp_path, capsys):
    same = {"cache": tmp_path / "cache", "config": config}
    source = write_run(tmp_path / "source", "--config.data.channels=3", **same)
    options = f"--config.init.source={source}", f"--config.init.train={kind}", "--config.init.rate=0.5"
    assert train_here(tmp_path / "whole", *options, **same) == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "12")  # as if it had been killed after step 6
    (tmp_path / "parts" / "checkpoints" / "12.sha256").unlink()
    source.rename(tmp_path / "gone")
    assert train_here(tmp_path / "parts", *options, **same) == 0
    assert "going on from step 6" in capsys.readouterr().err
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert_only_trained_moved(tmp_path / "whole", tmp_path / "gone")
    run = analysis.load(tmp_path / "whole")
    keys, label = jax.random.split(jax.random.key(0), 2), jnp.zeros((2, len(run.info.labels)))
    assert run.family.sample(run.state, keys, label).shape == (2, 16, 16, 1)
    assert json.loads((tmp_path / "whole" / "provenance.json").read_text())[0]["source"]["step"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ddpm", "flow", "gan", "vae"])
def test_from_natural_images_to_chest_x_rays(family, tmp_path):
    """The two commands of docs/fine_tuning.md, in their smoke size."""
    small = (*TINY[f"{family}_cxr"], "--config.data.image_size=16", "--config.data.num_images=96")
    before, after = f"configs/pretrain_natural.py:{family},smoke", f"configs/{family}_cxr.py:smoke"
    run_train(tmp_path / "natural", before, tmp_path, *small)
    run_train(tmp_path / "tuned", after, tmp_path, *small, f"--config.init.source={tmp_path / 'natural'}")
    begun = json.loads((tmp_path / "tuned" / "init.json").read_text())
    assert begun["source"]["dataset"] == "natural" and begun["model_differences"] == []
    fresh = {t["path"] for t in begun["tensors"] if t["status"] == "fresh"}
    assert all(path.startswith(("label_embedding", "basis")) for path in fresh), fresh
    assert json.loads((tmp_path / "tuned" / "summary.json").read_text())["step"] == 12


def assert_only_trained_moved(folder, source):
    """What is frozen is what the source's average has, to the bit; what is trained is not what it was."""
    there, run = analysis.load(source).state, analysis.load(folder)
    tensors = json.loads((folder / "init.json").read_text())["tensors"]
    loaded = [t for t in tensors if t["status"] == "loaded"]
    moved = {"frozen": [], "pretrained": []}
    for t in loaded:
        path, name = tuple(t["path"].split("/")), t["network"]
        old = flatten({name: there.sampling_params(name)})[name, *path]
        moved[t["training"]].append(bool((flatten(run.state.params)[name, *path] != old).any()))
    assert not any(moved["frozen"]) and (not moved["pretrained"] or np.mean(moved["pretrained"]) > 0.7)
