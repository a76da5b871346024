"""The two segmenters: the same network, the sampler that was trained and the published one, and what they learn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models import ode
from models.augment import dihedral
from models.flow_seg import network_image, one_rater
from models.overlap import dice
from models.pixels import PixelScale
from models.seg_net import HEAD
from tests.models.helpers import FAST, SIZE, assert_close, make_batch, make_segmenter, steps

FAMILIES = ("flow_seg", "unet_seg")


def discs(n, seed=0):
    """Images of a bright disc on a noisy ground, and the discs as masks."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    center, radius = rng.uniform(2, SIZE - 3, (n, 2, 1, 1)), rng.uniform(1.5, 3, (n, 1, 1))
    mask = ((y - center[:, 0]) ** 2 + (x - center[:, 1]) ** 2 < radius**2).astype(np.float32)
    image = np.clip(mask - 0.5 + 0.1 * rng.normal(size=mask.shape), -1, 1)
    batch = make_batch(n)
    return batch | {"image": jnp.asarray(image[..., None], jnp.float32), "mask": jnp.asarray(mask[..., None])}


def test_both_have_the_same_network():
    shapes = [
        jax.tree.map(jnp.shape, jax.eval_shape(make_segmenter(name).init, jax.random.key(0), discs(1)).params)
        for name in FAMILIES
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("evaluations", "end"), [(3, 1.259), (5, 1.200), (10, 1.110), (20, 1.055)])
def test_the_published_sampler_overshoots_and_ours_does_not(evaluations, end, monkeypatch):
    """With the exact field of a point mass at m, where each ends in units of m; the noise at the start is 0."""
    family = dataclasses.replace(make_segmenter("flow_seg", sigma_min=0.0))
    exact = lambda self, params, image, repeat=1: lambda x, t: (1.0 - x) / (1.0 - t)  # noqa: E731
    monkeypatch.setattr(type(family), "velocity_fn", exact)
    monkeypatch.setattr(jax.random, "normal", lambda key, shape=(), dtype=jnp.float32: jnp.zeros(shape))
    state, batch = jax.eval_shape(family.init, jax.random.key(0), discs(1)), discs(1)
    keys = jax.random.split(jax.random.key(0), 1)
    for sampler, expected in (("flowsdf", end), ("euler", 1.0)):
        got = family.predict(state, batch["image"], keys, sampler=sampler, steps=evaluations)
        np.testing.assert_allclose(got, expected, atol=1e-3)


@pytest.mark.parametrize("name", [pytest.param("flow_seg", marks=pytest.mark.slow), "unet_seg"])
def test_discs_are_found(name):
    count = {"flow_seg": 400, "unet_seg": 200}[name]
    family = make_segmenter(name, rate=optax.cosine_decay_schedule(4e-3, count), channels=(32, 32))
    batch, test = discs(48), discs(32, seed=1)
    state = jax.jit(family.init)(jax.random.key(0), batch)
    step = jax.jit(family.train_step, donate_argnums=0, compiler_options=FAST)
    for i in range(count):
        state, _ = step(state, batch, jax.random.fold_in(jax.random.key(1), i))
    values = jax.jit(family.eval_step)(state, test, jax.random.key(2))
    assert float(values["dice"].mean()) > 0.9, values["dice"]


def test_samples_of_an_ensemble(monkeypatch):
    family = make_segmenter("flow_seg")
    state, _ = steps(family, 2, discs(4))
    image, keys = discs(4)["image"], jax.random.split(jax.random.key(0), 4)
    draw = jax.jit(family.predict, static_argnames=("ensemble", "sampler", "steps"))
    sdf = draw(state, image, keys, ensemble=3, steps=2)
    assert sdf.shape == (4, 3, SIZE, SIZE) and np.isfinite(sdf).all()
    assert not np.allclose(sdf[:, 0], sdf[:, 1])
    np.testing.assert_allclose(draw(state, image[2:], keys[2:], ensemble=3, steps=2), sdf[2:], atol=1e-5)
    monkeypatch.setattr(ode, "solve", lambda *args, open_end, **_: args[2] if open_end else None)
    assert family.predict(state, image[:1], keys[:1]).shape == (1, 1, SIZE, SIZE)  # not asked where the noise ends
    monkeypatch.undo()
    for sampler in ("heun", "adaptive"):  # a fixed grid, and one of its own
        one = draw(state, image[:1], keys[:1], sampler=sampler, steps=2)
        assert one.shape == (1, 1, SIZE, SIZE) and np.isfinite(one).all()


