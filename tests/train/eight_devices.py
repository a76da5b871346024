"""Two steps of each family on one device and on eight; prints {family: [worst difference, scalars of each]} as JSON.

Run by test_families.py in a process of its own, since the number of devices is fixed when JAX starts.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from tests.models.helpers import make_batch, make_family, make_flow, make_gan, make_segmenter, make_vae

FAMILIES = {
    "ddpm": make_family, "flow": make_flow, "gan": make_gan, "vae": make_vae,
    **{name: functools.partial(make_segmenter, name) for name in ("flow_seg", "unet_seg")},
}  # fmt: skip


def two_steps(family, devices):
    mesh = Mesh(np.asarray(devices), ("data",))
    batch = make_batch(16)
    batch["mask"] = (batch["image"] > 0).astype(jnp.float32)
    batch = jax.device_put(batch, NamedSharding(mesh, P("data")))
    state = jax.device_put(jax.jit(family.init)(jax.random.key(0), make_batch(1)), NamedSharding(mesh, P()))
    step = jax.jit(family.train_step)
    for i in range(2):
        state, scalars = step(state, batch, jax.random.fold_in(jax.random.key(1), i))
    assert len(state.step.sharding.device_set) == len(devices)
    return jax.device_get((state.params, scalars))


def main():
    found = {}
    for name, make in FAMILIES.items():
        family = make(optimizer=optax.sgd, rate=0.01)
        (one, a), (eight, b) = two_steps(family, jax.devices()[:1]), two_steps(family, jax.devices())
        worst = max(np.abs(x - y).max() for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True))
        found[name] = [float(worst), *({k: float(v) for k, v in scalars.items()} for scalars in (a, b))]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
