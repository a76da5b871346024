"""Random weights for FID's Inception: what is timed or compared on them needs no download."""

import jax
import jax.numpy as jnp
import numpy as np

from analysis.features import inception_net


def random_inception(seed: int = 0) -> dict[str, np.ndarray]:
    """{PyTorch's name: float32 array} as in the published file; kernels keep the scale of what passes through them."""
    rng = np.random.default_rng(seed)
    raw = {}
    for name, shape in _kernels().items():
        raw[f"{name}.conv.weight"] = rng.normal(0, (2 / np.prod(shape[:3])) ** 0.5, (shape[3], shape[2], *shape[:2]))
        for part, low, high in (("weight", 0.7, 1.3), ("bias", -0.3, 0.3), ("running_mean", -0.3, 0.3),
                                ("running_var", 0.5, 1.5)):  # fmt: skip
            raw[f"{name}.bn.{part}"] = rng.uniform(low, high, shape[3])
    raw["fc.weight"] = rng.normal(0, 0.02, (inception_net.CLASSES, 2048))
    raw["fc.bias"] = rng.normal(0, 0.1, inception_net.CLASSES)
    return {name: value.astype(np.float32) for name, value in raw.items()}


def _kernels() -> dict[str, tuple[int, ...]]:
    """{name: shape in HWIO} of the convolutions."""
    x = jax.ShapeDtypeStruct((1, inception_net.SIZE, inception_net.SIZE, 3), jnp.float32)
    shapes = jax.eval_shape(inception_net.Inception().init, jax.random.key(0), x)["params"]
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    names = {".".join(part.key for part in path[:-1]): leaf.shape for path, leaf in leaves if path[-1].key == "kernel"}
    return {name: shape for name, shape in names.items() if len(shape) == 4}
