"""DINOv2 against timm, transformers, PyTorch's interpolation and torchvision's resizing, on the same random weights.

Left out where one of them is absent; nothing is downloaded.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from analysis.features import dinov2, dinov2_net, dinov2_weights
from models.cpu import jit
from tests.analysis.dinov2_files import SMALL, publish, random_weights
from tests.analysis.metrics.peers import peer

torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch")
NORM = {"weight": "gain", "bias": "bias"}
# transformers' names within the network (in files it keeps others) and the authors'.
TRANSFORMERS = {
    "embeddings.position_embeddings": "pos_embed", "embeddings.cls": "cls", "embeddings.mask": "mask",
    "embeddings.patch_embeddings.projection": "patch_embed.proj", "encoder.layer": "blocks", "attention": "attn",
    "layer_scale1.lambda1": "ls1.gamma", "layer_scale2.lambda1": "ls2.gamma", "o_proj": "proj", "layernorm": "norm",
}  # fmt: skip
LIMIT = 1e-4  # of the largest difference, relative to the largest value


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (2, 50, 70, 3), np.uint8)


def difference(ours, theirs):
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def positions(raw):
    """The learned ones at 16 x 16 by the call that the authors' code makes."""
    learned = torch.from_numpy(raw["pos_embed"])
    grid = learned[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
    return torch.cat([learned[:, :1], grid.permute(0, 2, 3, 1).reshape(1, 256, -1)], 1)


@jit
def every_output(params, x):
    tokens = dinov2_net.embed(params, x)
    return tokens, dinov2_net.run_blocks(params, tokens, keep=True)[1], dinov2_net.features(params, x)


def compare(name, ours, embedded, blocks, features):
    assert len(blocks) == len(ours[1]) == SMALL.depth
    differences = [difference(ours[0], embedded)]
    differences += [difference(a, b) for a, b in zip(ours[1], blocks, strict=True)] + [difference(ours[2], features)]
    print(f"{name}: tokens, blocks, features", ", ".join(f"{value:.1e}" for value in differences))
    assert max(differences) < LIMIT


def keep(kept):
    return lambda module, inputs, output: kept.append(output)


def test_every_block_of_timm(images):
    """timm's arrays have the authors' names: its network takes their state dict as it is."""
    timm = peer("timm.models.vision_transformer")
    raw = random_weights()
    network = timm.VisionTransformer(
        img_size=224, patch_size=14, embed_dim=SMALL.width, depth=SMALL.depth, num_heads=2, num_classes=0,
        init_values=1.0,
    ).eval()  # fmt: skip
    state = {name: torch.from_numpy(array) for name, array in raw.items() if name != "mask_token"}
    network.load_state_dict(state | {"pos_embed": positions(raw)})
    embedded, blocks = [], []
    network.norm_pre.register_forward_hook(keep(embedded))
    for block in network.blocks:
        block.register_forward_hook(keep(blocks))
    x = dinov2.prepare(images)
    with torch.no_grad():
        features = network(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    compare("timm", every_output(dinov2_weights.to_params(raw, SMALL), x), embedded[0], blocks, features)


def hugging_face(raw):
    """transformers' network of the weights."""
    transformers = peer("transformers")
    config = transformers.Dinov2Config(hidden_size=SMALL.width, num_hidden_layers=SMALL.depth, num_attention_heads=2,
                                       image_size=518, patch_size=14)  # fmt: skip
    network = transformers.Dinov2Model(config).eval()
    state = {}
    for name, target in network.state_dict().items():
        authors = name
        for theirs, ours in TRANSFORMERS.items():
            authors = authors.replace(theirs, ours)
        part = next((i for i, letter in enumerate("qkv") if f"{letter}_proj" in authors), None)
        if part is None:
            state[name] = torch.from_numpy(raw[authors])
        else:
            joined = raw[authors.replace(f"{'qkv'[part]}_proj", "qkv")]
            state[name] = torch.from_numpy(np.split(joined, 3)[part])
        assert state[name].shape == target.shape
    network.load_state_dict(state)
    return network


def test_every_block_of_transformers(images):
    """Its own way of bringing positions to 16 x 16 differs from the authors', whose are put in its place."""
    raw = random_weights()
    network, blocks = hugging_face(raw), []
    network.embeddings.interpolate_pos_encoding = lambda *_: positions(raw)
    for block in network.encoder.layer:
        block.register_forward_hook(keep(blocks))
    embedded = []
    network.embeddings.register_forward_hook(keep(embedded))
    x = dinov2.prepare(images)
    with torch.no_grad():
        features = network(torch.from_numpy(x.transpose(0, 3, 1, 2))).pooler_output
    blocks = [block[0] if isinstance(block, tuple) else block for block in blocks]
    compare("transformers", every_output(dinov2_weights.to_params(raw, SMALL), x), embedded[0], blocks, features)


def test_the_file_of_hugging_face(tmp_path, images, monkeypatch):
    """What transformers saves has the names and arrays of the file on Hugging Face's hub."""
    hugging_face(random_weights()).save_pretrained(tmp_path)
    authors = publish(monkeypatch, tmp_path)
    ours = dinov2.extractor(path=tmp_path / "model.safetensors")(images)
    np.testing.assert_array_equal(ours, dinov2.extractor(path=authors)(images))


@pytest.mark.parametrize("zipped", [False, True])
def test_the_file_of_the_authors(tmp_path, zipped):
    raw = random_weights()
    state = {name: torch.from_numpy(array) for name, array in raw.items()}
    torch.save(state, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    read = dinov2_weights._read(tmp_path / "weights.pth")
    assert read.keys() == raw.keys() and all(np.array_equal(read[name], raw[name]) for name in raw)


def test_positions_of_the_authors_code():
    raw = random_weights()
    ours = dinov2_weights.resize_positions(raw["pos_embed"][0, 1:], 16)
    assert difference(ours, positions(raw)[0, 1:]) < 1e-5


@pytest.mark.parametrize("shape", [(64, 64), (300, 260), (224, 224)])
def test_resizing_of_the_published_code(shape):
    """A PIL image through torchvision's Resize, ToTensor and Normalize, as in dgm-eval."""
    peer("torchvision")
    from PIL import Image
    from torchvision import transforms

    chain = transforms.Compose([
        transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    theirs = torch.stack([chain(Image.fromarray(image)) for image in images]).permute(0, 2, 3, 1)
    assert difference(dinov2.prepare(images), theirs) < 1e-6


def test_the_norm_of_tokens_far_from_zero():
    """There the mean of squares less the square of the mean would have no digits left."""
    x = np.random.default_rng(0).normal(size=(4, 5, SMALL.width)).astype(np.float32) + np.float32(3e3)
    params = dinov2_weights.to_params(random_weights(), SMALL)
    layer = torch.nn.LayerNorm(SMALL.width, 1e-6)
    layer.load_state_dict({name: torch.from_numpy(params[f"norm_{ours}"]) for name, ours in NORM.items()})
    theirs = layer.double()(torch.from_numpy(x).double()).detach()
    assert difference(dinov2_net._norm(params, "norm", jnp.asarray(x)), theirs) < 1e-3
