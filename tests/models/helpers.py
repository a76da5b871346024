"""A small DDPM and a batch, without config, loop or files."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from configs.ddpm_cxr import get_model
from models import family as families
from models.family import Setting
from models.update import EMA, Updater

SIZE, LABELS = 8, 3


def model_options(**changes):
    """`config.model` as a plain dict, the network shrunk; changes of the U-Net are written unet__field."""
    options = get_model().to_dict()
    options["unet"] |= {
        "channels": 16,
        "multipliers": (1,),
        "blocks": 1,
        "attention": (),
        "patch": 2,
        "head_channels": 16,
    }
    for key, value in changes.items():
        section, _, field = key.partition("__")
        if field:
            options[section][field] = value
        else:
            options[section] = value
    options.pop("family")
    return options


def make_family(
    accumulate=1,
    rate=1e-3,
    optimizer=optax.adamw,
    ema=EMA(),
    loss_scaling=False,
    dtype=None,
    size=SIZE,
    channels=1,
    **changes,
):
    setting = Setting((size, size, channels), LABELS, (-0.2,) * channels, (0.4,) * channels, 8, dtype)
    updater = Updater({"net": optimizer(rate)}, ema, accumulate, loss_scaling)
    return families.build("ddpm", model_options(**changes), setting, updater)


def make_batch(n=8, size=SIZE, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": jnp.asarray(rng.uniform(-1, 1, (n, size, size, channels)), jnp.float32),
        "label": jnp.asarray(rng.integers(0, 2, (n, LABELS)), jnp.float32),
        "id": jnp.arange(n, dtype=jnp.int32),
        "weight": jnp.ones(n, jnp.float32),
    }


def steps(family, n, batch, seed=0):
    """State and scalars after n compiled steps on one batch."""
    state = jax.jit(family.init)(jax.random.key(seed), batch)  # op by op it takes much longer
    step = jax.jit(family.train_step)
    for i in range(n):
        state, scalars = step(state, batch, jax.random.fold_in(jax.random.key(seed + 1), i))
    return state, scalars


def assert_close(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x, np.float64), np.asarray(y, np.float64), **tolerance)
