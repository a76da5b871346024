"""The GAN: losses and penalties against closed forms, the two players' steps, augmentation, and a known mixture."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import vae_cxr
from models import adversarial
from models.adversarial import Game
from models.augment import Adaptive, augment
from models.gan import GAN, truncated_normal
from models.pixels import PixelScale
from models.update import EMA, Updater
from tests.models.helpers import FAST, LABELS, assert_close, make_batch, make_gan, make_vae, steps

softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731


def test_losses_by_hand(x64):
    real, fake = jnp.asarray([0.3, -2.0]), jnp.asarray([0.1, 1.5])
    r, f = np.asarray(real), np.asarray(fake)
    expected = {
        "nonsaturating": (softplus(-r) + softplus(f), softplus(-f)),
        "hinge": (np.maximum(1 - r, 0) + np.maximum(1 + f, 0), -f),
        "wasserstein": (f - r, -f),
        "relativistic": (softplus(f - r), softplus(r - f)),
    }
    assert set(expected) == set(adversarial.LOSSES)
    for name, (of_d, of_g) in expected.items():
        np.testing.assert_allclose(adversarial.discriminator_loss(name, real, fake), of_d, rtol=1e-12)
        np.testing.assert_allclose(adversarial.generator_loss(name, real, fake), of_g, rtol=1e-12)
    with pytest.raises(ValueError, match="loss 'lsgan' is unknown"):
        adversarial.generator_loss("lsgan", real, fake)


def test_slope_is_the_finite_difference(x64):
    """|grad D|^2 of each image of a batch, by central differences pixel by pixel."""
    family = make_gan()
    state, batch, rng = jax.jit(family.init)(jax.random.key(0), make_batch(1)), make_batch(2), np.random.default_rng(0)
    # moved off the zeros that the blocks begin with
    params = jax.tree.map(lambda a: a + 0.05 * rng.normal(size=a.shape), state.params["discriminator"])
    critic = jax.jit(lambda x: family.discriminator.apply({"params": params}, x, batch["label"])[0])
    x, h = jnp.asarray(batch["image"], jnp.float64), 3e-4
    total = np.zeros(2)
    for i in range(x[0].size):
        bump = h * jnp.zeros(x[0].size).at[i].set(1.0).reshape(x.shape[1:])
        total += np.asarray((critic(x + bump) - critic(x - bump)) / (2 * h)) ** 2
    np.testing.assert_allclose(adversarial.slope(critic, x), total, rtol=1e-3)  # the network computes in float32
    np.testing.assert_allclose(adversarial.zero_centred(jnp.asarray(total), 3.0), 1.5 * total)


def test_penalties_of_a_linear_critic():
    """D(x) = w . x has |grad D| = |w| everywhere: R1 is gamma / 2 |w|^2, WGAN-GP's penalty (|w| - 1)^2."""
    w = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4, 1)), jnp.float32)
    critic, x = (lambda x: jnp.sum(w * x, (1, 2, 3))), make_batch(3, 4)["image"]
    norm = float(jnp.sqrt(jnp.sum(w**2)))
    np.testing.assert_allclose(adversarial.slope(critic, x), norm**2, rtol=1e-5)
    u = jnp.asarray([0.0, 0.4, 1.0])
    np.testing.assert_allclose(adversarial.interpolated(critic, x, x[::-1], u), (norm - 1) ** 2, rtol=1e-5)


def test_penalties_of_a_quadratic_critic_and_their_gradients():
    """D(x) = s |x|^2 / 2 has |grad D| = s |x|: which point is looked at matters, and what D's parameters get of it."""
    rng = np.random.default_rng(0)
    real, fake = (jnp.asarray(rng.normal(size=(3, 4, 4, 1)), jnp.float32) for _ in range(2))
    u, scale = jnp.asarray([0.1, 0.4, 0.9]), 0.7
    critic = lambda s: lambda x: s * jnp.sum(jnp.square(x), (1, 2, 3)) / 2  # noqa: E731
    length = np.sqrt(np.square(u[:, None, None, None] * real + (1 - u[:, None, None, None]) * fake).sum((1, 2, 3)))
    penalty = lambda s: adversarial.interpolated(critic(s), real, fake, u)  # noqa: E731
    np.testing.assert_allclose(penalty(scale), np.square(scale * length - 1), rtol=1e-4)
    np.testing.assert_allclose(jax.jacobian(penalty)(scale), 2 * (scale * length - 1) * length, rtol=1e-4)
    size = np.square(real).sum((1, 2, 3))
    squared = lambda s: adversarial.zero_centred(adversarial.slope(critic(s), real), 3.0)  # noqa: E731
    np.testing.assert_allclose(squared(scale), 1.5 * scale**2 * size, rtol=1e-5)
    np.testing.assert_allclose(jax.jacobian(squared)(scale), 3.0 * scale * size, rtol=1e-5)


