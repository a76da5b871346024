"""Inception and its resizing against torch-fidelity, pytorch-fid and clean-fid, on the same random weights.

Needs PyTorch and these packages, and is left out without them; nothing is downloaded.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch")


from tests.peers import register_operators  # noqa: E402 (after the skip)

register_operators()
torchvision = pytest.importorskip("torchvision", reason="the peers need torchvision")
fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="no torch-fidelity")
pytorch_fid = pytest.importorskip("pytorch_fid.inception", reason="no pytorch-fid")
cleanfid = pytest.importorskip("cleanfid.resize", reason="no clean-fid")

import jax  # noqa: E402 (after the skips)
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x  # noqa: E402

from analysis.features import inception, inception_weights  # noqa: E402
from analysis.features.inception_net import Inception  # noqa: E402
from analysis.features.resize import resize  # noqa: E402
from models.cpu import jit  # noqa: E402
from tests.analysis.inception_files import publish, random_weights  # noqa: E402
from train.torch_pickle import read_arrays  # noqa: E402

LIMIT = 1e-4  # of the largest difference, relative to the largest value


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A whole state dict, counters and metadata too, in the format before PyTorch 1.6."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False)
    state = network.state_dict()
    state.update({name: torch.from_numpy(value) for name, value in random_weights().items()})
    assert len(state) == 566 and all(state[name].shape == value.shape for name, value in network.state_dict().items())
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def images():
    """Smooth color pictures, smaller than the network's size and not square, uint8 [2, 50, 70, 3]."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (2, 6, 6, 3)).astype(np.float32)
    return resize(coarse, 70, "clean")[:, :50].round().astype(np.uint8)


def difference(ours, theirs):
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def to_torch(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def test_every_layer_and_block(weights, images):
    """Convolutions with their batch norms, and whole blocks, in a pass through both networks."""
    peer = fidelity.FeatureExtractorInceptionV3("peer", ["2048"], str(weights))
    theirs = {}

    def keep(name):
        return lambda module, inputs, output: theirs.update({name: output.numpy().copy().transpose(0, 2, 3, 1)})

    for name, module in peer.named_modules():
        if name.endswith(".bn"):
            module.register_forward_hook(keep(name.removesuffix(".bn")))
        elif name.startswith("Mixed") and "." not in name:
            module.register_forward_hook(keep(name))
    peer(to_torch(images))
    params = inception_weights.load(weights)
    ours = _layers(params, inception.prepare(images, "legacy-tensorflow"))
    assert len(theirs) == 94 + 11 and theirs.keys() == ours.keys()
    differences = {name: difference(ours[name], theirs[name]) for name in theirs}
    print(f"largest of {len(differences)} layers and blocks: {max(differences.values()):.1e}")
    assert {name: value for name, value in differences.items() if not value < LIMIT} == {}


def _layers(params, x):
    """{PyTorch's name: output} of every convolution and block."""
    _, kept = Inception().apply({"params": params}, x, capture_intermediates=True, mutable=["intermediates"])
    leaves = jax.tree_util.tree_leaves_with_path(kept["intermediates"])
    outputs = {".".join(part.key for part in path[:-2]): np.asarray(leaf) for path, leaf in leaves}
    return {name: output for name, output in outputs.items() if name.startswith(("Conv", "Mixed"))}


def test_features_of_torch_fidelity(weights, images, monkeypatch):
    publish(monkeypatch, weights)
    names = fidelity.FeatureExtractorInceptionV3.get_provided_features_list()
    peer = fidelity.FeatureExtractorInceptionV3("peer", list(names), str(weights))
    spatial = []
    peer.Mixed_6d.branch1x1.register_forward_hook(lambda module, inputs, output: spatial.append(output))
    theirs = dict(zip(names, peer(to_torch(images)), strict=True))
    # "mixed_6/conv" in torch-fidelity's own table of names (its convert_inception_weights.py)
    theirs["spatial"] = spatial[0].permute(0, 2, 3, 1)[..., :7].reshape(len(images), -1)
    ours = _taps(inception_weights.load(weights), inception.prepare(images, "legacy-tensorflow"))
    assert ours.keys() == theirs.keys() == set(inception.TAPS)
    compare("torch-fidelity", ours, theirs)
    whole = inception.extractor(mode="legacy-tensorflow", path=weights)(images)
    assert difference(whole, theirs["2048"]) < LIMIT


def test_features_of_pytorch_fid(weights, images, monkeypatch):
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *_, **__: torch.load(weights))
    peer = pytorch_fid.InceptionV3([0, 1, 2, 3]).eval()
    with torch.no_grad():
        theirs = [output.mean((2, 3)) for output in peer(to_torch(images) / 255)]
    ours = _taps(inception_weights.load(weights), inception.prepare(images, "legacy-pytorch"))
    compare("pytorch-fid", ours, dict(zip(("64", "192", "768", "2048"), theirs, strict=True)))


@jit
def _taps(params, x):
    return Inception().apply({"params": params}, x)


def compare(peer, ours, theirs):
    differences = {tap: difference(ours[tap], value) for tap, value in theirs.items()}
    print(f"{peer}:", ", ".join(f"{tap} {value:.1e}" for tap, value in differences.items()))
    assert max(differences.values()) < LIMIT


def _clean(images):
    return np.stack([cleanfid.build_resizer("clean")(image) for image in images])


def _legacy_tensorflow(images):
    x = interpolate_bilinear_2d_like_tensorflow1x(to_torch(images).float(), (299, 299), align_corners=False)
    return x.numpy().transpose(0, 2, 3, 1)


def _legacy_pytorch(images):
    x = torch.nn.functional.interpolate(to_torch(images).float(), (299, 299), mode="bilinear", align_corners=False)
    return x.numpy().transpose(0, 2, 3, 1)


PEERS = {"clean": _clean, "legacy-tensorflow": _legacy_tensorflow, "legacy-pytorch": _legacy_pytorch}


@pytest.mark.parametrize("mode", PEERS)
@pytest.mark.parametrize("shape", [(32, 32), (320, 260), (299, 299), (512, 400)])
def test_resizing(mode, shape):
    images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    theirs = PEERS[mode](images)
    ours = resize(images.astype(np.float32), 299, mode)
    print(f"{mode} {shape}: {difference(ours, theirs):.1e}")
    assert difference(ours, theirs) < 1e-6


@pytest.mark.parametrize("zipped", [False, True])
def test_both_formats_of_torch_save_are_read(tmp_path, zipped):
    layer = torch.nn.Conv2d(3, 4, 3)
    state = layer.state_dict() | {"turned": layer.weight.detach().permute(3, 1, 0, 2)[1:], "count": torch.tensor(7)}
    torch.save(state, tmp_path / "state.pth", _use_new_zipfile_serialization=zipped)
    read = read_arrays(tmp_path / "state.pth")
    assert read.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(read[name], value.numpy())
