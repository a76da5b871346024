"""Published PyTorch weights, from a file on disk through `config.init` to the output of the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import ddpm_cxr
from data import Info
from models.convert import guided_shape, unet_from_published
from models.transfer import Images, transfer
from tests.models.test_unet import error, randomise_torch
from tests.peers import import_diffusers
from train import begin, build, sharding
from train.sources import flatten, read_source

COLOUR = Images(3, ())


def cifar10(width):
    """google/ddpm-cifar10-32's config.json, with `width` channels in place of 128."""
    return import_diffusers().UNet2DModel(
        sample_size=32, in_channels=3, out_channels=3, block_out_channels=(width, 2 * width, 2 * width, 2 * width),
        layers_per_block=2, norm_eps=1e-6, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"), attention_head_dim=None,
    )  # fmt: skip


def imagenet64(width, classes, channel_mult=(1, 2, 3, 4), num_res_blocks=3, attention_resolutions=(2, 4, 8)):
    """The flags of 64x64_diffusion.pt, with `width` channels in place of 192."""
    pytest.importorskip("torch")
    from torch import nn

    from tests.models.guided_diffusion import UNetModel

    model = UNetModel(
        model_channels=width, channel_mult=channel_mult, num_res_blocks=num_res_blocks,
        attention_resolutions=attention_resolutions, num_head_channels=64, legacy=False, updown=True, scale_shift=True,
    )  # fmt: skip
    model.out[2] = nn.Conv2d(width, 6, 3, padding=1)  # learn_sigma
    model.label_emb = nn.Embedding(classes, 4 * width)  # class_cond
    return model


def info(size, labels):
    return Info("natural", (size, size, 3), 8, labels, True, (), (), 0, (), {"train": 64, "val": 8, "test": 8}, None,
                (0.0,) * 3, (0.5,) * 3, "", "", 0)  # fmt: skip


def ours(preset, width, path, folder, labels=(), **unet):
    """(family, state) of the preset with `width` channels and the network so changed, begun from the file at `path`."""
    config = ddpm_cxr.get_config(preset)
    config.model.unet.update(channels=width, **unet)
    config.init.source = str(path)
    about, mesh = info(config.data.image_size, labels), sharding.make_mesh(1)
    start = begin.prepare(config, folder, about, None)
    assert {row.status for row in start.rows} <= {"loaded", "adapted"}
    family = build.build_family(config, about, None, start)
    return family, start.begin(build.init_state(family, about, mesh, 0))


def prediction(family, state, x, time, label):
    params = state.params["net"]
    return jax.jit(lambda p: family.net.apply({"params": p}, x, time, label, None))(params)


def saved(model, folder, *names):
    """The model's state in files of these names, each of which gives the same arrays; the last one's path."""
    import torch
    from safetensors.torch import save_file

    read = []
    for name in names:
        (save_file if name.endswith(".safetensors") else torch.save)(model.state_dict(), folder / name)
        read.append(read_source(str(folder / name), "", True, COLOUR).networks["net"])
    assert all((read[0][path] == array).all() for other in read for path, array in other.items())
    return folder / names[-1]


def test_diffusers_cifar10(tmp_path):
    torch, _ = pytest.importorskip("torch"), import_diffusers()
    model, _ = randomise_torch(cifar10(32))
    path = saved(model, tmp_path, "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors")
    family, state = ours("unet_cifar10", 32, path, tmp_path / "run")
    x, time = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32), np.float32([3.0, 700.0])
    with torch.no_grad():
        theirs = model(torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(time), return_dict=False)[0]
    found = prediction(family, state, x, time, jnp.zeros((2, 0)))
    assert error(found, theirs.permute(0, 2, 3, 1).numpy()) < 1e-4


def test_guided_diffusion_imagenet64(tmp_path):
    """Class-conditional, scale and shift, learned variance, on two levels; one class known, one hidden."""
    torch = pytest.importorskip("torch")
    model, _ = randomise_torch(imagenet64(64, 2, (1, 2), 2, (2,)))
    path = saved(model, tmp_path, "64x64_diffusion.safetensors", "64x64_diffusion.pt")
    smaller = {"multipliers": (1, 2), "blocks": 2, "attention": (2,)}
    family, state = ours("unet_imagenet64", 64, path, tmp_path / "run", ("a", "b"), **smaller)
    x, time = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32), np.float32([3.0, 700.0])
    embed = model.time_embed.forward
    with torch.no_grad():
        known = model.label_emb(torch.tensor([1])) * torch.tensor([[1.0], [0.0]])
        model.time_embed.forward = lambda t: embed(t) + known  # as its forward adds them
        theirs = model(torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(time))
    found = prediction(family, state, x, time, jnp.asarray([[0.0, 1.0], [-1.0, -1.0]]))
    assert found.shape == (2, 8, 8, 6)
    assert error(found, theirs.permute(0, 2, 3, 1).numpy()) < 1e-4


@pytest.mark.parametrize(
    ("preset", "make", "classes", "numbers"),
    [
        ("unet_cifar10", lambda: cifar10(128), 0, 35_746_307),
        ("unet_imagenet64", lambda: imagenet64(192, 1000), 1000, None),
    ],
)
def test_at_full_width_every_tensor_finds_its_place(preset, make, classes, numbers):
    """Shapes alone, no numbers; the first has the published count of parameters."""
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        model = make()
    shapes = {name: np.broadcast_to(np.float32(0), tuple(a.shape)) for name, a in model.state_dict().items()}
    if numbers:
        assert sum(a.size for a in shapes.values()) == numbers
    _, tree = unet_from_published(shapes)
    config = ddpm_cxr.get_config(preset)
    labels = tuple(map(str, range(classes)))
    family = build.build_family(config, info(config.data.image_size, labels), None)
    wanted = jax.eval_shape(family.init, jax.random.key(0), build.example_batch(info(config.data.image_size, labels)))
    wanted = jax.tree.map(lambda a: np.broadcast_to(np.float32(0), a.shape), wanted.params["net"])
    _, rows = transfer("net", flatten(wanted), flatten(tree), family.param_group, Images(3, labels), Images(3, None))
    assert {row.status for row in rows} == ({"loaded", "adapted"} if classes else {"loaded"})
    assert all(row.whole for row in rows)


@pytest.mark.parametrize(("ups", "count", "expected"), [((2, 5), 9, (3, 2)), ((3,), 8, (2, 3)), ((), 3, (1, 2))])
def test_levels_and_blocks_are_told_by_where_the_way_up_widens(ups, count, expected):
    names = [f"output_blocks.{i}.0.in_layers.0.weight" for i in range(count)]
    names += [f"output_blocks.{i}.{1 + i % 2}.conv.weight" for i in ups] + ["output_blocks.0.1.qkv.weight"]
    assert guided_shape(dict.fromkeys(names)) == expected


def test_weights_of_another_layout_are_refused(tmp_path):
    from safetensors.numpy import save_file

    from data import UserError

    save_file({"encoder.weight": np.zeros(3, np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="neither diffusers' UNet2DModel .* begin with encoder.weight"):
        read_source(str(tmp_path / "a.safetensors"), "", True, COLOUR)
    save_file({"input_blocks.0.0.gate": np.zeros(3, np.float32), "output_blocks.0.0.x": np.zeros(1, np.float32)},
              tmp_path / "b.safetensors")  # fmt: skip
    with pytest.raises(UserError, match="b.safetensors.*unknown layer"):
        read_source(str(tmp_path / "b.safetensors"), "", True, COLOUR)