@pytest.mark.parametrize("name", ["flow_seg", pytest.param("unet_seg", marks=pytest.mark.slow)])
def test_accumulation_equals_the_large_batch(name):
    options = dict(rate=0.05, optimizer=optax.sgd, dropout=0.3, augmentation="dihedral")
    whole, a = steps(make_segmenter(name, 1, **options), 2, discs(8))
    parts, b = steps(make_segmenter(name, 4, **options), 2, discs(8))
    assert_close(whole.params, parts.params, atol=3e-6)
    assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_step_learns_from_one_raters_mask_at_random():
    batch = make_batch(400, size=4)
    batch["masks"] = jnp.arange(3.0)[None, :, None, None, None] + 10.0 * batch["id"][:, None, None, None, None]
    drawn = one_rater(batch, jax.random.split(jax.random.key(0), 400))[:, 0, 0, 0] - 10.0 * batch["id"]
    assert set(np.unique(drawn)) == {0.0, 1.0, 2.0}
    assert np.bincount(np.asarray(drawn, int)).min() > 100
    batch = discs(8)
    alone = batch | {"masks": jnp.repeat(batch["mask"][:, None], 2, 1), "mask": jnp.zeros_like(batch["mask"])}
    family = make_segmenter("flow_seg")
    a, b = (jax.jit(family._draw, static_argnums=2)(x, jax.random.key(0), True)["sdf"] for x in (batch, alone))
    np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_samples_cover_the_raters():
    """Two raters, one of whom draws the left half only: about half of the samples are like each."""
    batch, count = discs(64), 1500
    left = jnp.asarray(np.mgrid[:SIZE, :SIZE][1] < SIZE / 2, jnp.float32)[None, :, :, None]
    batch["masks"] = jnp.stack([batch["mask"], batch["mask"] * left], 1)
    family = make_segmenter("flow_seg", rate=optax.cosine_decay_schedule(4e-3, count), channels=(32, 32))
    state = jax.jit(family.init)(jax.random.key(0), batch)
    step = jax.jit(family.train_step, donate_argnums=0, compiler_options=FAST)
    for i in range(count):
        state, _ = step(state, batch, jax.random.fold_in(jax.random.key(1), i))
    keys = jax.random.split(jax.random.key(2), 64)
    draw = jax.jit(lambda s, x, k: family.predict(s, x, k, ensemble=8, steps=8), compiler_options=FAST)
    samples = np.asarray(draw(state, batch["image"], keys)) <= 0
    whole, half = (np.asarray(batch["masks"])[:, r, None, ..., 0] > 0.5 for r in (0, 1))
    different = (whole & ~half).sum((1, 2, 3)) > 4
    right = (samples & whole & ~half).sum((2, 3)) / np.maximum((whole & ~half).sum((2, 3)), 1)
    share = (right[different] > 0.5).mean()
    assert 0.3 < share < 0.7 and ((right[different] < 0.2) | (right[different] > 0.8)).mean() > 0.8, share


