"""Low-rank adapters: nothing changes at the start, the factors add to their kernel, the module answers the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.lora import LowRank, add_factors, merge_factors
from models.unet import UNet
from tests.models.helpers import make_batch, make_family, make_gan, make_vae, steps
from train.sources import flatten

NET = UNet(out_channels=1, channels=16, multipliers=(1,), blocks=1, norm_groups=8, attention=(1,), head_channels=16)
X, TIME, LABEL = jnp.ones((1, 8, 8, 1)), jnp.full(1, 300.0), jnp.ones((1, 2))


def parameters(net):
    return jax.jit(net.init)(jax.random.key(0), X, TIME, LABEL)


def filled(tree, seed=0):
    """Random numbers in place of all, the zeros of the last layers among them."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: 0.1 * rng.normal(size=a.shape).astype(np.float32), tree)


def test_at_the_start_the_network_is_the_one_without():
    adapted = LowRank(NET, rank=4, alpha=2.0)
    params = filled(merge_factors(parameters(adapted)["params"], 1.0))
    with_factors = add_factors(params, jax.random.key(1), 4)
    ours, theirs = (
        jax.jit(net.apply)({"params": p}, X, TIME, LABEL) for net, p in ((adapted, with_factors), (NET, params))
    )
    np.testing.assert_array_equal(ours, theirs)
    assert jnp.abs(ours).max() > 1e-3


def test_the_factors_add_alpha_over_rank_times_their_product():
    params = filled({"conv": {"kernel": jnp.zeros((3, 3, 4, 5)), "bias": jnp.zeros(5)}})
    params = filled(add_factors(params, jax.random.key(0), 2), seed=1)
    a, b = params["conv"]["lora_a"], params["conv"]["lora_b"]
    assert a.shape == (3, 3, 4, 2) and b.shape == (2, 5)
    expected = params["conv"]["kernel"] + 1.5 * np.einsum("nmcr,rd->nmcd", a, b)
    merged = LowRank(NET, rank=2, alpha=3.0)
    assert merged.alpha / merged.rank == 1.5
    np.testing.assert_allclose(merge_factors(params, 1.5)["conv"]["kernel"], expected, rtol=1e-5)
    assert merge_factors(params, 1.5)["conv"].keys() == {"kernel", "bias"}


def test_convolutions_and_attention_are_adapted_and_nothing_else():
    flat = flatten(parameters(LowRank(NET, 4, 4.0))["params"])
    modules = {path[:-1] for path in flat if path[-1] == "lora_a"}
    assert ("conv_in",) in modules and ("mid_attention", "qkv") in modules and ("mid_block_0", "conv_1") in modules
    assert not any(module[0] in ("time_embedding", "label_embedding") for module in modules)
    assert ("mid_block_0", "embedding") not in modules  # the embedding's layer
    assert not any(flat[*module, "lora_b"].any() for module in modules)
    assert flat["conv_in", "lora_a"].shape == (3, 3, 1, 1)  # no rank above the channels


slow = pytest.mark.slow


@pytest.mark.parametrize("make", [make_gan, pytest.param(make_family, marks=slow), pytest.param(make_vae, marks=slow)])
def test_every_family_trains_with_adapters(make):
    """Several steps: a last layer that begins at zero lets no gradient through at first."""
    family = make(adapters=(2, 2.0))
    after, _ = steps(family, 3, make_batch())
    for name, params in after.params.items():
        factors = [a for path, a in flatten(params).items() if path[-1] == "lora_b"]
        assert factors and all(a.any() for a in factors), name
