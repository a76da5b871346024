"""Small families and a batch, without config, loop or files."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from configs import ddpm_cxr, flow_cxr, flow_seg, gan_cxr, unet_seg, vae_cxr
from models import family as families
from models.family import Setting
from models.update import EMA, Updater

SIZE, LABELS = 8, 3
# (maps, prevalence, std) of data.label_means
LABEL_MEANS = (
    np.random.default_rng(5).normal(-0.2, 0.1, (LABELS + 1, SIZE, SIZE, 1)).astype(np.float32),
    np.asarray([0.5, 0.2, 0.4], np.float32),
    0.4,
)
FAST = {"xla_backend_optimization_level": 1}  # where a program runs long enough; see tests/conftest.py
OVERFIT_STEPS = 600
OVERFIT_RATE = optax.cosine_decay_schedule(4e-3, OVERFIT_STEPS)
CONFIGS = {"ddpm": ddpm_cxr, "flow": flow_cxr}


def model_options(config=ddpm_cxr, **changes):
    """`config.model` as a plain dict, the network shrunk; changes of the U-Net are written unet__field."""
    options = config.get_model().to_dict() | {"prior": "isotropic"}  # there are no images to have a covariance
    options["unet"] |= {
        "channels": 16,
        "multipliers": (1,),
        "blocks": 1,
        "attention": (),
        "patch": 2,
        "head_channels": 16,
        "mid_attention": False,
        "local_channels": 0,
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
    family="ddpm",
    adapters=None,
    **changes,
):
    means = LABEL_MEANS if (size, channels) == (SIZE, 1) else None
    if means is None:
        changes |= {"center": "pixels"}
    scale = (-0.2,) * channels, (0.4,) * channels
    setting = Setting((size, size, channels), LABELS, *scale, 8, dtype, means, adapters=adapters)
    updater = Updater({"net": optimizer(rate)}, ema, accumulate, loss_scaling)
    options = model_options(CONFIGS[family], **changes)
    return families.build(family, options, setting, updater)


def make_flow(**changes):
    return make_family(family="flow", **changes)


def make_gan(accumulate=1, rate=1e-3, optimizer=optax.adam, size=SIZE, channels=1, adapters=None, **changes):
    scale = (-0.2,) * channels, (0.4,) * channels
    setting = Setting((size, size, channels), LABELS, *scale, 8, adapters=adapters)
    updater = Updater({name: optimizer(rate) for name in ("generator", "discriminator")}, EMA(), accumulate)
    small = {"generator_channels": (16,), "discriminator_channels": (16,), "patch": size // 4, "latent": 8}
    options = gan_cxr.get_model().to_dict() | small | changes
    return families.build(options.pop("family"), options, setting, updater)


def make_vae(accumulate=1, rate=1e-3, optimizer=optax.adam, size=SIZE, image_channels=1, adapters=None, **changes):
    scale = (-0.2,) * image_channels, (0.4,) * image_channels
    setting = Setting((size, size, image_channels), LABELS, *scale, 8, adapters=adapters)
    updater = Updater({name: optimizer(rate) for name in ("net", "discriminator")}, EMA(), accumulate)
    small = {"channels": (16, 16), "groups": (1, 1), "latents": (4, 2), "patch": 2, "embedding": 16}
    options = vae_cxr.get_model().to_dict() | small | changes
    options["discriminator"] |= {"channels": (16,), "patch": size // 4}
    return families.build(options.pop("family"), options, setting, updater)


def make_segmenter(family, accumulate=1, rate=1e-3, optimizer=optax.adam, masks=("disc",), **changes):
    setting = Setting((SIZE, SIZE, 1), LABELS, (-0.4,), (0.4,), 8, mask_channels=masks)
    updater = Updater({"net": optimizer(rate)}, EMA(), accumulate)
    config = {"flow_seg": flow_seg, "unet_seg": unet_seg}[family].get_config()
    small = {"channels": (8, 16), "patch": 2, "truncation": 4.0}
    options = config.model.to_dict()
    options |= {key: value for key, value in small.items() if key in options} | changes
    return families.build(options.pop("family"), options, setting, updater)


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


def assert_eight_images_are_reproduced(family, **options):
    """Overfit: after a few hundred steps on 8 images, the median sample is one of them, and all are found."""
    batch = make_batch(8)
    coarse = np.random.default_rng(1).uniform(-1, 1, (8, 4, 4, 1))
    batch["image"] = jnp.asarray(coarse.repeat(2, 1).repeat(2, 2), jnp.float32)
    batch["label"] = jnp.zeros((8, LABELS))
    # A place in the batch has its own range of noise levels, so that every image must come to every place.
    places = np.stack([np.random.default_rng(i).permutation(32) % 8 for i in range(OVERFIT_STEPS)])
    ids = {"id": jnp.arange(32)}
    state = jax.jit(family.init)(jax.random.key(0), batch)
    step = jax.jit(family.train_step, donate_argnums=0, compiler_options=FAST)
    for i, place in enumerate(places):
        many = {k: v[place] for k, v in batch.items()} | ids
        state, _ = step(state, many, jax.random.fold_in(jax.random.key(1), i))
    keys = jax.random.split(jax.random.key(2), 64)
    draw = jax.jit(lambda s, k: family.sample(s, k, jnp.zeros((64, LABELS)), **options), compiler_options=FAST)
    samples = np.asarray(draw(state, keys))
    images = np.asarray(batch["image"])
    distance = distances(samples, images)
    apart = np.min(distances(images, images) + np.diag([np.inf] * 8))
    assert np.median(distance.min(1)) < apart / 4, (apart, np.sort(distance.min(1)))  # no other image is as near
    assert len(set(distance.argmin(1))) == 8


def distances(a, b):
    """Root mean square over the pixels, [n, m]."""
    a, b = np.asarray(a), np.asarray(b)
    return np.sqrt(((a[:, None] - b[None]) ** 2).mean((2, 3, 4)))