def test_each_player_moves_alone():
    family, batch = make_gan(), make_batch(4)
    state = jax.jit(family.init)(jax.random.key(0), batch)
    drawn = family._draw(batch, jax.random.key(1)) | {"p": jnp.zeros(4)}
    after_d, _ = jax.jit(family._step_d)(state, drawn)
    assert_close(after_d.params["generator"], state.params["generator"], atol=0)
    assert_close(after_d.ema, state.ema, atol=0)
    with pytest.raises(AssertionError):
        assert_close(after_d.params["discriminator"], state.params["discriminator"], atol=0)
    after_g, _ = jax.jit(family._step_g)(state, drawn)
    assert_close(after_g.params["discriminator"], state.params["discriminator"], atol=0)
    with pytest.raises(AssertionError):
        assert_close(after_g.params["generator"], state.params["generator"], atol=0)


def test_accumulation_equals_the_large_batch():
    batch, options = make_batch(8), dict(rate=0.01, optimizer=optax.sgd, r1=1.0, r2=1.0, interpolated=1.0)
    options |= dict(augmentation="fixed", probability=0.5)
    whole, a = steps(make_gan(1, **options), 3, batch)
    parts, b = steps(make_gan(4, **options), 3, batch)
    assert_close(whole.params, parts.params, atol=3e-6)
    for scalars in (a, b):
        scalars.pop("diversity")  # a micro-batch has a mean of its own
    assert_close(a, b, rtol=2e-4, atol=1e-6)


def test_penalties_of_some_images_are_of_the_whole_batch():
    with pytest.raises(ValueError, match="penalty_every=4 takes its images from the whole batch"):
        make_gan(2, penalty_every=4)
    with pytest.raises(ValueError, match="penalty_every=4 takes its images from the whole batch"):
        judge = vae_cxr.get_discriminator().to_dict() | {"penalty_every": 4}
        make_vae(2, objective="adversarial", discriminator=judge)


def test_one_image_alone_has_no_diversity_and_no_collapse():
    batch = make_batch(4)
    assert "diversity" in steps(make_gan(2), 1, batch)[1]
    family = make_gan(4)
    scalars = steps(family, 1, batch)[1]
    assert "diversity" not in scalars and not family.warnings(scalars)


def test_every_fourth_image_is_penalised_four_times_as_much():
    batch, values = make_batch(10), {}
    for every, gamma in ((1, 2.0), (4, 2.0), (4, 0.0)):
        family = make_gan(penalty_every=every, r1=gamma, r2=0.0)
        state = jax.jit(family.init)(jax.random.key(0), batch)
        drawn = family._draw(batch, jax.random.key(1)) | {"p": jnp.zeros(10)}
        values[every, gamma] = jax.jit(family._discriminator_loss)(
            state.params["discriminator"], state.params["generator"], drawn
        )
    (_, every), (with_penalty, some), (without, _) = values.values()
    rows = np.sort((int(drawn["u"][0] * 10) + np.array([0, 4, 8])) % 10)
    expected = np.zeros(10)
    expected[rows] = every["slope_real"][rows] * 10 / 3  # the batch's share, not a quarter
    np.testing.assert_allclose(some["slope_real"], expected, rtol=1e-4)
    np.testing.assert_allclose(with_penalty - without, 0.5 * 2.0 * expected, rtol=1e-3, atol=1e-6)


def test_all_places_of_a_batch_are_penalised_in_their_turn():
    """In a balanced batch of four classes every fourth image is of one class."""
    game = make_gan(penalty_every=4, r1=1.0, r2=0.0).game
    image, label, found = jnp.ones((8, 2, 2, 1)), jnp.zeros((8, 1)), np.zeros(8)
    critic = lambda image, label: image.sum((1, 2, 3))  # noqa: E731
    for u in np.linspace(0, 0.999, 80, dtype=np.float32):
        found += np.asarray(game.penalties(critic, image, image, label, jnp.full(8, u))[0])
    np.testing.assert_allclose(found, found.mean(), rtol=0.1)


def test_p_follows_r():
    rule = Adaptive(target=0.6, kimg=1.0, limit=0.5)
    assert float(rule.update(jnp.asarray(0.2), jnp.asarray(0.9), 100)) == pytest.approx(0.3)
    assert float(rule.update(jnp.asarray(0.2), jnp.asarray(0.1), 100)) == pytest.approx(0.1)
    assert float(rule.update(jnp.asarray(0.05), jnp.asarray(0.1), 100)) == 0.0
    assert float(rule.update(jnp.asarray(0.45), jnp.asarray(0.9), 100)) == 0.5
    family = make_gan(augmentation="adaptive", ada_kimg=0.1, ada_target=-2.0)  # below every r: p can only rise
    state, scalars = steps(family, 3, make_batch(8))
    assert float(state.extra["augmentation"]["p"]) == pytest.approx(0.24) and float(scalars["p"]) == pytest.approx(0.24)


