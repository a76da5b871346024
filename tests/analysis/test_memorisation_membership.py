"""Membership inference on models whose scores are known."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.memorisation.by_subgroup import copied_by_subgroup, members_by_subgroup
from analysis.memorisation.membership import image_scores, of_all, of_scores
from analysis.memorisation.neighbours import Neighbours
from data.attributes import VALUES
from models.state import State
from models.update import even_draws
from tests.models.helpers import make_batch, make_gan

SEXES = VALUES["sex"]
STATE = State(jnp.zeros((), jnp.int32), {}, {}, {}, {})


class Family:
    """Its loss is the image's first pixel in [0, 1], and a time drawn from the number; eval_step sees floats."""

    def eval_step(self, state, batch, key):
        value = (batch["image"][:, 0, 0, 0] + 1) / 2
        return {"loss": value + even_draws(batch["id"]), "half": value / 2}


def make_rows(values, first=0):
    image = np.zeros((len(values), 4, 4, 1), np.uint8)
    image[:, 0, 0, 0] = values
    return {"image": image, "label": np.zeros((len(values), 1)), "id": np.arange(first, first + len(values))}


def test_scores_are_means_over_evenly_spread_times():
    run, rows = SimpleNamespace(family=Family(), state=STATE), make_rows(np.arange(70) * 3)
    scores = image_scores(run, rows, 8)
    np.testing.assert_allclose(scores["half"], -np.float64(rows["image"][:, 0, 0, 0]) / 510, atol=1e-6)
    times = -scores["loss"] - rows["image"][:, 0, 0, 0] / 255
    numbers = np.arange(70 * 8).reshape(70, 8)
    np.testing.assert_allclose(times, np.asarray(even_draws(jnp.asarray(numbers))).mean(1), atol=1e-5)
    assert np.ptp(times) < 0.2 < np.ptp(even_draws(jnp.arange(70)))  # so that they say less of the image's number


def test_a_model_that_knows_its_images_is_found_out():
    run = SimpleNamespace(family=Family(), state=STATE)
    member, unseen = make_rows([10] * 40), make_rows([240] * 130, 40)
    scores = [image_scores(run, rows) for rows in (member, unseen)]
    found = of_all(*scores)["half"]
    assert found["auc"]["value"] == 1 and found["tpr"]["value"] == 1 and found["auc"]["n"] == (40, 130)
    other = of_all(*reversed(scores))["half"]
    assert other["auc"]["value"] == 0 and other["tpr"] is None  # 40 images tell nothing of one in a hundred


def test_true_positives_at_one_in_a_hundred():
    unseen = np.arange(200.0)  # at most two of them may be taken for members: those above 197
    found = of_scores(np.array([197.5, 198.5, 300.0, 0.0]), unseen)
    assert found["tpr"]["value"] == 0.75 and found["fpr"] == 0.01
    assert of_scores(np.array([196.5, 197.0]), unseen)["tpr"]["value"] == 0
    assert of_scores(np.ones(9), unseen[:99])["tpr"] is None
    chance = np.random.default_rng(0).normal(size=(2, 4000))
    assert of_scores(*chance)["tpr"]["value"] == pytest.approx(0.01, abs=0.005)


def test_a_gan_is_asked_for_its_discriminator_s_logit():
    family, batch = make_gan(), make_batch(6)
    state = jax.jit(family.init)(jax.random.key(0), batch)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda a: a + 0.1 * rng.normal(size=a.shape), state.params["discriminator"])
    state = dataclasses.replace(state, params=state.params | {"discriminator": params})
    stored = rng.integers(0, 256, batch["image"].shape, np.uint8)
    rows = {"image": stored, "label": np.asarray(batch["label"]), "id": np.arange(6)}
    scores = image_scores(SimpleNamespace(family=family, state=state), rows, 8)
    judge = jax.jit(lambda image: family.discriminator.apply({"params": params}, image, batch["label"])[0])
    expected = judge(2 * np.float32(stored) / 255 - 1)
    np.testing.assert_allclose(scores["logit"], expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(scores["logit"]) > 1e-3


def test_a_subgroup_whose_images_are_known_by_heart_stands_out():
    """Women's images are known, men's are not; as many as twenty of a subgroup are needed to say so."""
    rng = np.random.default_rng(0)
    sex = np.repeat([0.0, 1.0, -1.0], (300, 300, 10))[:, None]  # as data.attributes codes them; -1 is unknown
    member = {"loss": rng.normal(size=610) + 3.0 * (sex[:, 0] == SEXES["female"])}
    alone = (np.arange(610), np.arange(610, 1220))
    found = members_by_subgroup(("sex",), (member, sex), ({"loss": rng.normal(size=610)}, sex), alone)
    assert set(found["sex"]) == set(SEXES)
    areas = {value: found["sex"][value]["loss"]["auc"] for value in SEXES}
    assert areas["female"]["low"] > 0.95 and areas["male"]["low"] < 0.5 < areas["male"]["high"]
    assert areas["female"]["n"] == areas["male"]["n"] == (300, 300)
    few = np.repeat([[SEXES["female"]], [SEXES["male"]]], (591, 19), axis=0)
    assert set(members_by_subgroup(("sex",), (member, few), (member, few), alone)["sex"]) == {"female"}


def test_copies_are_told_by_whom_they_show():
    sex = np.repeat([[SEXES["female"]], [SEXES["male"]]], (30, 70), axis=0)
    near = Neighbours(np.zeros(6), np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.9]), np.array([0, 29, 129, 99, 50, 51]))
    found = copied_by_subgroup(("sex",), near, 0.5, sex)["sex"]  # 129 is the mirrored 29
    assert found["female"]["copies"]["value"] == 0.75 and found["female"]["training"] == 0.3
    assert found["male"]["copies"]["value"] == 0.25 and found["male"]["copies"]["n"] == (4,)
    assert copied_by_subgroup(("sex",), near, 0.05, sex) == {}
