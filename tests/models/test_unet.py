"""The U-Net: shapes, conditions, exact dropout, gradients, and parity with PyTorch's published layouts."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.convert import unet_from_diffusers, unet_from_guided_diffusion
from models.layers import Dropout, LabelEmbedding
from models.networks import group_of
from models.unet import UNet
from tests.peers import import_diffusers

# What is tested here runs once: most of a test would be LLVM's optimiser.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
SMALL = dict(out_channels=1, channels=16, multipliers=(1, 2), blocks=1, norm_groups=8)


def inputs(b=2, h=16, w=16, c=1, k=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(b, h, w, c)).astype(np.float32)
    return x, np.linspace(10, 900, b, dtype=np.float32), rng.uniform(size=(b, k)).astype(np.float32)


def randomised(net, *args):
    """Parameters with nothing left at zero, so that every path carries a signal."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(net.init, jax.random.key(0), *args)
    scale = jax.tree.map(lambda a: np.sqrt(max(a.size // a.shape[-1], 1)), shapes)
    return jax.tree.map(
        lambda a, s: (rng.normal(size=a.shape) / s + (s == 1)).astype(np.float32), shapes, scale
    )


def run(net, params, *args):
    """One compilation, where calling the network itself would compile every operation."""
    return jit(net.apply)(params, *args)


def count(params) -> int:
    return sum(a.size for a in jax.tree.leaves(params))


def error(ours, theirs) -> float:
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize(
    "options, shape",
    [
        ({}, (16, 16, 1)),
        (dict(patch=4, out_channels=2), (32, 16, 3)),
        (dict(patch=2, attention=(1, 2), head_channels=8, attention_layout="separate"), (8, 12, 1)),
        (dict(attention=(2,), heads=4, attention_layout="legacy", resblock_updown=True), (6, 10, 2)),
        (dict(scale_shift=False, conv_resample=False, mid_attention=False, downsample_padding=0), (4, 4, 1)),
        (
            dict(channels=20, multipliers=(0.5, 1, 1.5), fourier=16.0, skip_scale=0.7, residual_scale=0.7),
            (8, 8, 1),
        ),
    ],
)
def test_output_has_the_shape_of_the_image_and_is_exactly_zero_at_init(options, shape):
    net = UNet(**(SMALL | options))
    x, time, label = inputs(2, *shape)
    out = jit(lambda key: net.apply(net.init(key, x, time, label), x, time, label))(jax.random.key(0))
    assert out.shape == (2, *shape[:2], net.out_channels) and out.dtype == jnp.float32
    assert not out.any()
    moved = run(net, randomised(net, x, time, label), x, time, label)
    assert jnp.isfinite(moved).all() and jnp.std(moved) > 0


def test_image_of_a_size_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="multiples of 4"):
        UNet(**SMALL, patch=2).init(jax.random.key(0), *inputs(2, 18, 16))


@pytest.mark.parametrize("patch", [1, 6])
def test_a_patch_that_its_local_patch_does_not_divide_is_refused(patch):
    with pytest.raises(ValueError, match=f"patch={patch} is no multiple of local_patch=4"):
        UNet(**SMALL, patch=patch, local_channels=8, local_patch=4).init(jax.random.key(0), *inputs(2, 48, 48))


@pytest.mark.parametrize("options", [dict(attention_layout="fused", attention=(1,)), dict(time_order="cos")])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match="use"):
        UNet(**SMALL, **options).init(jax.random.key(0), *inputs())


@pytest.mark.parametrize("local", [0, 8])
def test_a_guess_enters_by_a_convolution_of_its_own(local):
    net = UNet(**SMALL | dict(patch=2, local_channels=local, local_patch=1))
    x, time, label = inputs()
    params = randomised(net, x, time, label, None, x)["params"]
    params["conv_guess"]["bias"] = jnp.zeros_like(params["conv_guess"]["bias"])
    without = {name: value for name, value in params.items() if name != "conv_guess"}
    plain = run(net, {"params": without}, x, time, label)
    unseen, seen = (run(net, {"params": params}, x, time, label, None, guess) for guess in (jnp.zeros_like(x), x))
    np.testing.assert_allclose(unseen, plain, rtol=1e-4, atol=1e-5)
    assert jnp.abs(seen - plain).max((1, 2, 3)).min() > 1e-2
    assert group_of(("conv_guess", "kernel")) == "stem"


def test_without_labels():
    net = UNet(**SMALL)
    x, time, label = inputs(k=0)
    params = randomised(net, x, time, label)
    assert "label_embedding" not in params["params"]
    assert run(net, params, x, time, label).shape == x.shape


def test_label_embedding_is_the_weighted_sum_and_null_is_not_zero():
    net = UNet(**SMALL)
    x, time, _ = inputs(4)
    x, time = np.repeat(x[:1], 4, 0), np.repeat(time[:1], 4)
    label = np.array([[0, 0, 0], [-1, 0, 0], [1, 0, 0], [0, 0, 0.5]], np.float32)
    params = randomised(net, x, time, label)
    out = run(net, params, x, time, label)
    gaps = [float(jnp.abs(out[i] - out[j]).max()) for i in range(4) for j in range(i)]
    assert min(gaps) > 1e-3
    kernel, null = (params["params"]["label_embedding"][name] for name in ("kernel", "null"))
    embedded = LabelEmbedding(kernel.shape[1]).apply({"params": {"kernel": kernel, "null": null}}, label)
    np.testing.assert_allclose(embedded, [0 * null[0], null[0], kernel[0], 0.5 * kernel[2]], rtol=1e-6)


def test_depends_on_time_and_on_distant_pixels():
    net = UNet(**SMALL, attention=(2,))
    x, time, label = inputs()
    params = randomised(net, x, time, label)
    corner = jit(jax.grad(lambda x: net.apply(params, x, time, label)[0, 0, 0, 0]))(jnp.asarray(x))
    assert (
        jnp.abs(corner[0, -1, -1, 0]) > 0 and not corner[1].any()
    )  # sees the far corner, and no other example
    assert (
        jnp.abs(run(net, params, x, time, label) - run(net, params, x, time + 1, label)).max((1, 2, 3)).min()
        > 1e-3
    )


def test_dropout_does_not_depend_on_how_the_batch_is_split():
    net = UNet(**SMALL, dropout=0.3)
    x, time, label = inputs(4)
    keys = jax.random.split(jax.random.key(5), 4)
    params = randomised(net, x, time, label)
    apply = jit(net.apply)
    whole = apply(params, x, time, label, keys)
    parts = [apply(params, x[i : i + 2], time[i : i + 2], label[i : i + 2], keys[i : i + 2]) for i in (0, 2)]
    np.testing.assert_allclose(whole, jnp.concatenate(parts), rtol=1e-4, atol=1e-4)
    assert jnp.abs(whole - apply(params, x, time, label)).max() > 0.1  # and it does something
    assert jnp.abs(whole - apply(params, x, time, label, keys[::-1])).max() > 0.1


def test_dropout_layers_draw_different_masks_of_the_right_mean():
    x, keys = jnp.ones((2, 64, 64)), jax.random.split(jax.random.key(0), 2)

    class Two(nn.Module):
        @nn.compact
        def __call__(self, x, keys):
            return Dropout(0.25)(x, keys), Dropout(0.25)(x, keys)

    first, second = Two().apply({}, x, keys)
    for mask in (first, second):
        assert abs(mask.mean() - 1) < 0.02 and abs((mask == 0).mean() - 0.25) < 0.02
    assert 0.3 < ((first == 0) != (second == 0)).mean() < 0.45  # 2 x 0.25 x 0.75 where independent
    assert ((first[0] == 0) != (first[1] == 0)).mean() > 0.3


@pytest.mark.slow
def test_remat_gives_the_same_gradients():
    x, time, label = inputs()
    keys = jax.random.split(jax.random.key(5), 2)
    plain, remat = (UNet(**SMALL, attention=(2,), dropout=0.2, remat=remat) for remat in (False, True))
    params = randomised(plain, x, time, label)
    grads = [
        jit(jax.grad(lambda p, net=net: jnp.mean(net.apply(p, x, time, label, keys) ** 2)))(params)
        for net in (plain, remat)
    ]
    for a, b in zip(*map(jax.tree.leaves, grads), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    text = str(jax.make_jaxpr(lambda p: remat.apply(p, x, time, label, keys))(params))
    assert text.count("remat") >= 8 or text.count("checkpoint") >= 8


def test_bfloat16_compute_keeps_parameters_and_output_in_float32():
    x, time, label = inputs()
    nets = [UNet(**SMALL, attention=(2,), dtype=dtype) for dtype in (jnp.float32, jnp.bfloat16)]
    params = randomised(nets[1], x, time, label)
    assert {a.dtype for a in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    full, half = (run(net, params, x, time, label) for net in nets)
    assert half.dtype == jnp.float32
    assert 0 < error(half, np.asarray(full)) < 0.05


# Parity with PyTorch ----------------------------------------------------------------------------------------------


def check_parity(net, torch_net, params, x, time, label, **torch_inputs):
    """Outputs to 1e-4 relative, and the same trees and numbers of parameters."""
    torch = pytest.importorskip("torch")
    expected = jax.eval_shape(net.init, jax.random.key(0), x, time, label)["params"]
    assert jax.tree.map(np.shape, params) == jax.tree.map(lambda a: a.shape, expected)
    null = label.shape[-1] * net.embedding_multiple * net.channels  # the null rows, which the source has not
    assert count(params) - null == sum(p.numel() for p in torch_net.parameters())
    with torch.no_grad():
        theirs = torch_net(
            torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), torch.from_numpy(time), **torch_inputs
        )
    theirs = theirs[0] if isinstance(theirs, tuple) else theirs
    ours = run(net, {"params": params}, x, time, label)
    assert error(ours, theirs.numpy().transpose(0, 2, 3, 1)) < 1e-4


def randomise_torch(module):
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return module.eval(), {name: a.numpy() for name, a in module.state_dict().items()}


CIFAR = dict(  # the layout of google/ddpm-cifar10-32, narrower
    ours=dict(
        multipliers=(1, 2, 2, 2), attention=(2,), attention_layout="separate", scale_shift=False, norm_epsilon=1e-6,
        downsample_padding=0, time_order="sin_cos", freq_shift=1,
    ),
    theirs=dict(
        block_out_channels=(32, 64, 64, 64), norm_eps=1e-6, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"), attention_head_dim=None,
    ),
)  # fmt: skip
DEFAULT = dict(  # UNet2DModel's own defaults, narrower
    ours=dict(
        multipliers=(1, 2, 3, 4),
        attention=(2, 4, 8),
        attention_layout="separate",
        scale_shift=False,
        head_channels=8,
    ),
    theirs=dict(block_out_channels=(32, 64, 96, 128)),
)
SCALE_SHIFT = dict(
    ours=dict(
        multipliers=(1, 2), attention=(2,), attention_layout="separate", head_channels=8, mid_attention_norm=False,
        resblock_updown=True, mid_residual_scale=0.5,
    ),
    theirs=dict(
        block_out_channels=(32, 64), resnet_time_scale_shift="scale_shift", mid_block_scale_factor=2,
        num_class_embeds=3,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"), downsample_type="resnet",
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D"), upsample_type="resnet",
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "layout", [CIFAR, DEFAULT, SCALE_SHIFT], ids=["ddpm-cifar10", "default", "scale-shift"]
)
def test_parity_with_diffusers(layout):
    torch, diffusers = pytest.importorskip("torch"), import_diffusers()
    model = diffusers.UNet2DModel(in_channels=3, out_channels=3, **layout["theirs"])
    model, weights = randomise_torch(model)
    net = UNet(out_channels=3, channels=32, blocks=2, **layout["ours"])
    classes = layout["theirs"].get("num_class_embeds", 0)
    x, time, _ = inputs(c=3)
    label = np.eye(2, classes, dtype=np.float32)
    extra = dict(class_labels=torch.arange(2)) if classes else {}
    check_parity(net, model, unet_from_diffusers(weights), x, time, label, return_dict=False, **extra)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("updown", [True, False])
def test_parity_with_guided_diffusion(legacy, updown):
    pytest.importorskip("torch")
    from tests.models.guided_diffusion import UNetModel

    options = dict(model_channels=32, channel_mult=(1, 2), num_res_blocks=2, attention_resolutions=(2,))
    model = UNetModel(**options, num_head_channels=16, legacy=legacy, updown=updown, scale_shift=updown)
    model, weights = randomise_torch(model)
    net = UNet(
        out_channels=3, channels=32, multipliers=(1, 2), blocks=2, attention=(2,), head_channels=16,
        attention_layout="legacy" if legacy else "split", resblock_updown=updown, scale_shift=updown,
    )  # fmt: skip
    x, time, label = inputs(c=3, k=0)
    check_parity(net, model, unet_from_guided_diffusion(weights, 2, 2), x, time, label)


def test_unknown_weights_are_refused():
    with pytest.raises(KeyError, match="conv_extra"):
        unet_from_diffusers(
            {"down_blocks.0.resnets.0.conv1.bias": np.zeros(3), "conv_extra.weight": np.zeros(3)}
        )
    with pytest.raises(KeyError, match="unknown layer"):
        unet_from_guided_diffusion({"input_blocks.1.0.gate.weight": np.zeros(3)}, 2, 2)
