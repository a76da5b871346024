"""The VAE: its bound against closed forms, what its options do, and what it learns."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from models.pixels import PixelScale
from models.update import EMA, Updater
from models.vae import VAE
from models.vae_nets import Gaussian, divergence
from tests.models.helpers import FAST, LABELS, SIZE, assert_close, distances, make_batch, make_vae, steps


def test_divergence_and_density_of_gaussians(x64):
    rng = np.random.default_rng(0)
    (a, b), (s, t) = rng.normal(size=(2, 3, 4, 4, 2)), rng.normal(size=(2, 3, 4, 4, 2)) * 0.5
    q, p = Gaussian(jnp.asarray(a), jnp.asarray(s)), Gaussian(jnp.asarray(b), jnp.asarray(t))
    terms = t - s + (np.exp(2 * s) + (a - b) ** 2) / (2 * np.exp(2 * t)) - 0.5
    np.testing.assert_allclose(divergence(q, p), terms.sum((1, 2, 3)), rtol=1e-12)
    z = rng.normal(size=a.shape)
    exact = stats.norm.logpdf(z, a, np.exp(s)).sum((1, 2, 3))
    np.testing.assert_allclose(q.log_density(jnp.asarray(z)), exact, rtol=1e-12)
    draws = jax.vmap(q.draw)(jax.random.normal(jax.random.key(0), (20000, *a.shape)))
    np.testing.assert_allclose(divergence(q, q), 0.0, atol=1e-12)
    np.testing.assert_allclose(draws.mean(0), a, atol=5 * np.exp(s.max()) / 140)


class LinearNet(nn.Module):
    """x = W z + c + noise, posterior mean linear in x: holds probabilistic PCA exactly."""

    latent: int = 2

    def noise_shapes(self):
        return [(1, 1, self.latent)]

    @nn.compact
    def __call__(self, image, label, noise):
        d = image.shape[-1]
        mean = nn.Dense(self.latent)(image)
        log_std = jnp.broadcast_to(self.param("log_std", nn.initializers.zeros, (self.latent,)), mean.shape)
        posterior, prior = Gaussian(mean, log_std), Gaussian(jnp.zeros_like(mean), jnp.zeros_like(mean))
        z = posterior.draw(noise[0])
        raw = jnp.broadcast_to(self.param("raw", nn.initializers.zeros, (1,)), (*z.shape[:-1], d))
        return jnp.concatenate([nn.Dense(d)(z), raw], -1), [(z, prior, posterior)]


def test_linear_gaussian_data_reach_their_exact_likelihood():
    """Probabilistic PCA: the bound at its optimum is log N(x; 0, W W^T + s^2 I) (Tipping and Bishop 1999, eq. 4)."""
    rng = np.random.default_rng(0)
    weights, noise = 0.12 * rng.normal(size=(5, 2)), 0.05
    covariance = weights @ weights.T + noise**2 * np.eye(5)
    factor = jnp.asarray(np.linalg.cholesky(covariance), jnp.float32)
    pixels = PixelScale((0.0,) * 5, (0.2,) * 5, 16)
    adam = optax.adam(optax.cosine_decay_schedule(1e-2, 3000))
    family = VAE(
        LinearNet(), pixels, Updater({"net": adam}, EMA(0.0)), (1, 1, 5), likelihood="gaussian", beta=1.0, warmup=1,
        free_bits=0.0,
    )  # fmt: skip

    def batch(key, n):
        x = jax.random.normal(key, (n, 5)) @ factor.T
        x = jnp.round((x + 1) * 65535 / 2) * 2 / 65535 - 1  # stored values
        return {"image": x[:, None, None], "label": jnp.zeros((n, 0)), "id": jnp.arange(n), "weight": jnp.ones(n)}

    def one(state, key):
        return family.train_step(state, batch(key, 256), jax.random.fold_in(key, 1))[0], None

    state = family.init(jax.random.key(0), batch(jax.random.key(1), 2))
    run = jax.jit(lambda s: jax.lax.scan(one, s, jax.random.split(jax.random.key(2), 3000))[0], compiler_options=FAST)
    state, test = run(state), batch(jax.random.key(3), 20000)
    values = family.eval_step(state, test, jax.random.key(4))
    x = np.asarray(test["image"], np.float64)[:, 0, 0]
    nats = stats.multivariate_normal(np.zeros(5), covariance).logpdf(x) + 5 * math.log(2 / 65535)
    exact = -nats.mean() / (5 * math.log(2))
    assert float(values["loss"].mean()) == pytest.approx(exact, abs=1e-2)
    tighter = family.importance_bits_per_dim(state, test, jax.random.key(5), 20)
    assert float(tighter.mean()) == pytest.approx(exact, abs=1e-2)


def test_importance_bound_tightens_with_k():
    """k = 1 is the bound itself in expectation; more codes never loosen it."""
    family, batch = make_vae(), make_batch(16)
    state, _ = steps(family, 30, batch)
    bound = jax.jit(family.importance_bits_per_dim, static_argnums=3)
    one, many = (float(bound(state, batch, jax.random.key(1), k).mean()) for k in (1, 20))
    elbo = float(jax.jit(family.eval_step)(state, batch, jax.random.key(1))["loss"].mean())
    assert many < one and abs(one - elbo) < 0.1 * elbo


def test_parts_of_the_bound_add_up():
    family, batch = make_vae(), make_batch(4)
    state, scalars = steps(family, 3, batch)
    values = jax.jit(family.eval_step)(state, batch, jax.random.key(0))
    parts = values["reconstruction"] + values["kl_0"] + values["kl_1"]
    np.testing.assert_allclose(values["loss"], parts, rtol=1e-6)
    total = scalars["reconstruction"] + scalars["kl_0"] + scalars["kl_1"]
    assert float(scalars["elbo"]) == pytest.approx(float(total), rel=1e-6)


def test_beta_warmup_and_free_bits():
    batch = make_batch(4)
    warm, cold = make_vae(warmup=4, rate=0.0), make_vae(warmup=1, rate=0.0)
    state = jax.jit(warm.init)(jax.random.key(0), batch)
    net = jax.tree.map(lambda a: a + 0.01, state.params)  # away from the zeros that make every KL 0
    state = state.replace(params=net)
    key = jax.random.key(1)
    a, b = (jax.jit(f.train_step)(state, batch, key)[1] for f in (warm, cold))
    coarse, fine = float(a["kl_0"]), float(a["kl_1"])
    assert min(coarse, fine) > 1e-4
    assert float(a["loss"]) == pytest.approx(float(a["reconstruction"]) + coarse / 4 + fine, rel=1e-5)
    assert float(b["loss"]) == pytest.approx(float(b["elbo"]), rel=1e-5)
    one = make_vae(warmup=4, rate=0.0, groups=(2, 0))  # a level alone rises whole
    assert one._betas(jnp.asarray(0)).tolist() == [0.25, 0.25] and one._betas(jnp.asarray(9)).tolist() == [1.0, 1.0]
    free = jax.jit(make_vae(warmup=1, rate=0.0, free_bits=1e4).train_step)(state, batch, key)[1]
    expected = float(free["reconstruction"]) + 2 * 1e4 / (SIZE * SIZE * math.log(2))
    assert float(free["loss"]) == pytest.approx(expected, rel=1e-5)


def test_accumulation_equals_the_large_batch():
    batch, options = make_batch(8), dict(rate=0.05, optimizer=optax.sgd)
    whole, a = steps(make_vae(1, **options), 3, batch)
    parts, b = steps(make_vae(4, **options), 3, batch)
    assert_close(whole.params, parts.params, atol=2e-6)
    assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_eight_images_are_reconstructed():
    """Overfit: the code holds what tells eight images apart, and the decoder knows them."""
    batch, rate = make_batch(8), optax.cosine_decay_schedule(4e-3, 500)
    coarse = np.random.default_rng(1).uniform(-1, 1, (8, 4, 4, 1))
    batch["image"] = jnp.asarray(coarse.repeat(2, 1).repeat(2, 2), jnp.float32)
    family = make_vae(rate=rate, channels=(64, 64), warmup=1)
    state = jax.jit(family.init)(jax.random.key(0), batch)
    step = jax.jit(family.train_step, donate_argnums=0, compiler_options=FAST)
    first = None
    for i in range(500):
        state, scalars = step(state, batch, jax.random.fold_in(jax.random.key(1), i))
        first = first or float(scalars["elbo"])
    made = np.asarray(jax.jit(family.reconstruct)(state, batch))
    error = np.sqrt(((made - np.asarray(batch["image"])) ** 2).mean((1, 2, 3)))
    apart = distances(batch["image"], batch["image"]) + np.diag([np.inf] * 8)
    assert error.max() < apart.min() / 3, (error, apart.min())
    assert float(scalars["elbo"]) < first - 2


def test_samples_and_codes():
    for groups in ((2, 1), (1, 0)):
        family = make_vae(groups=groups)
        state, _ = steps(family, 1, make_batch(4))
        keys = jax.random.split(jax.random.key(0), 3)
        draw = jax.jit(lambda s, k, t: family.sample(s, k, jnp.zeros((3, LABELS)), temperature=t))  # noqa: B023
        images = draw(state, keys, 1.0)
        assert images.shape == (3, SIZE, SIZE, 1) and np.isfinite(images).all() and np.abs(images).max() <= 1
        cold = draw(state, keys, 1e-6)
        assert_close(cold, jnp.broadcast_to(cold[:1], cold.shape), atol=1e-3)
        codes = jax.eval_shape(family.codes, state, make_batch(4))
        assert [c.shape for c in codes] == [(4, *shape) for shape in family.net.noise_shapes()]


def test_golden_values():
    """Bounds and gradient of the first steps, as they were when this was written; see tests/models/test_ddpm.py."""
    _, scalars = steps(make_vae(), 3, make_batch(8))
    got = {name: float(scalars[name]) for name in GOLDEN}
    assert got == pytest.approx(GOLDEN, rel=2e-3), got


GOLDEN = {"elbo": 8.45083, "grad_norm": 0.615388}


def test_collapse_is_said():
    family = make_vae()
    assert "posterior collapse" in family.warnings({"kl_0": 1e-6, "kl_1": 1e-6})[0]
    assert family.warnings({"kl_0": 0.2, "kl_1": 0.0}) == []


ONE = {"channels": (16,), "groups": (1,), "latents": (3,), "patch": 4}
SMALL = {"objective": "adversarial", "channels": (8,), "groups": (1,), "latents": (2,), "patch": 4}


@pytest.mark.parametrize("objective", ["autoencoder", "denoising"])
def test_a_point_is_decoded_and_its_prior_only_describes_it(objective):
    """No noise in the code, no bound in the loss, and the priors' gradient stays with the priors."""
    family, batch = make_vae(objective=objective, channels=(16, 16), corruption=0.5), make_batch(8)
    state, scalars = steps(family, 3, batch)
    assert "elbo" not in scalars and float(scalars["code_0"]) != 0 and "kl_0" not in scalars
    values = jax.jit(family.eval_step)(state, batch, jax.random.key(0))
    np.testing.assert_array_equal(values["loss"], values["reconstruction"])
    drawn = family._draw(state, batch, jax.random.key(0))
    assert float(jnp.abs(drawn["seen"] - batch["image"]).std()) == pytest.approx(
        0.5 * math.sqrt(1 - 2 / math.pi) if objective == "denoising" else 0.0, rel=0.15
    )
    other = drawn | {"noise": [n + 1.0 for n in drawn["noise"]]}
    terms = jax.jit(family._terms)
    a, b = (terms(state.params["net"], x) for x in (drawn, other))
    np.testing.assert_array_equal(a[0], b[0])
    code_only = jax.jit(jax.grad(lambda p: sum(c.sum() for c in terms(p, drawn)[1])))(state.params["net"])
    for path, gradient in jax.tree_util.tree_leaves_with_path(code_only):
        name = path[1].key if path[0].key.startswith("group") else path[0].key
        assert bool(jnp.any(gradient)) == (name == "prior"), jax.tree_util.keystr(path)
    with pytest.raises(ValueError, match="bounds no likelihood"):
        family.importance_bits_per_dim(state, batch, jax.random.key(0), 2)


