"""EfficientNet-Lite0 against PyTorch, and the reader of its file."""

import io
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.features import efficientnet_lite0
from train.torch_pickle import read_arrays

# Of the package efficientnet-lite-pytorch 0.1.0 with the same weights under PyTorch 2.13, after its global pooling, for
# numpy.random.default_rng(0).normal(size=(2, 224, 224, 3)) as float32.
PLACES = [455, 626, 113, 1127, 824, 434, 215, 437]
REFERENCE = [
    [5.37550, 5.37847, 4.16239, 3.61935, 3.59797, 3.28330, 3.29949, 3.29021],
    [5.51568, 4.83510, 4.38907, 4.10646, 3.65932, 3.59404, 2.96120, 2.64506],
]
SUMS = [111.82628, 121.90390]


def test_same_features_as_pytorch():
    x = np.random.default_rng(0).normal(size=(2, 224, 224, 3)).astype(np.float32)
    got = np.asarray(efficientnet_lite0.features(efficientnet_lite0.load_params(), x))
    assert got.shape == (2, efficientnet_lite0.WIDTH)
    np.testing.assert_allclose(got[:, PLACES], REFERENCE, atol=1e-4)
    np.testing.assert_allclose(got.sum(1), SUMS, atol=5e-3)


def test_gray_and_deep_images_are_the_same_images():
    extract = efficientnet_lite0.extractor(2)
    gray = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 1), np.uint8)
    rgb, deep = gray.repeat(3, -1), gray.astype(np.uint16) * 257
    a = extract(gray)
    np.testing.assert_allclose(extract(rgb), a, atol=1e-5)
    np.testing.assert_allclose(extract(deep), a, atol=1e-4)
    np.testing.assert_allclose(extract(gray[2:]), a[2:], atol=1e-5)  # whatever the batch


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_file_that_wants_to_run_something_is_refused(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="does not belong into a file of weights"):
        read_arrays(path)
    assert "must not run" not in capsys.readouterr().out
    path.write_bytes(pickle.dumps(7))
    with pytest.raises(ValueError, match="no file of torch.save"):
        read_arrays(path)
    whole = io.BytesIO(b"")
    path.write_bytes(whole.getvalue())
    with pytest.raises(ValueError, match="weights.pth"):
        read_arrays(path)


def test_no_product_is_left_to_a_device_to_round():
    """A GPU takes products of float32 in TF32 unless told otherwise: features would depend on the device."""
    params = efficientnet_lite0.load_params()
    said = str(jax.make_jaxpr(efficientnet_lite0.features)(params, jnp.zeros((1, 64, 64, 3))))
    assert said.count("precision=None") == 0 and said.count("HIGHEST") > 30
