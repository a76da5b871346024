"""The plain U-Net: the published widths, the condition at every level, and spectral normalisation without state."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.layers import conv2d
from models.plain_unet import PlainUNet, conv_constant, spectral_norm

jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
SMALL = dict(out_channels=1, widths=(4, 8, 12), embedding=16)


def inputs(b=2, h=8, w=12, c=1, k=2):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(b, h, w, c)).astype(np.float32)
    return x, np.linspace(10, 900, b, dtype=np.float32), rng.uniform(size=(b, k)).astype(np.float32)


def randomised(net, *args):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(net.init, jax.random.key(0), *args)
    return jax.tree.map(
        lambda a: (rng.normal(size=a.shape) / np.sqrt(a.size / a.shape[-1])).astype(np.float32), shapes
    )


def run(net, params, *args):
    return jit(net.apply)(params, *args)


def test_published_widths():
    net = PlainUNet(out_channels=3)
    shapes = jax.eval_shape(net.init, jax.random.key(0), *inputs(1, 16, 16, 3))["params"]
    kernels = {name: shapes[name]["conv_0"]["kernel"].shape for name in shapes if "conv_0" in shapes[name]}
    assert kernels == {
        "down_0": (3, 3, 3 + 512, 64),
        "down_1": (3, 3, 64 + 512, 128),
        "down_2": (3, 3, 128 + 512, 256),
        "down_3": (3, 3, 256 + 512, 512),
        "up_2": (3, 3, 2 * 256 + 512, 256),
        "up_1": (3, 3, 2 * 128 + 512, 128),
        "up_0": (3, 3, 2 * 64 + 512, 64),
    }
    assert shapes["up_2_upsample"]["kernel"].shape == (
        2,
        2,
        1024,
        256,
    )  # 512 features and the embedding of 512
    assert shapes["conv_out"]["kernel"].shape == (1, 1, 64, 3)


def test_a_guess_is_seen_beside_the_image():
    net = PlainUNet(**SMALL)
    x, time, label = inputs()
    params = randomised(net, x, time, label, None, x)
    assert params["params"]["down_0"]["conv_0"]["kernel"].shape[2] == 2 + 16
    moved = run(net, params, x, time, label, None, x) - run(net, params, x, time, label, None, -x)
    assert jnp.abs(moved).max((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("options", [{}, dict(spectral=3), dict(dtype=jnp.bfloat16), dict(out_channels=2)])
def test_output_is_float32_of_the_images_shape_and_zero_at_init(options):
    net = PlainUNet(**(SMALL | options))
    x, time, label = inputs()
    init = jit(net.init)(jax.random.key(0), x, time, label)
    assert {a.dtype for a in jax.tree.leaves(init)} == {jnp.dtype("float32")}
    assert set(init) == {"params"}  # no mutable state
    out = run(net, init, x, time, label)
    assert out.shape == (2, 8, 12, net.out_channels) and out.dtype == jnp.float32 and not out.any()
    moved = run(net, randomised(net, x, time, label), x, time, label)
    assert jnp.isfinite(moved).all() and jnp.std(moved) > 0


def test_image_of_a_size_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="multiples of 4"):
        PlainUNet(**SMALL).init(jax.random.key(0), *inputs(2, 10, 8))


def test_initial_features_keep_their_scale():
    """He initialisation, also where one tap of the transposed convolution reaches each pixel."""
    net = PlainUNet(out_channels=1, widths=(32, 64, 64), embedding=32)
    x, time, label = inputs(2, 16, 16, k=0)
    params = jit(net.init)(jax.random.key(0), x, time, label)["params"]
    params["conv_out"] = {
        "kernel": np.ones((1, 1, 32, 1), np.float32) / 32**0.5,
        "bias": np.zeros(1, np.float32),
    }
    assert 0.3 < float(jnp.std(run(net, {"params": params}, x, time, label))) < 3


def test_depends_on_time_and_label_and_null_is_not_zero():
    net = PlainUNet(**SMALL)
    x, time, _ = (np.repeat(a[:1], 4, 0) for a in inputs())
    label = np.array([[0, 0], [-1, 0], [1, 0], [0, 0]], np.float32)
    time = time + np.array([0, 0, 0, 300], np.float32)
    out = run(net, randomised(net, x, time, label), x, time, label)
    assert min(float(jnp.abs(out[i] - out[j]).max()) for i in range(4) for j in range(i)) > 1e-3
    nothing = np.zeros((4, 0), np.float32)
    params = randomised(net, x, time, nothing)
    assert "label_embedding" not in params["params"] and run(net, params, x, time, nothing).shape == x.shape


def test_every_level_sees_the_embedding():
    net = PlainUNet(**SMALL)
    args = inputs()
    params = randomised(net, *args)
    base = run(net, params, *args)
    for level in ("down_0", "down_1", "down_2", "up_1", "up_0"):
        conv_0 = params["params"][level]["conv_0"]
        kernel = conv_0["kernel"].copy()
        kernel[:, :, -net.embedding :] = 0
        changed = params["params"] | {
            level: params["params"][level] | {"conv_0": conv_0 | {"kernel": kernel}}
        }
        assert jnp.abs(run(net, {"params": changed}, *args) - base).max() > 1e-4, level


@pytest.mark.parametrize("h, w", [(6, 4), (1, 3)])
def test_constant_convolution_equals_the_convolution_of_the_constant_image(h, w):
    rng = np.random.default_rng(0)
    value, kernel = (
        rng.normal(size=(2, 5)).astype(np.float32),
        rng.normal(size=(3, 3, 5, 7)).astype(np.float32),
    )
    image = np.broadcast_to(value[:, None, None], (2, h, w, 5))
    np.testing.assert_allclose(conv_constant(value, kernel, h, w), conv2d(image, kernel), rtol=1e-4, atol=1e-4)


def test_spectral_norm_is_one_and_from_below():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 10, 16)).astype(np.float32)
    largest = [
        np.linalg.svd(np.asarray(spectral_norm(kernel, n)).reshape(-1, 16), compute_uv=False)[0]
        for n in (1, 5, 100)
    ]
    assert largest[0] > largest[1] > largest[2] - 1e-6  # the estimate rises with the iterations
    assert abs(largest[2] - 1) < 1e-3 and largest[1] < 1.15
    np.testing.assert_allclose(spectral_norm(5 * kernel, 5), spectral_norm(kernel, 5), rtol=1e-5)


def test_dropout_does_not_depend_on_how_the_batch_is_split():
    net = PlainUNet(**SMALL, dropout=0.3)
    x, time, label = inputs(4)
    keys = jax.random.split(jax.random.key(5), 4)
    params = randomised(net, x, time, label)
    whole = run(net, params, x, time, label, keys)
    half = run(net, params, x[2:], time[2:], label[2:], keys[2:])
    np.testing.assert_allclose(whole[2:], half, rtol=1e-4, atol=1e-5)
    assert jnp.abs(whole - run(net, params, x, time, label)).max() > 1e-2


def test_remat_gives_the_same_gradients():
    args = (*inputs(), jax.random.split(jax.random.key(5), 2))
    nets = [PlainUNet(**SMALL, dropout=0.2, remat=remat) for remat in (False, True)]
    params = randomised(nets[0], *args)
    losses = [lambda p, net=net: jnp.mean(net.apply(p, *args) ** 2) for net in nets]
    for a, b in zip(*(jax.tree.leaves(jit(jax.grad(loss))(params)) for loss in losses), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert "remat" in str(jax.make_jaxpr(losses[1])(params)) and "remat" not in str(
        jax.make_jaxpr(losses[0])(params)
    )
