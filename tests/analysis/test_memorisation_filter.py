"""The privacy filter: what it drops, what takes the place, what it reports and when it gives up."""

import numpy as np
import pytest

from analysis.memorisation.filter import build_filter, draw_filtered
from analysis.memorisation.unseen import unseen_images
from data import UserError
from tests.analysis.test_memorisation import PIXELS, make_dataset, smooth

DATASET = make_dataset()
TRAIN = DATASET.arrays("train")["image"]


@pytest.fixture(scope="module", params=["ratio", "distance"])
def keep(request):
    return build_filter(PIXELS, TRAIN, unseen_images(DATASET), request.param)


def source(leaking, calls):
    """A model whose image of index i is a training image where leaking(i, label), and a fresh one elsewhere."""

    def draw(labels, first):
        calls.append((len(labels), first))
        images = smooth(len(labels), 100 + first)
        for i, label in enumerate(labels):
            if leaking(first + i, label):
                images[i] = np.clip(TRAIN[(first + i) % len(TRAIN)].astype(int) + 1, 0, 255)
        return images

    return draw


def test_copies_are_dropped_and_others_stay(keep):
    assert keep.rejects(TRAIN[:50]).all() and keep.expected == pytest.approx(3 / 301)
    assert keep.rejects(smooth(200, 50)).mean() < 0.05
    assert keep.rejects(unseen_images(DATASET).all["image"]).sum() in (2, 3)  # the third by rounding
    assert keep.describe()["train"] == 200 and keep.describe()["space"]["name"] == "pixels"


def test_a_dropped_image_is_drawn_again_with_its_own_label(keep):
    labels, calls = np.eye(2)[np.arange(40) % 2], []
    found = draw_filtered(source(lambda i, label: label[1] > 0 and i < 60, calls), keep, labels, 16)
    assert found.images.shape == (40, 16, 16, 1) and not keep.rejects(found.images).any()
    sizes, firsts = zip(*calls, strict=True)
    assert all(size % 16 == 0 for size in sizes) and firsts[:2] == (0, 40) and (np.diff(firsts) > 0).all()
    told = found.describe(["clear", "leaks"])
    by = told["rejected_by_label"]
    assert by["leaks"]["value"] > 0.4 and by["clear"]["value"] < 0.1
    assert told["drawn"] == len(found.rejected) == 40 + found.rejected.sum()
    assert told["rejected"]["value"] == pytest.approx(found.rejected.sum() / told["drawn"])


def test_images_that_pass_at_once_are_those_without_a_filter(keep):
    draw, seen = source(lambda i, label: i % 4 == 0, []), []
    labels = np.zeros((30, 1))
    plain = draw(labels, 0)
    passed = ~keep.rejects(plain)
    found = draw_filtered(draw, keep, labels, 30, seen.append)
    assert 15 < passed.sum() < 30 and seen[-1] == 30 and seen[0] == passed.sum()
    np.testing.assert_array_equal(found.images[passed], plain[passed])


def test_a_model_that_only_copies_is_given_up(keep):
    with pytest.raises(UserError, match="privacy filter: 200 of 200 draws lie closer to a training image than 1.0%"):
        draw_filtered(source(lambda i, label: True, []), keep, np.zeros((10, 1)), 4)
