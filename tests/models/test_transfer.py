"""Rules by which trained parameters find their place: each against what it is said to keep."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.layers import conv2d, depth_to_space, downsample_mean, space_to_depth, upsample_nearest
from models.networks import group_of
from models.trainable import check_kind, is_first, role
from models.transfer import Images, Row, head_array, label_rows, stem_kernel, transfer
from models.unet import UNet
from tests.models.helpers import make_family, make_gan
from train.sources import flatten, unflatten

RNG = np.random.default_rng(0)
GRAY, COLOUR = Images(1, ("a", "b")), Images(3, ("b", "c"))
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def stem(image, kernel, patch):
    return conv2d(space_to_depth(jnp.asarray(image), patch), jnp.asarray(kernel))


def head(features, kernel, bias, patch):
    return depth_to_space(conv2d(jnp.asarray(features), jnp.asarray(kernel)) + bias, patch)


@pytest.mark.parametrize("patch", [1, 2])
def test_a_colour_stem_sees_a_gray_image_as_that_image_in_every_channel(patch):
    kernel, image = normal(3, 3, 3 * patch**2, 5), normal(2, 8, 8, 1)
    gray, rule, whole = stem_kernel(kernel, (3, 3, patch**2, 5), 3, 1)
    close(stem(image, gray, patch), stem(image.repeat(3, -1), kernel, patch))
    assert "summed" in rule and whole


@pytest.mark.parametrize("patch", [1, 2])
def test_a_gray_stem_sees_the_mean_of_the_channels(patch):
    kernel, image = normal(3, 3, patch**2, 5), normal(2, 8, 8, 3)
    colour, _, whole = stem_kernel(kernel, (3, 3, 3 * patch**2, 5), 1, 3)
    close(stem(image, colour, patch), stem(image.mean(-1, keepdims=True), kernel, patch))
    assert whole


@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize("patch", [1, 2])
def test_a_colour_head_gives_the_mean_of_its_channels(patch, halves):
    """Also of a head with a variance, whose halves are averaged apart."""
    features, kernel, bias = normal(2, 4, 4, 5), normal(3, 3, 5, halves * 3 * patch**2), normal(halves * 3 * patch**2)
    fresh = np.zeros((3, 3, 5, halves * patch**2), np.float32), np.zeros(halves * patch**2, np.float32)
    (gray, rule, _), (gray_bias, _, _) = (head_array(a, f, 3, 1) for a, f in zip((kernel, bias), fresh, strict=True))
    image = head(features, kernel, bias, patch)
    close(head(features, gray, gray_bias, patch), image.reshape(*image.shape[:3], halves, 3).mean(-1))
    assert "averaged" in rule


def test_a_gray_head_gives_the_same_in_every_channel():
    features, kernel = normal(2, 4, 4, 5), normal(3, 3, 5, 4)
    colour, _, _ = head_array(kernel, np.zeros((3, 3, 5, 12), np.float32), 1, 3)
    close(head(features, colour, 0.0, 2), head(features, kernel, 0.0, 2).repeat(3, -1))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_larger_patch_does_to_an_image_what_the_smaller_does_to_it_at_half_the_size(channels):
    image, kernel, end = normal(1, 16, 16, channels), normal(3, 3, channels * 4, 5), normal(3, 3, 5, channels * 4)
    wide, rule, _ = stem_kernel(kernel, (3, 3, channels * 16, 5), channels, channels)
    features = stem(image, wide, 4)
    close(features, stem(downsample_mean(jnp.asarray(image)), kernel, 2))
    wide_end, _, _ = head_array(end, np.zeros((3, 3, 5, channels * 16), np.float32), channels, channels)
    close(head(features, wide_end, 0.0, 4), upsample_nearest(head(features, end, 0.0, 2)))
    assert "patch 2 to 4" in rule


def test_a_smaller_patch_does_to_an_image_what_the_larger_does_to_it_at_twice_the_size():
    image, kernel, end = normal(1, 8, 8, 1), normal(3, 3, 16, 5), normal(3, 3, 5, 16)
    narrow, _, _ = stem_kernel(kernel, (3, 3, 4, 5), 1, 1)
    features = stem(image, narrow, 2)
    close(features, stem(upsample_nearest(jnp.asarray(image)), kernel, 4))
    narrow_end, _, _ = head_array(end, np.zeros((3, 3, 5, 4), np.float32), 1, 1)
    close(head(features, narrow_end, 0.0, 2), downsample_mean(head(features, end, 0.0, 4)))


def test_a_variance_is_left_out_or_begun_afresh():
    both, mean = normal(3, 3, 5, 6), normal(3, 3, 5, 3)
    kept, rule, whole = head_array(both, mean, 3, 3)
    np.testing.assert_array_equal(kept, both[..., :3])
    assert "without its variance" in rule and whole
    joined, rule, whole = head_array(mean, both, 3, 3)
    np.testing.assert_array_equal(joined, np.concatenate([mean, both[..., 3:]], -1))
    assert "fresh" in rule and not whole


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (5, 5, 4, 5), (3, 3, 2, 5), (3, 3, 9, 5)])
def test_where_no_rule_leads_there_is_none(shape):
    assert stem_kernel(normal(3, 3, 16, 5), shape, 1, 1) is None


def test_label_rows_go_by_name():
    value, fresh = normal(3, 4), normal(3, 4)
    rows, carried, rule = label_rows(value, fresh, ("a", "b", "c"), ("c", "new", "a"))
    np.testing.assert_array_equal(rows, [value[2], fresh[1], value[0]])
    assert carried == 2 and "2 of 3" in rule
    rows, carried, _ = label_rows(value, fresh, ("x", "y", "z"), ("a", "b", "c"))
    assert carried == 0 and (rows == fresh).all()  # equal shapes are not enough
    rows, carried, rule = label_rows(value, fresh, None, ("a", "b", "c"))
    assert carried == 3 and (rows == value).all() and "in order" in rule
    assert label_rows(value, fresh[:2], None, ("a", "b"))[1] == 0
    assert label_rows(normal(3, 5), fresh, ("a", "b", "c"), ("a", "b", "c"))[1] == 0  # another width


SMALL = dict(channels=16, multipliers=(1,), blocks=1, norm_groups=8, attention=(1,), head_channels=16)


def unet(images, **options):
    """(network, parameters with nothing at zero, by path) for images of 8 x 8 px, or 16 x 16 of patch 2."""
    net, k = UNet(out_channels=images.channels, **(SMALL | options)), len(images.labels)
    size = 8 * net.patch
    args = jnp.zeros((1, size, size, images.channels)), jnp.zeros(1), jnp.zeros((1, k))
    shapes = jax.eval_shape(net.init, jax.random.key(0), *args)["params"]
    return net, {path: 0.1 * normal(*a.shape) for path, a in flatten(shapes_only(shapes)).items()}


def shapes_only(tree):
    return jax.tree.map(lambda a: np.broadcast_to(np.float32(0), a.shape), tree)


def apply(net, flat, x, label):
    variables = {"params": unflatten(flat)}
    return jax.jit(net.apply)(variables, jnp.asarray(x), jnp.full(len(x), 300.0), jnp.asarray(label, jnp.float32))


def test_the_stem_of_a_guess_is_adapted_like_the_images_and_begins_afresh_where_the_source_has_none():
    here = {("conv_guess", "kernel"): normal(3, 3, 4, 5)}
    there = {("conv_guess", "kernel"): normal(3, 3, 12, 5)}
    values, _ = transfer("net", here, there, group_of, GRAY, COLOUR)
    x = normal(1, 8, 8, 1)
    close(stem(x, values["conv_guess", "kernel"], 2), stem(x.repeat(3, -1), there["conv_guess", "kernel"], 2))
    values, rows = transfer("net", here, {}, group_of, GRAY, COLOUR)
    assert rows[0].status == "fresh" and (values["conv_guess", "kernel"] == here["conv_guess", "kernel"]).all()


@pytest.mark.parametrize("local", [0, 8])
def test_a_colour_network_on_gray_images_gives_the_mean_of_what_it_gives_of_them_in_colour(local):
    options = dict(local_channels=local, local_patch=1)
    (wide, there), (net, here) = unet(COLOUR, **options), unet(GRAY, **options)
    here, _ = transfer("net", here, there, group_of, GRAY, COLOUR)
    x = normal(2, 8, 8, 1)
    theirs = apply(wide, there, x.repeat(3, -1), [[1, 0], [0.5, 0]])  # "b" comes first there, second here
    close(apply(net, here, x, [[0, 1], [0, 0.5]]), theirs.mean(-1, keepdims=True), atol=1e-4)


def test_a_network_of_twice_the_patch_gives_what_the_source_gives_at_half_the_size():
    (old, there), (net, here) = unet(GRAY), unet(GRAY, patch=2)
    here, rows = transfer("net", here, there, group_of, GRAY, GRAY)
    x, label = normal(2, 16, 16, 1), [[1, 0], [0, 1]]
    close(apply(net, here, x, label), upsample_nearest(apply(old, there, downsample_mean(jnp.asarray(x)), label)),
          atol=1e-4)  # fmt: skip
    assert {"/".join(row.path) for row in rows if row.status == "adapted"} == {
        "conv_in/kernel", "conv_out/kernel", "conv_out/bias"
    }  # fmt: skip


def test_behind_a_block_near_full_size_the_patch_is_in_units_of_its_channels():
    (_, there), (_, here) = (unet(GRAY, local_channels=8, local_patch=1, patch=patch) for patch in (1, 2))
    values, rows = transfer("net", here, there, group_of, GRAY, GRAY)
    status = {row.path[:-1]: row.status for row in rows if row.path[-1] == "kernel"}
    assert {path[0] for path, value in status.items() if value == "adapted"} == {"conv_in", "conv_levels"}
    assert set(status.values()) == {"loaded", "adapted"}
    image, kernel = normal(1, 8, 8, 8), there["conv_in", "kernel"]
    close(stem(image, values["conv_in", "kernel"], 2), conv2d(downsample_mean(jnp.asarray(image)), kernel))


def test_what_is_not_next_to_the_pixels_is_never_reshaped():
    """The label's way into the block near full size: 64 outputs and 256 are channels, not patches of 8 and 16."""
    (_, there), (_, here) = (unet(GRAY, local_channels=width, local_patch=1) for width in (32, 128))
    _, rows = transfer("net", here, there, group_of, GRAY, GRAY)
    inside = {row.status for row in rows if row.path[0] in ("local_up", "local_down", "norm_levels")}
    assert inside == {"fresh", "loaded"}  # what does not depend on the width is loaded


