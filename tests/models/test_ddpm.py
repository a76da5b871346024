"""The DDPM family: its loss, its step, and what it learns."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from models import guidance, schedules
from models.ddpm import SampleOptions
from models.denoiser import TARGETS, Denoised, Denoiser, per_image
from models.pixels import PixelScale, pixel_scale
from models.update import strata
from models.weights import loss_weight
from tests.models.helpers import (
    LABELS,
    OVERFIT_RATE,
    SIZE,
    assert_close,
    assert_eight_images_are_reproduced,
    make_batch,
    make_family,
    make_flow,
    steps,
)

VP = schedules.linear(1000)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("schedule", [VP, schedules.EDM()], ids=["linear", "edm"])
def test_the_right_prediction_gives_back_x0(target, schedule, x64):
    if target == "v" and not schedule.unit_variance:
        with pytest.raises(ValueError, match="needs a variance-preserving schedule"):
            Denoiser(None, schedule, target)
        return
    denoiser = Denoiser(None, schedule, target)
    x0, eps = (jnp.asarray(np.random.default_rng(i).normal(size=(4, 2, 2, 1))) for i in (0, 1))
    t = jnp.linspace(0.1, 0.9, 4)
    alpha, sigma = (a[:, None, None, None] for a in schedule.alpha_sigma(t))
    x = alpha * x0 + sigma * eps
    np.testing.assert_allclose(denoiser.to_x0(denoiser.target_of(x0, eps, x, t), x, t), x0, atol=1e-10)


def test_edm_scales_by_hand():
    """c_skip, c_out and c_in of Karras et al. table 1 at sigma = 0.8, sigma_data = 0.5."""
    denoiser = Denoiser(None, schedules.EDM(), "edm", 0.5)
    t = jnp.asarray([0.8])
    x, total = jnp.ones((1, 2, 2, 1)), 0.8**2 + 0.5**2
    skip, out = denoiser.to_x0(0.0, x, t)[0, 0, 0, 0], denoiser.left(t)
    np.testing.assert_allclose([skip.item(), out.item()], [0.25 / total, 0.8 * 0.5 / total**0.5], rtol=1e-6)
    np.testing.assert_allclose(denoiser._input_scale(t).item(), total**-0.5, rtol=1e-6)


@pytest.mark.parametrize("weight", ["min_snr", "edm", "likelihood"])
def test_a_weight_means_the_same_on_every_target(weight, x64):
    """weight x squared error of F is one number, whatever F predicts, for the same error in x_0."""
    t, values = jnp.asarray([0.05, 0.4, 0.8]), []
    x = jnp.ones((3, 1, 1, 1))
    for target in TARGETS:
        denoiser = Denoiser(None, VP, target)
        error = denoiser.target_of(x + 0.1, x, x, t) - denoiser.target_of(x, x, x, t)
        if target in ("eps", "v"):  # of these the target is fixed by x_0 and x_t together
            alpha, sigma = (a[:, None, None, None] for a in VP.alpha_sigma(t))
            eps = lambda x0: (x - alpha * x0) / sigma  # noqa: B023, E731
            error = denoiser.target_of(x + 0.1, eps(x + 0.1), x, t) - denoiser.target_of(x, eps(x), x, t)
        values.append(loss_weight(weight, denoiser, t) * jnp.square(error)[:, 0, 0, 0])
    for value in values[1:]:
        np.testing.assert_allclose(value, values[0], rtol=1e-9)


def test_published_min_snr_weights(x64):
    """eps: min(snr, 5) / snr; x_0: min(snr, 5); v: min(snr, 5) / (snr + 1)."""
    t = jnp.asarray([0.05, 0.3, 0.8])
    alpha, sigma = VP.alpha_sigma(t)
    snr = (alpha / sigma) ** 2
    for target, divisor in (("eps", snr), ("x0", 1.0), ("v", snr + 1)):
        got = loss_weight("min_snr", Denoiser(None, VP, target), t)
        np.testing.assert_allclose(got, jnp.minimum(snr, 5) / divisor, rtol=1e-9)


def test_likelihood_weight_is_the_derivative_of_the_snr(x64):
    """The continuous weight against a numerical derivative: -0.5 dSNR/dt / p(t)."""
    for schedule, density in ((schedules.VPSDE(), lambda t: 1 / (1 - 1e-3)), (schedules.EDM(), None)):
        snr = lambda t: (schedule.alpha_sigma(t)[0] / schedule.alpha_sigma(t)[1]) ** 2  # noqa: B023, E731
        t, h = np.array([0.2, 0.7]), 1e-6
        rate = -(snr(t + h) - snr(t - h)) / (2 * h)
        if density is None:  # log-normal density of sigma itself
            density = lambda t: np.exp(-0.5 * ((np.log(t) + 1.2) / 1.2) ** 2) / (t * 1.2 * np.sqrt(2 * np.pi))  # noqa: E731
        got = loss_weight("likelihood", Denoiser(None, schedule, "x0"), jnp.asarray(t))
        np.testing.assert_allclose(got, 0.5 * rate / density(t), rtol=1e-6)


def test_accumulation_equals_the_large_batch():
    """Gradients, dropout and all: parameters after three steps, as one batch of 8 and as four of 2.

    By plain gradient descent: Adam divides a gradient that should be 0 by its own rounding error.
    """
    batch, options = make_batch(8), dict(rate=0.1, optimizer=optax.sgd)
    whole, a = steps(make_family(1, unet__dropout=0.3, **options), 3, batch)
    parts, b = steps(make_family(4, unet__dropout=0.3, **options), 3, batch)
    assert_close(whole.params, parts.params, atol=2e-6)
    assert_close(a, b, rtol=1e-5)
    other, _ = steps(make_family(4, unet__dropout=0.0, **options), 3, batch)
    with pytest.raises(AssertionError):
        assert_close(whole.params, other.params, atol=2e-6)


def test_the_order_of_a_batch_changes_nothing_without_strata():
    batch = make_batch(8)
    order = np.array([3, 1, 7, 0, 5, 2, 6, 4])
    shuffled = {name: value[order] for name, value in batch.items()}
    family = make_family(stratified=False, rate=0.1, optimizer=optax.sgd)
    assert_close(steps(family, 2, batch)[0].params, steps(family, 2, shuffled)[0].params, atol=1e-6)


def test_golden_values():
    """Loss and gradient of the first steps, as they were when this was written; a change of mathematics moves them.

    After a wanted change, put in the printed values and say why in the commit.
    """
    noise = {"schedule_options__p_mean": -1.2, "schedule_options__p_std": 1.2}  # EDM's own
    _, scalars = steps(make_family(**noise), 3, make_batch(8))
    got = {name: float(value) for name, value in scalars.items()}
    assert got == pytest.approx(GOLDEN, rel=2e-3), got


GOLDEN = {"loss": 1.78010, "grad_norm": 1.42992}


def test_padding_has_no_weight():
    batch = make_batch(8)
    padded = {k: jnp.concatenate([v, jnp.ones_like(v[:2])]) for k, v in batch.items()}
    padded["weight"] = padded["weight"].at[8:].set(0.0)
    family = make_family(stratified=False)
    a, b = steps(family, 1, batch)[1], steps(family, 1, padded)[1]
    assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-5)


def test_hidden_labels_are_drawn_per_example():
    family = make_family(label_drop=0.5)
    batch = family._draw(make_batch(400), jax.random.key(0), training=True)
    hidden = np.asarray((batch["label"] == guidance.NULL).all(-1))
    assert 0.4 < hidden.mean() < 0.6
    assert not family._draw(make_batch(400), jax.random.key(0), training=False)["label"].min() < 0


def test_strata_cover_the_noise_levels_evenly():
    family = make_family(schedule="linear", target="eps", weight="simple")
    t = np.sort(family._draw(make_batch(10), jax.random.key(0), training=True)["t"])
    assert np.all((t > np.arange(10) / 10) & (t <= np.arange(1, 11) / 10 + 1e-6))


@pytest.mark.parametrize("make", [make_family, make_flow])
def test_every_place_in_a_batch_comes_to_all_noise_levels(make):
    """Where classes are balanced a place is always of one class: it must not keep its part of the levels."""
    family, batch = make(), make_batch(4)
    t = jax.jit(lambda key: family._draw(batch, key, training=True)["t"])
    first = np.stack([t(jax.random.fold_in(jax.random.key(0), step)) for step in range(200)])[:, 0]
    all_of_them = np.stack([t(jax.random.fold_in(jax.random.key(1), step)) for step in range(200)])
    for share in (0.1, 0.5, 0.9):
        assert np.mean(first < np.quantile(all_of_them, share)) == pytest.approx(share, abs=0.12)


def test_strata_stay_below_one():
    """A step later than the last has no noise to come from, and a learned variance of it is not finite."""
    u = np.asarray(strata(jnp.full(256, 1 - 2**-24), jax.random.key(0)))
    assert 0.9999999 < u.max() < 1
    chain = schedules.cosine(1000)
    assert float(chain.sample_time(jnp.asarray(u)).max()) <= 1


def test_an_example_that_stands_twice_in_a_batch_is_another_draw():
    family, batch = make_family(), make_batch(4)
    twice = batch | {"id": jnp.asarray([0, 1, 0, 3])}
    once, again = (family._draw(b, jax.random.key(0), training=True)["eps"] for b in (batch, twice))
    np.testing.assert_array_equal(np.delete(again, 2, 0), np.delete(once, 2, 0))
    assert np.corrcoef(again[2].ravel(), again[0].ravel())[0, 1] < 0.5


@pytest.mark.parametrize("make", [make_family, make_flow])
def test_guidance_needs_a_model_that_learned_without_labels(make):
    family, batch = make(label_drop=0.0), make_batch(2)
    state = jax.eval_shape(family.init, jax.random.key(0), batch)
    with pytest.raises(ValueError, match="guidance 3 needs a model that also learned without labels"):
        jax.eval_shape(partial(family.sample, guidance=3.0, steps=2), state, *keys_and_labels(batch))
    jax.eval_shape(partial(family.sample, guidance=1.0, steps=2), state, *keys_and_labels(batch))


def test_a_variance_that_was_not_learned_cannot_be_used():
    family, batch = make_family(schedule="cosine", target="eps", weight="simple"), make_batch(2)
    state = jax.eval_shape(family.init, jax.random.key(0), batch)
    with pytest.raises(ValueError, match="trained with model.learned_variance=True"):
        draw = partial(family.sample, sampler="ddpm", variance="learned", guidance=1.0, steps=2)
        jax.eval_shape(draw, state, *keys_and_labels(batch))


def keys_and_labels(batch):
    return jax.random.split(jax.random.key(0), len(batch["id"])), batch["label"]


def test_noise_levels_of_an_evaluation_depend_on_the_id_alone_and_are_even():
    family = make_family(schedule="linear", target="eps", weight="simple")
    batch = make_batch(64)
    t = np.asarray(family._draw(batch, jax.random.key(0), training=False)["t"])
    part = {name: value[40:] for name, value in batch.items()}
    np.testing.assert_array_equal(family._draw(part, jax.random.key(0), training=False)["t"], t[40:])
    for values in (t, t[:36]):  # any run of ids
        assert np.abs(np.sort(values) - (np.arange(len(values)) + 0.5) / len(values)).max() < 0.06
    assert 0 <= t.min() and t.max() <= 1


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_guidance_is_u_plus_s_times_c_minus_u(scale):
    both = lambda x, t: tuple(Denoised(jnp.full_like(x, v)) for v in (2.0, 0.5))  # noqa: E731
    x = jnp.zeros((1, 2, 2, 1))
    inside = guidance.guided(both, schedules.EDM(), scale, (0.1, 1.0))(x, jnp.asarray(0.5))
    outside = guidance.guided(both, schedules.EDM(), scale, (0.1, 1.0))(x, jnp.asarray(5.0))
    np.testing.assert_allclose(inside.x0, 0.5 + scale * 1.5)
    np.testing.assert_allclose(outside.x0, 2.0)


def test_guidance_of_each_image_at_its_own_time():
    both = lambda x, t: tuple(Denoised(jnp.full_like(x, v)) for v in (2.0, 0.5))  # noqa: E731
    denoise = guidance.guided(both, schedules.EDM(), 3.0, (0.1, 1.0))
    x0 = denoise(jnp.zeros((3, 2, 2, 1)), jnp.asarray([0.5, 5.0, 0.2])).x0
    np.testing.assert_allclose(x0[:, 0, 0, 0], [5.0, 2.0, 5.0])
    assert x0.shape == (3, 2, 2, 1)


@pytest.mark.parametrize("t", [0.5, [0.5, 0.1, 2.0]])
def test_one_call_on_twice_the_batch_says_both(t):
    def of_label(label):
        return lambda x, t: x * per_image(jnp.broadcast_to(t, x.shape[:1])) + per_image(label[:, 0])

    x, label = jax.random.normal(jax.random.key(0), (3, 2, 2, 1)), jnp.asarray([[1.0], [0.0], [1.0]])
    got = guidance.given_and_free(of_label, label)(x, jnp.asarray(t))
    expected = (of_label(given)(x, jnp.asarray(t)) for given in (label, jnp.full((3, 1), guidance.NULL)))
    assert_close(got, tuple(expected), atol=0.0)


def test_thresholding_keeps_pixels_in_range():
    pixels = PixelScale((0.2,), (0.5,))
    wild = lambda x, t: Denoised(pixels.to_network(jnp.linspace(-3, 1, 16).reshape(1, 4, 4, 1)))  # noqa: E731
    for kind in ("static", "dynamic"):
        image = pixels.to_pixels(guidance.thresholded(wild, kind, pixels)(None, None).x0)
        assert float(jnp.abs(image).max()) == pytest.approx(1.0, abs=1e-5)
    dynamic = pixels.to_pixels(guidance.thresholded(wild, "dynamic", pixels)(None, None).x0)
    assert float(dynamic[0, -1, -1, 0]) == pytest.approx(1 / 3, abs=0.02)  # rescaled, not only clipped


def test_pixel_scales():
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 3)))
    for kind in ("data", "none", "imagenet"):
        scale = pixel_scale(kind, (-0.6, -0.5, -0.4), (0.7, 0.7, 0.7), 8)
        np.testing.assert_allclose(scale.to_pixels(scale.to_network(x)), x, atol=1e-6)
    assert pixel_scale("data", (-0.6,), (0.73,), 8).scale[0] == pytest.approx(0.73 / 0.5)
    white = pixel_scale("imagenet", (0,) * 3, (1,) * 3, 8).to_network(jnp.ones((1, 1, 1, 3)))
    np.testing.assert_allclose(white[0, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)
    with pytest.raises(ValueError, match="needs data.channels=3"):
        pixel_scale("imagenet", (0.0,), (1.0,), 8)


def test_ema_follows_its_halflife():
    """After warm-up one step of B images moves the average by 1 - 0.5^(B / halflife)."""
    from models.update import EMA

    ema = EMA(halflife_images=1000, rampup=0.05)
    assert float(ema.decay(jnp.asarray(10**6), 100)) == pytest.approx(0.5**0.1, rel=1e-6)
    assert float(ema.decay(jnp.asarray(10), 100)) == pytest.approx(0.5 ** (100 / 50), rel=1e-5)
    state, _ = steps(make_family(ema=EMA(0.0)), 1, make_batch(2))
    assert state.ema == {} and state.sampling_params("net") is state.params["net"]


def test_learned_variance_trains_and_its_mean_is_detached():
    options = dict(schedule="linear", target="eps", weight="simple", learned_variance=True)
    family = make_family(**options)
    state, scalars = steps(family, 2, make_batch(4))
    assert np.isfinite(float(scalars["vlb_step"]))
    # the head's first half sees the gradient of the simple loss alone
    plain = make_family(**(options | {"learned_variance": False}))
    batch = family._draw(make_batch(4), jax.random.key(5), training=True)
    grad = jax.jit(jax.grad(lambda p: family._loss(p, batch)[0].mean()))(state.params["net"])
    half = lambda tree: np.asarray(tree["conv_out"]["bias"])[: SIZE // 4]  # noqa: E731
    cut = dict(state.params["net"])
    keep = np.arange(8).reshape(2, 4)[0]  # channels (c, row, column): the first c patch^2 are the mean's
    cut["conv_out"] = {"kernel": cut["conv_out"]["kernel"][..., keep], "bias": cut["conv_out"]["bias"][keep]}
    expected = jax.jit(jax.grad(lambda p: plain._loss(p, batch)[0].mean()))(cut)
    np.testing.assert_allclose(half(grad), half(expected), rtol=1e-4, atol=1e-7)


def test_float16_skips_a_step_that_overflows():
    family = make_family(loss_scaling=True, dtype=jnp.float16)
    state, scalars = steps(family, 1, make_batch(4))
    assert float(scalars["loss_scale"]) == 2.0**15
    huge = state.replace(extra={"loss_scale": {"net": state.extra["loss_scale"]["net"] | {"scale": jnp.float32(1e38)}}})
    after, _ = jax.jit(family.train_step)(huge, make_batch(4), jax.random.key(0))
    assert_close(after.params, state.params, atol=0)
    assert float(after.extra["loss_scale"]["net"]["scale"]) < 1e38


def test_bfloat16_and_remat_stay_near_float32():
    reference, a = steps(make_family(), 2, make_batch(4))
    for changes in ({"dtype": jnp.bfloat16}, {"unet__remat": True}):
        state, b = steps(make_family(**changes), 2, make_batch(4))
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=2e-2)
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp", "dpmpp_sde", "euler", "heun", "em"])
def test_every_sampler_draws_finite_images(sampler):
    family = make_family()
    state, _ = steps(family, 1, make_batch(4))
    keys = jax.random.split(jax.random.key(0), 3)
    draw = jax.jit(lambda s, k: family.sample(s, k, jnp.zeros((3, LABELS)), sampler=sampler, steps=3, guidance=2.0))
    images = draw(state, keys)
    assert images.shape == (3, SIZE, SIZE, 1) and np.isfinite(images).all() and np.abs(images).max() <= 1


def test_every_parameter_has_a_group():
    family = make_family()
    state = jax.eval_shape(family.init, jax.random.key(0), make_batch(1))
    paths = jax.tree_util.tree_flatten_with_path(state.params["net"])[0]
    groups = {family.param_group(tuple(k.key for k in path)) for path, _ in paths}
    assert groups == {"stem", "head", "label", "body"}


def test_mistakes_are_named():
    for changes, message in (
        ({"target": "mu"}, "model.target 'mu' is unknown"),
        ({"weight": "snr"}, "model.weight 'snr' is unknown"),
        ({"schedule": "lin"}, "schedule 'lin' is unknown"),
        ({"network": "vit"}, "network 'vit' is unknown"),
        ({"unet__width": 3}, "config.model.unet: .*width"),
        ({"learned_variance": True}, "needs a discrete schedule"),
        ({"depth": 3}, "config.model.depth is not a field"),
    ):
        with pytest.raises(ValueError, match=message):
            make_family(**changes)
    with pytest.raises(TypeError):
        SampleOptions(stride=3)


def test_eight_images_are_reproduced():
    noise = {"schedule_options__p_mean": -0.6, "schedule_options__p_std": 1.4}
    family = make_family(rate=OVERFIT_RATE, unet__channels=64, center="pixels", **noise)
    assert_eight_images_are_reproduced(family, sampler="heun", steps=18)