def test_the_auxiliary_loss_teaches_the_images_network_alone():
    """Its gradient does not reach the velocity's layers, and the velocity's error does not reach what is guessed."""
    families = [make_segmenter("flow_seg", auxiliary=weight) for weight in (0.0, 2.0)]
    state = jax.jit(families[0].init)(jax.random.key(0), discs(4))
    drawn = families[0]._draw(discs(4), jax.random.key(1), training=False)
    gradient = lambda f: jax.jit(jax.grad(lambda p: f._loss(p, drawn)[0].sum()))(state.params["net"])  # noqa: E731
    plain, taught = map(gradient, families)
    moved = {name for name in plain if max(jnp.abs(a - b).max() for a, b in leaves(plain[name], taught[name])) > 1e-6}
    assert moved == {"image_net"}
    guessing = [name for name in plain["image_net"] if name in HEAD]
    assert guessing and all(not leaf.any() for name in guessing for leaf in jax.tree.leaves(plain["image_net"][name]))
    losses, logged = jax.jit(families[1]._loss)(state.params["net"], drawn)
    np.testing.assert_allclose(losses, logged["velocity_error"] + 2 * logged["auxiliary"], rtol=1e-5)


def test_the_velocity_begins_at_the_best_one_for_normal_errors_of_the_guess():
    """Before training the network adds nothing; then E[v | x] for SDFs that are normal about the guess is known."""
    family, batch = make_segmenter("flow_seg", sdf_std=0.3), discs(4)
    params = jax.jit(family.init)(jax.random.key(0), batch).params["net"]
    rng = np.random.default_rng(0)
    head = params["image_net"]["detail_out"]
    head["kernel"] = jnp.asarray(rng.normal(size=head["kernel"].shape), jnp.float32)  # a guess that is not 0
    z = network_image(family.pixels, batch["image"], True)
    code = family.net.apply({"params": params}, z, method=family.net.encode)
    m = -np.tanh(np.asarray(code.logits) / 2)
    assert m.std() > 0.1
    x = rng.normal(size=m.shape)
    velocity = jax.jit(lambda params, image, x, t: family.velocity_fn(params, image)(x, t))
    for t in (0.0, 0.3, 0.9):
        sigma = 1 - (1 - 1e-3) * t
        sdf = m + 0.3**2 * t / (0.3**2 * t**2 + sigma**2) * (x - t * m)
        expected = sdf - (1 - 1e-3) * (x - t * sdf) / sigma
        got = velocity(params, batch["image"], jnp.asarray(x, jnp.float32), t)
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_the_baseline_is_taught_its_guess_too():
    family, batch = make_segmenter("unet_seg", auxiliary=0.5), discs(8)
    state, scalars = steps(family, 2, batch)
    assert float(scalars["loss"]) == pytest.approx(
        float(scalars["soft_dice_loss"] + scalars["cross_entropy"] + 0.5 * scalars["auxiliary"]), rel=1e-5
    )
    assert jnp.abs(state.params["net"]["image_net"]["detail_out"]["kernel"]).max() > 0


def leaves(a, b):
    return zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)


def test_concatenation_has_no_network_of_the_image():
    family = make_segmenter("flow_seg", concatenate=True, auxiliary=0.0)
    state, scalars = steps(family, 1, discs(4))
    assert set(state.params["net"]) == {"mask_net", "time_embedding"} and np.isfinite(float(scalars["loss"]))


def test_dihedral_changes_image_and_mask_alike():
    x = jnp.arange(9.0).reshape(3, 3, 1)
    seen = set()
    for i in range(60):
        a, b = dihedral((x, 10 * x), jax.random.key(i))
        np.testing.assert_array_equal(10 * a, b)
        seen.add(tuple(np.asarray(a).ravel().astype(int)))
    square = np.arange(9).reshape(3, 3)
    turned = [np.rot90(side, k) for side in (square, square.T) for k in range(4)]
    assert seen == {tuple(t.ravel()) for t in turned}


def test_edm_weighting_is_the_error_of_the_networks_own_target():
    families = [make_segmenter("flow_seg", weighting=name, sdf_std=0.7, auxiliary=0.0) for name in ("velocity", "edm")]
    batch = discs(16)
    state = jax.jit(families[0].init)(jax.random.key(0), batch)
    drawn = families[0]._draw(batch, jax.random.key(1), training=False)
    velocity, edm = (jax.jit(f._loss)(state.params["net"], drawn)[0] for f in families)
    t = np.asarray(drawn["t"])
    c_out = lambda std: std / np.sqrt((std * t) ** 2 + (1 - (1 - 1e-3) * t) ** 2)  # noqa: E731
    np.testing.assert_allclose(edm, velocity / c_out(0.7) ** 2, rtol=2e-3)


