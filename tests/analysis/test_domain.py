"""Readers of findings and factors, and what is measured with them, on images where the answer is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.domain import classifier as classifying
from analysis.domain import regressor as regressing
from analysis.domain import store
from analysis.domain.factors import factors
from analysis.domain.features import domain_network
from analysis.domain.findings import findings, normal
from analysis.domain.targets import targets
from data import UserError
from data.phantom import mri_factors, natural_factors, tissue_factors, us_factors
from tests.analysis.domain_data import corners, dataset, levels


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(classifying, "STEPS", 150)
    monkeypatch.setattr(regressing, "STEPS", 300)


def test_findings_are_seen_where_they_are(tmp_path):
    real = dataset(corners, classes=("bright", "dark", "unasked"))
    asked = np.zeros((200, 3), np.float32)
    asked[:100, 0] = 1
    shown = corners(200, 6)["image"]
    drawn = np.random.default_rng(7).normal(128, 20, (200, 16, 16, 1))
    drawn[:100, :5, :5] += 40  # all that were asked for
    drawn[100:150, 10:, 10:] -= 40  # and half of the normal ones show what nobody asked for
    drawn = np.clip(drawn, 0, 255).astype(np.uint8)
    found = findings(real, drawn, asked, folder=tmp_path)
    bright, dark = found["seen"]["bright"], found["seen"]["dark"]
    assert bright["generated"]["value"] > 0.9 and bright["generated"]["n"] == (100,)
    assert bright["real"]["value"] > 0.9 and bright["threshold_from"] == "normal"
    assert dark["generated"] is None and dark["false"]["generated"]["value"] == pytest.approx(0.53, abs=0.08)
    assert bright["false"]["real"]["value"] == pytest.approx(0.05, abs=0.06)
    assert found["false_findings"]["generated"]["value"] > 0.48 > found["false_findings"]["real"]["high"]
    assert found["label_fidelity"]["dark"]["samples"] is None
    json.dumps(found, allow_nan=False)
    unheeded = findings(real, shown, asked, folder=tmp_path)["seen"]["bright"]
    assert unheeded["generated"]["value"] == pytest.approx(0.4, abs=0.15)


def test_intervals_of_real_images_are_over_their_patients(tmp_path):
    """Each image three times, of one patient. Those of the drawn ones stay: each is alone."""
    real, shown = dataset(corners, classes=("bright", "dark", "unasked")), corners(200, 6)
    test = real.arrays("test")
    for name in ("image", "label"):
        test[name] = test[name][:100].repeat(3, axis=0)
    alone = findings(real, shown["image"], shown["label"], folder=tmp_path)
    test["patient"] = np.arange(300) // 3
    owned = findings(real, shown["image"], shown["label"], folder=tmp_path)
    assert owned["label_fidelity"]["unasked"]["real"] != alone["label_fidelity"]["unasked"]["real"]
    assert owned["label_fidelity"]["unasked"]["samples"] == alone["label_fidelity"]["unasked"]["samples"]
    rare = owned["seen"]["dark"]["false"]
    assert rare["generated"] == alone["seen"]["dark"]["false"]["generated"]
    width = lambda row: row["high"] - row["low"]  # noqa: E731
    assert width(rare["real"]) > 1.2 * width(alone["seen"]["dark"]["false"]["real"])


def test_normal_is_named_or_the_absence_of_all():
    labels = np.array([[1, 0], [0, 1], [0, 0], [-1, 0]], np.float32)
    assert normal(("cyst", "mass"), labels).tolist() == [False, False, True, False]
    assert normal(("Normal", "mass"), labels).tolist() == [True, False, False, False]


def test_without_normals_there_are_no_false_findings(tmp_path):
    def one_of_two(n, seed):
        made = corners(n, seed)
        made["label"][:, 1], made["label"][:, 2] = 1 - made["label"][:, 0], 0
        return made

    real = dataset(one_of_two, classes=("bright", "not"), exclusive=True)
    sample = one_of_two(60, 9)
    found = findings(real, sample["image"], sample["label"], folder=tmp_path)
    assert found["false_findings"] is None and found["seen"]["bright"]["threshold_from"] == "without it"


def test_factors_are_compared_where_they_are_read(tmp_path):
    real = dataset(levels, factors=("level", "hidden"))
    same = factors(real, levels(200, 11)["image"], folder=tmp_path)
    level, hidden = same["factors"]["level"], same["factors"]["hidden"]
    assert level["r2"]["value"] > 0.8 and level["r2"]["low"] < level["r2"]["value"] < level["r2"]["high"]
    assert level["readable"] and not hidden["readable"] and same["unreadable"] == ["hidden"]
    assert level["wasserstein"]["generated"]["low"] == 0.0 and level["wasserstein"]["floor"]["n"] == (200, 300)
    alone = pytest.approx(level["wasserstein"]["generated"]["value"])
    assert same["mean_wasserstein"]["generated"]["value"] == alone
    assert same["correlations"] is None  # one readable factor has no pair
    moved = factors(real, levels(200, 12, mean=1.0)["image"], folder=tmp_path)["factors"]["level"]
    assert moved["wasserstein"]["generated"]["value"] == pytest.approx(1.0, abs=0.25)
    assert moved["wasserstein"]["generated"]["low"] > moved["wasserstein"]["floor"]["value"]
    assert moved["mean"]["generated"] - moved["mean"]["real"] == pytest.approx(1.0, abs=0.25)
    assert moved["ks"]["generated"] > 0.3 > moved["ks"]["floor"]
    json.dumps(same, allow_nan=False)


def test_a_reader_is_trained_once(tmp_path, monkeypatch):
    real = dataset(corners, classes=("bright", "dark", "unasked"))
    first = domain_network(real, tmp_path, seed=3)
    (path,) = tmp_path.glob("domain_findings_*.npz")
    images = corners(70, 13)["image"]
    assert first(images).shape == (70, 128) and first.name == "domain" and first.resize == "none"
    assert set(classifying.classifier(real, tmp_path, 3).check) == {"bright", "dark", "unasked"}
    with monkeypatch.context() as patched:
        patched.setattr(classifying, "train", None)  # training again would fail
        again = domain_network(real, tmp_path, seed=3)
        assert again.weights == first.weights and np.array_equal(again(images), first(images))
    for changed in (4, real.info.__dict__ | {"fingerprint": "1" * 16}):
        other = real if changed == 4 else SimpleNamespace(info=SimpleNamespace(**changed), arrays=real.arrays)
        domain_network(other, tmp_path, seed=changed if changed == 4 else 3)
    assert len(list(tmp_path.glob("*.npz"))) == 3 and len(list(tmp_path.iterdir())) == 3
    path.write_bytes(path.read_bytes()[:1000])
    assert domain_network(real, tmp_path, seed=3).weights == first.weights


def test_a_run_keeps_its_readers_and_brings_them(tmp_path):
    cache, run, other = (tmp_path / name for name in ("cache", "run", "other"))
    cache.mkdir()
    (cache / "domain_findings_abc_1.npz").write_bytes(b"first")
    (cache / "domain_findings_xyz_1.npz").write_bytes(b"another dataset's")
    store.share("abc", cache, run / "domain")
    assert [path.name for path in (run / "domain").iterdir()] == ["domain_findings_abc_1.npz"]
    store.share("abc", other, run / "domain")
    assert (other / "domain_findings_abc_1.npz").read_bytes() == b"first"
    (other / "domain_findings_abc_1.npz").write_bytes(b"its own")
    store.share("abc", other, run / "domain")
    assert (other / "domain_findings_abc_1.npz").read_bytes() == b"its own"
    assert (run / "domain" / "domain_findings_abc_1.npz").read_bytes() == b"first"


def test_what_cannot_be_read_is_said(tmp_path):
    nothing = dataset(levels, name="plain")
    with pytest.raises(UserError, match="neither classes nor factors"):
        domain_network(nothing)
    with pytest.raises(UserError, match="plain has no factors"):
        factors(nothing, levels(10, 0)["image"])
    with pytest.raises(UserError, match="plain has no classes"):
        findings(nothing, levels(10, 0)["image"], np.zeros((10, 0)))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="name another folder"):
        domain_network(dataset(corners, 64, 30, classes=("a", "b", "c")), tmp_path / "file")


def test_factors_give_the_features_where_there_are_no_classes(tmp_path):
    features = domain_network(dataset(levels, factors=("level", "hidden")), tmp_path)
    assert features(levels(5, 0)["image"]).shape == (5, 128)
    assert [path.name[:14] for path in tmp_path.iterdir()] == ["domain_factors"]


@pytest.mark.parametrize(
    ("name", "module", "column", "expected"),
    [
        ("phantom_mri", mri_factors, "contrast = FLAIR", lambda v: v == 2),
        ("phantom_us", us_factors, "class_draw = benign", lambda v: (v >= 0.5) & (v < 0.75)),
        ("phantom_tissue", tissue_factors, "sin lesion_angle", np.sin),
        ("natural", natural_factors, "cos direction", lambda v: np.cos(2 * v)),
    ],
)
def test_angles_and_kinds_are_learned_as_what_they_are(name, module, column, expected):
    names = tuple(factor.name for factor in module.TABLE)
    factor = next(f for f in module.TABLE if f.name in column.split())
    drawn = np.random.default_rng(0).uniform(factor.a, factor.b, (50, len(names)))
    values = drawn[:, names.index(factor.name)]
    if column.startswith("contrast"):
        values[:] = np.floor(values)
    columns = targets(SimpleNamespace(name=name, factors=names), drawn)
    assert columns[column] == pytest.approx(expected(values).astype(float), abs=1e-5)
    assert factor.name not in columns


def test_natural_contrast_is_a_number():
    names = tuple(factor.name for factor in natural_factors.TABLE)
    drawn = np.random.default_rng(0).uniform(size=(9, len(names)))
    assert "contrast" in targets(SimpleNamespace(name="natural", factors=names), drawn)
