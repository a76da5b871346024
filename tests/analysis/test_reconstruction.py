"""Reconstruction's figures, of invented families whose errors are known."""

from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from analysis import reconstruction as module
from analysis.features.perceptual import PerceptualDistance
from analysis.reconstruction import reconstruction
from data import UserError
from data.ranges import to_float

N = 70  # more than one batch


def images(bits):
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(0).integers(20, np.iinfo(dtype).max - 20, (N, 16, 16, 1), dtype)


def stand_ins(reconstruct, bits=8, sizes=N, stored=None, patient=None):
    stored = images(bits) if stored is None else stored

    def epoch(split, batch_size, limit):
        """As Dataset.epoch: the last batch filled up, with weight 0."""
        for start in range(0, limit, batch_size):
            rows = np.arange(start, start + batch_size)
            label = np.zeros((batch_size, 2), np.float32)
            image = to_float(stored[np.minimum(rows, limit - 1)])
            yield {"image": image, "label": label, "id": rows, "weight": 1.0 * (rows < limit)}

    state = SimpleNamespace(replace=lambda opt_state: jnp.zeros(()))
    run = SimpleNamespace(family=SimpleNamespace(reconstruct=reconstruct), state=state, folder=Path("runs/a"),
                          info=SimpleNamespace(bits=bits),
                          config=SimpleNamespace(model=SimpleNamespace(family="gan")))  # fmt: skip
    arrays = {"id": np.arange(N), "patient": np.full(N, -1) if patient is None else patient}
    info = SimpleNamespace(sizes={"test": sizes})
    return run, SimpleNamespace(info=info, epoch=epoch, arrays=lambda split: arrays)


def gaps(pairs):
    return np.abs(np.diff(pairs.astype(float), axis=1)).mean((1, 2, 3, 4))


PLAIN = PerceptualDistance("gaps", "", "", (), gaps)


@pytest.mark.parametrize("bits", [8, 16])
def test_images_that_are_off_by_five_levels(bits):
    most = 2**bits - 1
    run, dataset = stand_ins(lambda state, batch: batch["image"] + 10 / most, bits)
    result = reconstruction(run, dataset, N, distance=PLAIN)
    got = result["psnr"]["reconstructed"]
    expected = 20 * np.log10(most / 5)
    assert got["value"] == got["low"] == got["high"] == pytest.approx(expected, rel=1e-6) and got["n"] == [N]
    assert result["perceptual"]["reconstructed"]["value"] == 5 and result["perceptual"]["better"] == "lower"
    assert result["ssim"]["reconstructed"]["value"] > 0.9
    for name in ("psnr", "ssim", "perceptual"):
        another = result[name]["another"]
        assert another["low"] < another["value"] < another["high"] and another["n"] == [N // 2]
        worse = another["value"] - result[name]["reconstructed"]["value"]
        assert worse < 0 if result[name]["better"] == "higher" else worse > 0
    stored = images(bits).astype(float)
    gaps_of_two = [np.abs(a - b).mean() for i, a in enumerate(stored) for b in stored[:i]]
    assert result["perceptual"]["another"]["value"] == pytest.approx(np.mean(gaps_of_two), rel=0.02)


def test_another_image_is_one_of_another_patient():
    """Ten patients of seven images that are all alike: neighbours in the store tell nothing of a stranger."""
    patient = np.arange(N) // 7
    stored = np.broadcast_to(np.uint8(20 * patient)[:, None, None, None], (N, 16, 16, 1)) + images(8) % 2
    run, dataset = stand_ins(lambda state, batch: batch["image"], stored=stored, patient=patient)
    another = reconstruction(run, dataset, N, distance=PLAIN)["perceptual"]["another"]
    gaps_of_two = [20 * abs(a - b) for a in range(10) for b in range(a)]
    assert another["value"] == pytest.approx(np.mean(gaps_of_two), rel=0.25) and another["n"][0] < N // 2


def test_the_interval_is_over_patients():
    """The same error in all images of a patient: seventy images say no more than the ten patients they are of."""
    patient = np.arange(N) // 7
    error = jnp.asarray(np.random.default_rng(1).permutation(10)[patient] / 255.0)
    moved = lambda state, batch: batch["image"] + 2 * error[: len(batch["image"])][:, None, None, None]  # noqa: E731
    widths = []
    for who in (None, patient):
        run, dataset = stand_ins(moved, patient=who)
        got = reconstruction(run, dataset, 63, distance=PLAIN)["perceptual"]["reconstructed"]
        widths.append(got["high"] - got["low"])
    assert widths[1] / widths[0] == pytest.approx(7**0.5, rel=0.2)


def test_an_image_that_is_given_back_exactly_has_no_mean_psnr():
    run, dataset = stand_ins(lambda state, batch: batch["image"])
    result = reconstruction(run, dataset, 11, distance=PLAIN)
    assert result["psnr"]["reconstructed"] == {"value": None, "low": None, "high": None, "n": [11]}
    assert result["ssim"]["reconstructed"]["value"] == pytest.approx(1)


def test_the_perceptual_distance_is_of_efficientnet_where_none_is_named(monkeypatch):
    monkeypatch.setattr(module.perceptual, "build", lambda: PLAIN)
    run, dataset = stand_ins(lambda state, batch: batch["image"])
    assert reconstruction(run, dataset, 10)["features"]["name"] == "gaps"


def test_what_is_refused():
    for split, n, size in (("test", 70, 9), ("val", 70, 70), ("test", 9, 70)):
        run, dataset = stand_ins(lambda state, batch: batch["image"], sizes=size)
        with pytest.raises(UserError, match=f"reconstruction needs 10 images of the split '{split}' at least"):
            reconstruction(run, dataset, n, split)
    del run.family.reconstruct
    with pytest.raises(UserError, match="runs/a: the family 'gan' encodes no images; give a run of a VAE"):
        reconstruction(run, dataset, 70)


def test_images_of_one_patient_have_no_stranger_and_no_interval():
    run, dataset = stand_ins(lambda state, batch: batch["image"] + 0.1, patient=np.zeros(N, int))
    result = reconstruction(run, dataset, 20, distance=PLAIN)["perceptual"]
    assert result["another"] == {"value": None, "low": None, "high": None, "n": [0]}
    assert result["reconstructed"]["value"] > 0 and np.isnan(result["reconstructed"]["low"])