def test_a_segmenters_stem_beside_its_detail_is_summed_over_colours():
    def net(channels):
        first, beside = normal(3, 3, 4 * channels, 8), normal(3, 3, channels, 16)
        return {("conv_in", "kernel"): first, ("detail_in", "kernel"): beside}

    here, there = net(1), net(3)
    values, rows = transfer("net", here, there, lambda path: "stem", GRAY, COLOUR)
    assert {row.status for row in rows} == {"adapted"}
    x = normal(1, 8, 8, 1)
    close(stem(x, values["conv_in", "kernel"], 2), stem(x.repeat(3, -1), there["conv_in", "kernel"], 2))


def test_every_tensor_of_both_sides_is_reported():
    here = {("conv_in", "kernel"): normal(3, 3, 1, 4), ("body", "kernel"): normal(4, 4), ("new", "bias"): normal(4)}
    there = {("conv_in", "kernel"): normal(3, 3, 3, 4), ("body", "kernel"): normal(4, 5), ("old", "bias"): normal(4)}
    values, rows = transfer("net", here, there, group_of, GRAY, COLOUR)
    assert [(row.path[0], row.status, row.whole) for row in rows] == [
        ("conv_in", "adapted", True), ("body", "fresh", False), ("new", "fresh", False), ("old", "unused", False)
    ]  # fmt: skip
    assert rows[1].rule == "(4, 5) in the source" and values.keys() == here.keys()
    np.testing.assert_array_equal(values["body", "kernel"], here["body", "kernel"])