def test_the_path_at_full_resolution_tells_the_pixels_of_a_patch_apart():
    """Without it every pixel of a patch is a channel of one place; with it a shift by one pixel shifts the result."""
    family = make_segmenter("unet_seg", detail=4)
    state, rng = jax.jit(family.init)(jax.random.key(0), discs(1)), np.random.default_rng(0)
    params = {
        name: jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), jnp.float32), leaf)
        for name, leaf in state.params["net"].items()
    }
    for net, layer in (("mask_net", "conv_out"), ("image_net", "detail_out")):  # only the path is left, and no guess
        params[net][layer] = jax.tree.map(jnp.zeros_like, params[net][layer])
    image = jnp.zeros((1, 16, 16, 1)).at[0, 7, 7].set(1.0)
    logits = jax.jit(lambda image: family._logits(params, image)[0])
    nothing = logits(jnp.zeros_like(image))
    seen, shifted = (logits(one) - nothing for one in (image, jnp.roll(image, (1, 1), (1, 2))))
    inner = (0, slice(3, 13), slice(3, 13))
    assert np.asarray(seen[inner]).std() > 0.1
    np.testing.assert_allclose(jnp.roll(seen, (1, 1), (1, 2))[inner], shifted[inner], atol=2e-3)


def test_a_faint_image_is_seen_like_a_bright_one():
    pixels = PixelScale((-0.4,), (0.4,), 8)
    bright = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 1)), jnp.float32)
    seen = network_image(pixels, bright, True)
    np.testing.assert_allclose(seen.mean((1, 2, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(seen.std((1, 2, 3)), 1.0, atol=1e-4)
    np.testing.assert_allclose(network_image(pixels, 0.1 * bright - 0.8, True), seen, atol=1e-4)
    empty = network_image(pixels, jnp.full((1, 8, 8, 1), -1.0) + 1e-4 * bright[:1], True)
    assert float(jnp.abs(empty).max()) < 0.1  # noise alone is not blown up
    np.testing.assert_array_equal(network_image(pixels, bright, False), pixels.to_network(bright))


def test_dice_by_hand():
    a = jnp.asarray([[[1, 1], [0, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 0]]], bool)
    b = jnp.asarray([[[1, 0], [1, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]], bool)
    np.testing.assert_allclose(dice(a, b), [0.5, 1.0, 0.0])


@pytest.mark.parametrize("name", FAMILIES)
def test_golden_values(name):
    """Loss and gradient of the first steps, as they were when this was written; see tests/models/test_ddpm.py."""
    _, scalars = steps(make_segmenter(name), 3, discs(8))
    got = {key: float(scalars[key]) for key in ("loss", "grad_norm")}
    assert got == pytest.approx(GOLDEN[name], rel=2e-3), got


GOLDEN = {
    "flow_seg": {"loss": 2.17867, "grad_norm": 1.30542},
    "unet_seg": {"loss": 2.71597, "grad_norm": 0.881361},
}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="weighting 'edm' needs config.model.sdf_std above 0"):
        make_segmenter("flow_seg", weighting="edm", sdf_std=0.0)
    for changes, message in (
        ({"mask": "liver"}, "model.mask 'liver' is unknown; the dataset has disc"),
        ({"augmentation": "hue"}, "model.augmentation 'hue' is unknown"),
        ({"patch": 8}, "needs multiples of 16"),
        ({"depth": 3}, "config.model.depth is not a field"),
        ({"concatenate": True}, "config.model.auxiliary teaches a guess"),
    ):
        with pytest.raises(ValueError, match=message):
            make_segmenter("flow_seg", **changes)
    with pytest.raises(ValueError, match="a segmenter needs masks"):
        make_segmenter("unet_seg", masks=())