def test_augmentation():
    x, keys = make_batch(16)["image"], jax.random.split(jax.random.key(0), 16)
    np.testing.assert_allclose(augment(x, keys, jnp.asarray(0.0)), x, atol=1e-5)
    changed = np.asarray(augment(x, keys, jnp.asarray(1.0)))
    assert np.isfinite(changed).all() and (np.abs(changed - np.asarray(x)).max((1, 2, 3)) > 0.01).all()
    some = np.abs(np.asarray(augment(x, keys, jnp.asarray(0.1))) - np.asarray(x)).max((1, 2, 3)) > 1e-4
    assert 0 < some.sum() < 16
    np.testing.assert_array_equal(augment(x[5:], keys[5:], jnp.asarray(1.0)), changed[5:])  # each from its own key
    gradient = jax.grad(lambda x: jnp.sum(jnp.square(augment(x, keys, jnp.asarray(1.0)))))(x)
    assert np.isfinite(gradient).all() and float(jnp.abs(gradient).max()) > 0


def test_truncation():
    draw = jax.vmap(lambda k: truncated_normal(k, 50, 0.7))(jax.random.split(jax.random.key(0), 40))
    assert float(jnp.abs(draw).max()) <= 0.7
    assert float(jnp.abs(truncated_normal(jax.random.key(0), 5, 0.0)).max()) == 0.0
    wide = jax.vmap(lambda k: truncated_normal(k, 50, float("inf")))(jax.random.split(jax.random.key(0), 40))
    assert float(wide.std()) == pytest.approx(1.0, abs=0.05)


def test_collapse_is_said():
    family = make_gan()
    assert "mode collapse" in family.warnings({"diversity": 0.05})[0] and family.warnings({"diversity": 0.9}) == []
    state = jax.jit(family.init)(jax.random.key(0), make_batch(8))
    batch = family._draw(make_batch(8), jax.random.key(1)) | {"p": jnp.zeros(8)}
    same = batch | {"z": jnp.broadcast_to(batch["z"][:1], batch["z"].shape), "label": jnp.zeros((8, LABELS))}
    step = jax.jit(family._step_d)
    diversity = [float(step(state, drawn)[1]["diversity"]) for drawn in (same, batch)]
    assert diversity[0] < 1e-3 < diversity[1]


def test_augmentation_does_not_hide_a_collapse():
    """D sees one image in many places, and it is one image all the same."""
    family, batch = make_gan(augmentation="fixed", probability=0.8), make_batch(24)
    state = jax.jit(family.init)(jax.random.key(0), batch)
    drawn = family._draw(batch, jax.random.key(1)) | {"p": jnp.full(24, 0.8)}
    same = drawn | {"z": jnp.broadcast_to(drawn["z"][:1], drawn["z"].shape), "label": jnp.zeros((24, LABELS))}
    step = jax.jit(family._step_d)
    collapsed, honest = (float(step(state, each)[1]["diversity"]) for each in (same, drawn))
    assert collapsed < 1e-3 and family.warnings({"diversity": collapsed})
    plain = make_gan(augmentation="none")
    few = jax.tree.map(lambda x: x[:16], drawn)  # of as many images as are looked at
    assert honest == pytest.approx(float(jax.jit(plain._step_d)(state, few)[1]["diversity"]), rel=1e-3)
    unmoved = drawn | {"p": jnp.zeros(24)}
    assert float(step(state, unmoved)[1]["diversity"]) == pytest.approx(
        float(jax.jit(plain._step_d)(state, unmoved)[1]["diversity"]), rel=1e-4
    )


def test_no_pattern_lies_over_the_first_images():
    """The pixels of a patch begin alike, whatever the noise: no checkerboard has to be unlearned."""
    family = make_gan(detail=0)
    state = jax.jit(family.init)(jax.random.key(0), make_batch(2))
    net, noise = family.generator, jax.random.normal(jax.random.key(1), (2, 8))
    image = net.apply({"params": state.params["generator"]}, noise, jnp.zeros((2, LABELS)))
    patches = np.asarray(image).reshape(2, 4, net.patch, 4, net.patch)
    assert patches.std((2, 4)).max() < 1e-6 < patches.std()


def test_golden_values():
    """Losses and gradients of the first steps, as they were when this was written; see tests/models/test_ddpm.py."""
    _, scalars = steps(make_gan(), 3, make_batch(8))
    got = {name: float(scalars[name]) for name in GOLDEN}
    assert got == pytest.approx(GOLDEN, rel=2e-3), got


