"""DINOv2's features without torch: against kept numbers, its files, and what the features depend on."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from analysis.features import dinov2, dinov2_weights, registry
from analysis.features.file_hash import sha256
from data import UserError
from tests.analysis.dinov2_files import SMALL, publish, random_weights
from tests.analysis.torch_files import write_state_dict

# Of timm 1.0.31 under PyTorch 2.13, in float64, for `images` and `random_weights()`: every 21st feature, and the sum.
FEATURES = [
    [-1.065141, -0.51332, 1.598488, 0.326289, -1.065727, -0.268686, -2.307303],
    [0.874868, -0.622864, 1.244193, -0.648206, 0.214299, 2.373321, 0.473293],
]
SUMS = [-7.66758, -4.12178]


@pytest.fixture
def images():
    noise = np.random.default_rng(1).integers(0, 256, (2, 40, 32, 1), np.uint8)
    return noise // np.uint8([1, 3]).reshape(2, 1, 1, 1)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No weights at hand, and no network."""
    monkeypatch.setattr(dinov2_weights, "URL", (tmp_path / "remote").as_uri())
    for name in dinov2_weights.ARCHITECTURES:
        monkeypatch.delenv(dinov2_weights.published(name).variable, raising=False)


def test_same_features_as_pytorch(images, tmp_path, monkeypatch):
    extract = dinov2.extractor(path=publish(monkeypatch, tmp_path))
    features = extract(images)
    assert features.shape == (2, SMALL.width) and features.dtype == np.float32
    np.testing.assert_allclose(features[:, ::21], FEATURES, atol=1e-4)
    np.testing.assert_allclose(features.sum(1), SUMS, atol=2e-3)
    np.testing.assert_allclose(extract(images.repeat(3, -1)), features, atol=1e-5)
    np.testing.assert_allclose(extract(images[1:]), features[1:], atol=1e-4)  # whatever the batch
    deep = extract(images.astype(np.uint16) * 257)  # not rounded to 8 bits once resized
    assert 0 < np.abs(deep - features).max() < 0.1


def test_positions_of_a_ramp():
    """The first moment of Keys' kernel with a = -3/4, a share t beyond a place, is 3/2 t - 3/2 t^2 + t^3."""
    ramp = np.broadcast_to(np.arange(37.0)[:, None, None], (37, 37, 1))
    whole, t = np.divmod((np.arange(16) + 0.5) * 37 / 16.1 - 0.5, 1)
    down = dinov2_weights.resize_positions(ramp.reshape(-1, 1), 16).reshape(16, 16)
    across = dinov2_weights.resize_positions(ramp.swapaxes(0, 1).reshape(-1, 1), 16).reshape(16, 16)
    expected = (whole + 1.5 * t - 1.5 * t**2 + t**3)[1:-1]  # away from the edges
    np.testing.assert_allclose(down[1:-1], np.broadcast_to(expected[:, None], (14, 16)), rtol=1e-6)
    np.testing.assert_allclose(across, down.T, rtol=1e-6)


def test_registry(images, tmp_path, monkeypatch):
    path = publish(monkeypatch, tmp_path, "dinov2_vits14")
    monkeypatch.setenv("MEDGEN_DINOV2_VITS14", str(path))
    network = registry.build("dinov2_vits14", batch_size=1)
    assert network.describe() == {"name": "dinov2_vits14", "weights_sha256": sha256(path), "resize": "pillow-bicubic"}
    assert network(images).shape == (2, SMALL.width)
    assert {"dinov2", "dinov2_vitb14"} < registry.NETWORKS.keys()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="dinov2 could not be downloaded .*dinov2_vitl14_pretrain.pth from .*"
                       "remote/dinov2_vitl14/dinov2_vitl14_pretrain.pth .*set MEDGEN_DINOV2 to"):  # fmt: skip
        dinov2_weights.find("dinov2", cache=tmp_path / "cache")
    with pytest.raises(UserError, match="there is no file .*absent.pth; dinov2_vitb14_pretrain.pth can be had from"):
        dinov2_weights.find("dinov2_vitb14", tmp_path / "absent.pth")


def test_other_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"others")
    with pytest.raises(UserError, match="weights.pth is not the published dinov2 .* begins with 01db91d0, not d5383"):
        dinov2_weights.find("dinov2", path)
    monkeypatch.setitem(dinov2_weights.ARCHITECTURES, "dinov2", SMALL)
    raw = random_weights()
    for change, words in (
        ({"register_tokens": np.zeros((1, 4, 128), np.float32)}, "register_tokens does not belong to this network"),
        ({"norm.bias": np.zeros(7, np.float32)}, r"norm.bias is \(7,\); shape \(128,\) is needed"),
        ({"blocks.2.ls1.gamma": None}, r"blocks.2.ls1.gamma is lacking; shape \(128,\) is needed"),
    ):
        write_state_dict(path, {name: array for name, array in (raw | change).items() if array is not None})
        with pytest.raises(UserError, match=f"weights.pth cannot be read as the weights of dinov2 .{words}"):
            dinov2_weights.load("dinov2", path)


def test_safetensors(images, tmp_path, monkeypatch):
    """Under Hugging Face's names; the file's own hash is what result files get."""
    authors, path = publish(monkeypatch, tmp_path), tmp_path / "model.safetensors"
    save_file(_hugging_face_names(random_weights()), path)
    network = registry.build("dinov2", weights=path)
    assert network.weights == sha256(path) != sha256(authors)
    np.testing.assert_array_equal(network(images), registry.build("dinov2", weights=authors)(images))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="model.safetensors cannot be read as the weights of dinov2"):
        registry.build("dinov2", weights=path)


def _hugging_face_names(raw):
    """Names of the file on the hub, as listed there for dinov2-large."""
    out = {}
    for name, array in raw.items():
        block = f"encoder.layer.{name.split('.')[1]}." if name.startswith("blocks.") else ""
        rest = name.split(".", 2)[2] if block else name
        if rest.startswith("attn.qkv"):
            kind = rest.rpartition(".")[2]
            parts = zip(("query", "key", "value"), np.split(array, 3), strict=True)
            out |= {f"{block}attention.attention.{part}.{kind}": np.ascontiguousarray(a) for part, a in parts}
        else:
            out[block + HUGGING_FACE.get(rest, rest)] = array
    return out


HUGGING_FACE = {
    "cls_token": "embeddings.cls_token", "mask_token": "embeddings.mask_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "attn.proj.weight": "attention.output.dense.weight", "attn.proj.bias": "attention.output.dense.bias",
    "ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1",
    "norm.weight": "layernorm.weight", "norm.bias": "layernorm.bias",
}  # fmt: skip