def test_an_autoencoders_prior_is_that_of_its_codes():
    """Drawn codes have the mean and deviation of the codes of the data."""
    family, batch = make_vae(objective="autoencoder", rate=3e-3, **ONE), make_batch(64)
    state = jax.jit(family.init)(jax.random.key(0), batch)
    batch["label"] = jnp.zeros_like(batch["label"])
    step = jax.jit(family.train_step, donate_argnums=0, compiler_options=FAST)
    for i in range(400):
        state, _ = step(state, batch, jax.random.fold_in(jax.random.key(1), i))

    @jax.jit
    def code_and_prior(params):
        _, [(z, prior, _)] = family._apply(params, batch["image"], batch["label"], [jnp.zeros((64, 2, 2, 3))])
        return z, prior.mean[0], prior.log_std[0]

    z, mean, log_std = code_and_prior(state.params["net"])
    assert float(jnp.abs(z.mean(0) - mean).max()) < 0.1 * float(z.std())
    np.testing.assert_allclose(jnp.exp(log_std), z.std(0), rtol=0.15)


@pytest.mark.slow
def test_the_discriminator_and_the_vae_move_alone():
    family, batch = make_vae(**SMALL, optimizer=optax.sgd, rate=0.1), make_batch(4)
    state, scalars = steps(family, 1, batch)
    assert {"game", "d_loss", "d_real", "d_fake", "slope_real", "d_grad_norm", "elbo", "kl_0"} <= set(scalars)
    key = jax.random.key(0)
    drawn = family._draw(state, batch, key)
    of_d, (after, _) = jax.jit(family._step_d)(state, drawn)[0], jax.jit(family.train_step)(state, batch, key)
    assert_close(after.params["discriminator"], of_d.params["discriminator"], atol=1e-6)  # the VAE's step leaves D
    for name in ("net", "discriminator"):
        moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.params[name], after.params[name])
        assert any(jax.tree.leaves(moved)), name
    judge = state.params["discriminator"]
    through = jax.jit(jax.grad(lambda net: family._discriminator_loss(judge, net, drawn)[0].sum()))(
        state.params["net"]
    )
    assert not any(bool(jnp.any(g)) for g in jax.tree.leaves(through))