def test_what_is_trained():
    family, gan = make_family(), make_gan()

    def of(kind, path, whole=True, family=family, network="net"):
        return role(kind, family, Row(network, tuple(path.split("/")), (3,), "loaded", "", whole), 1)

    assert of("all", "mid_block_0/conv_0/kernel") == "pretrained"
    assert of("head", "conv_out/kernel") == "pretrained" and of("head", "mid_block_0/conv_0/kernel") == "frozen"
    assert of("lora", "conv_out/kernel") == "frozen" and of("lora", "conv_out/lora_a", whole=False) == "new"
    assert of("head", "label_embedding/kernel", whole=False) == "new"  # frozen, it would stay as it was drawn
    judge = partial(of, "freezed", family=gan, network="discriminator")
    assert judge("level_0_block_0/conv_0/kernel") == judge("detail_in/kernel") == "frozen"
    assert judge("level_1_block_0/conv_0/kernel") == judge("widen_1/kernel") == judge("logit/kernel") == "pretrained"
    assert of("freezed", "level_0_block_0/conv_0/kernel", family=gan, network="generator") == "pretrained"


def test_levels_are_counted_from_the_image():
    assert is_first("discriminator", ("widen_1", "kernel"), 2) and not is_first("discriminator", ("widen_2",), 2)


@pytest.mark.parametrize(("kind", "match"), [("freezed", "this model has none"), ("body", "choose one of all")])
def test_kinds_that_a_model_does_not_have_are_refused(kind, match):
    with pytest.raises(ValueError, match=match):
        check_kind(kind, ("net",))