GOLDEN = {"loss": 0.879279, "d_loss": 1.20285, "grad_norm": 0.920306, "d_grad_norm": 3.16398}


@pytest.mark.parametrize("loss", adversarial.LOSSES)
def test_every_loss_trains(loss):
    """A short step of each player lowers its own loss."""
    family, batch = make_gan(loss=loss, rate=1e-4, optimizer=optax.sgd, r1=0.1, r2=0.1), make_batch(4)
    state = jax.jit(family.init)(jax.random.key(0), batch)
    # moved off the zeros that the blocks begin with
    params = jax.tree.map(lambda a: a + 0.05 * jax.random.normal(jax.random.key(1), a.shape), state.params)
    state = state.replace(params=params)
    drawn = family._draw(batch, jax.random.key(2)) | {"p": jnp.zeros(4)}
    of_d = jax.jit(lambda d, g: jnp.mean(family._discriminator_loss(d, g, drawn)[0]))
    of_g = jax.jit(lambda g, d: jnp.mean(family._generator_loss(g, d, drawn)))
    moved = [jax.jit(step)(state, drawn)[0].params for step in (family._step_d, family._step_g)]
    d, g = params["discriminator"], params["generator"]
    assert of_d(moved[0]["discriminator"], g) < of_d(d, g) and of_g(moved[1]["generator"], d) < of_g(g, d)
    state, scalars = steps(make_gan(loss=loss), 2, batch)
    assert all(np.isfinite(float(value)) for value in scalars.values())
    values = jax.jit(make_gan(loss=loss).eval_step)(state, make_batch(4), jax.random.key(0))
    assert set(values) == {"loss", "d_real", "d_fake"} and all(v.shape == (4,) for v in values.values())


def test_mistakes_are_named():
    for changes, message in (
        ({"loss": "lsgan"}, "loss 'lsgan' is unknown"),
        ({"penalty_every": 0}, "penalty_every=0 must be at least 1"),
        ({"augmentation": "diffaug"}, "model.augmentation 'diffaug' is unknown"),
        ({"patch": 4}, "takes images of 16 px, not 8"),
        ({"depth": 3}, "config.model.depth is not a field"),
    ):
        with pytest.raises(ValueError, match=message):
            make_gan(**changes)


class PointGenerator(nn.Module):
    @nn.compact
    def __call__(self, z, label):
        for width in (64, 64):
            z = nn.leaky_relu(nn.Dense(width)(z), 0.2)
        return nn.Dense(2)(z)[:, None, None]


class PointCritic(nn.Module):
    @nn.compact
    def __call__(self, x, label):
        h = x[:, 0, 0]
        for width in (128, 128):
            h = nn.leaky_relu(nn.Dense(width)(h), 0.2)
        return nn.Dense(1)(h)[:, 0], h


@pytest.mark.slow
def test_every_mode_of_a_ring_is_reached():
    """Eight Gaussians of deviation 0.05 on a circle of radius 1: each gets its share, and points lie near one."""
    angle = np.arange(8) * np.pi / 4
    centres = jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], 1), jnp.float32)
    adam = optax.adam(optax.cosine_decay_schedule(2e-3, 6000), b1=0.0, b2=0.99)
    updater = Updater({"generator": adam, "discriminator": adam}, EMA(5000.0))
    game = Game("relativistic", r1=0.05, r2=0.05)
    family = GAN(
        PointGenerator(), PointCritic(), PixelScale((0.0,), (1.0,)), updater,
        latent=8, game=game, augmentation="none", probability=0.0, adaptive=Adaptive(),
    )  # fmt: skip

    def batch(key):
        which, noise = jax.random.split(key)
        points = centres[jax.random.randint(which, (256,), 0, 8)] + 0.05 * jax.random.normal(noise, (256, 2))
        rest = {"label": jnp.zeros((256, 0)), "id": jnp.arange(256), "weight": jnp.ones(256)}
        return {"image": points[:, None, None]} | rest

    def one(state, key):
        return family.train_step(state, batch(key), jax.random.fold_in(key, 1))[0], None

    state = family.init(jax.random.key(0), batch(jax.random.key(1)))
    run = jax.jit(lambda s: jax.lax.scan(one, s, jax.random.split(jax.random.key(2), 6000))[0], compiler_options=FAST)
    state = run(state)
    z = jax.random.normal(jax.random.key(3), (4000, 8))
    points = np.asarray(family._generate(state.sampling_params("generator"), z, None))[:, 0, 0]
    distance = np.linalg.norm(points[:, None] - np.asarray(centres), axis=-1)
    share = np.bincount(distance.argmin(1), minlength=8) / len(points)
    assert share.min() > 0.06, share
    # a continuous map of one normal cloud must lay some points between the modes
    assert (distance.min(1) < 0.2).mean() > 0.85, np.quantile(distance.min(1), [0.5, 0.9])