def test_the_game_does_not_teach_the_encoder():
    family, batch = make_vae(**SMALL), make_batch(4)
    state, _ = steps(family, 2, batch)
    drawn, judge = family._draw(state, batch, jax.random.key(0)), state.params["discriminator"]

    def game(net):
        return family._loss_of_both(net, judge, drawn)[1]["game"].sum()

    for path, gradient in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(game))(state.params["net"])):
        names = [step.key for step in path]
        if names[0].startswith(("encoder", "conv_in", "narrow")) or {"posterior", "look"} & set(names):
            assert not bool(jnp.any(gradient)), jax.tree_util.keystr(path)


@pytest.mark.slow
def test_the_game_pulls_decoded_images_to_real_ones():
    """With D the image's brightness, the decoder learns brighter images; with weight 0 it is the plain VAE."""
    batch, key = make_batch(4), jax.random.key(2)
    plain, silent = (make_vae(**SMALL | {"rate": 0.0, "objective": kind}) for kind in ("elbo", "adversarial"))
    object.__setattr__(silent, "weight", 0.0)
    state = jax.jit(silent.init)(jax.random.key(0), batch)
    a, b = (jax.jit(f.train_step)(state, batch, key)[1] for f in (plain, silent))
    assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-5)
    assert float(a["grad_norm"]) == pytest.approx(float(b["grad_norm"]), rel=1e-4)

    class Brightness(nn.Module):
        @nn.compact
        def __call__(self, x, label):
            return x.mean((1, 2, 3)), x

    family = make_vae(**SMALL)
    for name, value in (("discriminator", Brightness()), ("weight", 1e3)):
        object.__setattr__(family, name, value)
    drawn = family._draw(state, batch, key)

    @jax.jit
    def step(net):
        gradient = jax.grad(lambda p: family._loss_of_both(p, {}, drawn)[0].mean())(net)
        return jax.tree.map(lambda p, g: p - 1e-6 * g, net, gradient)

    @jax.jit
    def brightness(net):
        return sum(x.mean() for x in family._fakes(net, drawn, family._terms(net, drawn)[2]))

    assert brightness(step(state.params["net"])) > brightness(state.params["net"])


