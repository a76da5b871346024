"""The perceptual distance: its formula in closed form, what it depends on, and against the package lpips."""

import jax
import numpy as np
import pytest

from analysis.features import efficientnet_lite0, inception_weights, perceptual
from analysis.features.images import rgb
from analysis.features.inception_net import Inception
from data import UserError
from models.cpu import jit
from tests.analysis.inception_files import publish, random_weights
from tests.analysis.metrics.peers import peer
from tests.analysis.torch_files import write_state_dict


@pytest.fixture(scope="module")
def distance():
    return perceptual.build(batch_size=2)


@pytest.fixture
def images():
    """Smooth gray pictures, uint8 [3, 48, 64, 1]."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 1)).astype(np.float32)
    return np.asarray(jax.image.resize(coarse, (3, 48, 64, 1), "linear")).astype(np.uint8)


def test_closed_form():
    """Channels at right angles are 2 apart, at 60 degrees 1, opposite ones 4, whatever their length; 0 stays 0."""
    one = np.float32([[3, 0], [1, 0], [5, 0], [0, 0]]).reshape(1, 2, 2, 2)
    other = np.float32([[0, 7], [1, 3**0.5], [-1, 0], [0, 0]]).reshape(1, 2, 2, 2)
    half = np.float32([[2, 0], [1, 0]]).reshape(1, 1, 2, 2)
    got = perceptual.distance([np.concatenate([one, other]), np.concatenate([half, 9 * half])])
    np.testing.assert_allclose(got, [(2 + 1 + 4 + 0) / 4], rtol=1e-6)


def test_what_it_depends_on(distance, images):
    noise = np.random.default_rng(1).normal(size=images.shape)
    near, far = (np.clip(images + sigma * noise, 0, 255).astype(np.uint8) for sigma in (4, 16))
    values = distance(images, near)
    assert values.shape == (3,) and (0.01 < values).all() and (values < distance(images, far)).all()
    np.testing.assert_array_equal(distance(images, images), 0)
    np.testing.assert_allclose(distance(near, images), values, rtol=1e-5)
    np.testing.assert_allclose(distance(images[1:2], near[1:2]), values[1:2], rtol=1e-4)  # whatever the batch
    facts = distance.describe()
    assert facts["name"] == "efficientnet_lite0" and len(facts["weights_sha256"]) == 64
    assert facts["layers"] == ["stage 1", "stage 2", "stage 3", "stage 5", "stage 7"]  # one a resolution
    with pytest.raises(ValueError, match="two of one shape are needed"):
        distance(images, images[:2])
    with pytest.raises(UserError, match="no perceptual distance in 'pixels'; there is one in efficientnet_lite0, inc"):
        perceptual.build("pixels")


def test_layers_of_inception(images, tmp_path, monkeypatch):
    """Pooled, the layers are the network's published features."""
    path = tmp_path / "weights.pth"
    write_state_dict(path, random_weights())
    publish(monkeypatch, path)
    _, resize, layers, params, prepare, maps = perceptual.NETWORKS["inception"](path)
    assert resize == "clean" and len(layers) == 5
    run = jit(lambda params, x: (maps(params, x), Inception().apply({"params": params}, rgb(x))))
    outputs, taps = run(params, prepare(images[:1]))
    pooled = [layer.mean((1, 2)) for layer in (*map(_max_pooled, outputs[:2]), *outputs[3:])]
    for tap, layer in zip(("64", "192", "768", "2048"), pooled, strict=True):
        np.testing.assert_allclose(layer, taps[tap], rtol=1e-4, atol=1e-4)
    assert perceptual.build("inception", path).describe()["weights_sha256"] == inception_weights.SHA256


def _max_pooled(x):
    return jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")


def test_beside_the_package_lpips(distance, images):
    """Its own formula, unweighted, on what EfficientNet-Lite0 gives in PyTorch with the same weights."""
    lpips = peer("lpips")
    torch, efficientnet = peer("torch"), peer("efficientnet_lite_pytorch")
    weights = str(efficientnet_lite0.weights_path())
    network = efficientnet.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    ends = np.cumsum([blocks for *_, blocks in efficientnet_lite0.STAGES]) - 1

    def outputs(x):
        x, kept = network._swish(network._bn0(network._conv_stem(x))), []
        for block in network._blocks:
            x = block(x)
            kept.append(x)
        return [kept[ends[stage]] for stage in perceptual.STAGES]

    theirs = lpips.LPIPS(pretrained=False, lpips=False, pnet_rand=True, version="0.0", verbose=False)
    assert theirs.L == len(perceptual.STAGES)
    theirs.net.forward = outputs
    noisy = np.clip(images + np.random.default_rng(1).normal(0, 9, images.shape), 0, 255).astype(np.uint8)
    x, y = (torch.from_numpy(np.array(efficientnet_lite0.prepare(a)).transpose(0, 3, 1, 2)) for a in (images, noisy))
    with torch.no_grad():
        expected = theirs(x, y).reshape(-1).numpy()
    difference = np.abs(distance(images, noisy) - expected).max() / expected.max()
    print(f"lpips: {difference:.1e}")
    assert difference < 1e-4