@pytest.mark.slow  # two networks that accumulate: the GAN's is not
def test_adversarial_accumulation_equals_the_large_batch():
    batch, options = make_batch(8), SMALL | dict(rate=0.01, optimizer=optax.sgd)
    whole, a = steps(make_vae(1, **options), 2, batch)
    parts, b = steps(make_vae(4, **options), 2, batch)
    assert_close(whole.params, parts.params, atol=2e-6)
    assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_mistakes_are_named():
    for changes, message in (
        ({"likelihood": "laplace"}, "model.likelihood 'laplace' is unknown"),
        ({"objective": "wake-sleep"}, "model.objective 'wake-sleep' is unknown"),
        ({"latents": (4,)}, "model.latents needs a number for each of model.channels"),
        ({"groups": (0, 0)}, "model.groups needs a number for each of model.channels, and one above 0"),
        ({"latents": (4, 0)}, "model.latents must be above 0 wherever model.groups is"),
        ({"patch": 8}, "square images whose side 16 divides"),
        ({"depth": 3}, "config.model.depth is not a field"),
    ):
        with pytest.raises(ValueError, match=message):
            make_vae(**changes)


def test_codes_are_decoded_as_they_were_read():
    family, batch = make_vae(), make_batch(4)
    state, rng = jax.jit(family.init)(jax.random.key(0), batch), np.random.default_rng(0)
    # off the zeros, through which no code would be seen
    moved = jax.tree.map(lambda a: a + 0.1 * rng.normal(size=a.shape).astype(np.float32), state.params)
    state = state.replace(params=moved, ema=moved)
    codes, decode = jax.jit(family.codes)(state, batch), jax.jit(family.decode)
    again = decode(state, codes, batch["label"])
    np.testing.assert_allclose(again, jax.jit(family.reconstruct)(state, batch), atol=1e-5)
    other = decode(state, [c + 1.0 for c in codes], batch["label"])
    assert float(jnp.abs(other - again).max()) > 1e-4


def test_a_group_whose_prior_is_moved_by_those_above_is_not_active():
    family, batch = make_vae(groups=(2, 1)), make_batch(4)
    state, rng = jax.jit(family.init)(jax.random.key(0), batch), np.random.default_rng(0)

    def move(path, leaf):
        silent = "group_1_0" in str(path) and "'posterior'" in str(path)  # this group's posterior is its prior
        return jnp.zeros_like(leaf) if silent else leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32)

    moved = jax.tree_util.tree_map_with_path(move, state.params)
    state = state.replace(params=moved, ema=moved)
    spread = lambda groups: [float(jnp.var(g, axis=0).max()) for g in groups]  # noqa: E731
    codes, shifts = spread(jax.jit(family.codes)(state, batch)), spread(jax.jit(family.shifts)(state, batch))
    assert codes[2] > 1e-4 and shifts[2] == 0 and min(shifts[:2]) > 1e-4, (codes, shifts)
