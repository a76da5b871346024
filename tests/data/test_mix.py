"""Several datasets as one."""

import dataclasses

import numpy as np
import pytest

from data import DataOptions, UserError, draws, mix
from data.phantom import cxr
from tests.data.layouts import chexpert, folder, nih, nih_rows, opened


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    return nih(root / "nih", nih_rows(patients=30)), chexpert(root / "chexpert", patients=40)


def mixed(tmp_path, *members, **options):
    return opened(tmp_path, "mix", mix=members, **options)


def test_members_keep_their_images_and_what_is_not_told_is_unknown(tmp_path, sources):
    parts = [opened(tmp_path, name, path) for name, path in zip(("nih", "chexpert"), sources, strict=True)]
    both = mixed(tmp_path, f"nih@{sources[0]}=0.5", f"chexpert@{sources[1]}=0.5")
    info = both.info
    assert info.classes[:14] == parts[0].info.classes and info.classes[-2:] == ("nih", "chexpert")
    assert len(info.classes) == len(set(info.classes)) == 14 + 14 - 6 + 2 and not info.exclusive  # six in common
    ids, patients = [], []
    for split in ("train", "val", "test"):
        arrays, at = both.arrays(split), 0
        for number, part in enumerate(parts):
            mine, rows = part.arrays(split), slice(at, at + part.info.sizes[split])
            at = rows.stop
            np.testing.assert_array_equal(arrays["image"][rows], mine["image"])
            for column, name in enumerate(info.classes):
                given = arrays["label"][rows, column]
                if name in part.info.classes:
                    np.testing.assert_array_equal(given, mine["label"][:, part.info.classes.index(name)])
                else:
                    assert (given == {"nih": 1 - number, "chexpert": number}.get(name, -1)).all()
            assert [key.split(b"/", 1)[1] for key in arrays["key"][rows]] == [bytes(key) for key in mine["key"]]
            patients.append({int(p) for p in arrays["patient"][rows]})
        assert at == info.sizes[split] == len(arrays["id"])
        ids += arrays["id"].tolist()
    assert len(set(ids)) == len(ids) == sum(info.sizes.values())
    assert sum(map(len, patients)) == len(set().union(*patients)) == sum(info.patients.values())


def test_shares_hold_in_training(tmp_path, sources):
    both = mixed(tmp_path, f"nih@{sources[0]}=3", "phantom_cxr[num_images=40]=1")
    assert both.info.shares == (0.75, 0.25)
    batches = both.batches("train", 8, seed=0)
    where = both.info.classes.index("nih")
    assert [batches[i]["label"][:, where].sum() for i in range(20)] == [6] * 20
    n = int((both.arrays("train")["member"] == 0).sum())
    seen = np.concatenate([b["id"][b["label"][:, where] == 1] for b in map(batches.__getitem__, range(n // 6 + 1))])
    assert len(set(seen[:n].tolist())) == n  # every image of a member once, before any comes again
    pixels = [both.arrays("train")["image"][both.arrays("train")["member"] == i] / 127.5 - 1 for i in (0, 1)]
    mean = 0.75 * pixels[0].mean() + 0.25 * pixels[1].mean()
    square = 0.75 * (pixels[0] ** 2).mean() + 0.25 * (pixels[1] ** 2).mean()
    np.testing.assert_allclose([both.info.mean[0], both.info.std[0]], [mean, np.sqrt(square - mean**2)], atol=1e-6)


def test_turns_are_fair_at_any_time():
    weights = np.array([0.62, 0.3, 0.08])
    order = draws.turns(weights)
    had = np.cumsum(order[:, None] == np.arange(3), axis=0)
    assert np.abs(had - weights * np.arange(1, 1001)[:, None]).max() < 1.5
    np.testing.assert_array_equal(had[-1], 1000 * weights)
    rows = [np.arange(0, 50), np.arange(50, 60), np.arange(60, 63)]
    whole = draws.Turns(rows, 0, order).at(np.arange(3000))
    parts = [draws.Turns(rows, 0, order).at(np.arange(at, at + 32)) for at in range(0, 2976, 32)]
    np.testing.assert_array_equal(np.concatenate(parts), whole[:2976])
    assert [int((whole >= low).sum()) for low in (0, 50, 60)] == [3000, 1140, 240]


def test_masks_and_factors_stay_where_all_have_them(tmp_path):
    same = mixed(tmp_path, "phantom_cxr[num_images=30]=1", "phantom_cxr[num_images=30,seed=1]=1")
    assert same.info.mask_channels == ("lungs", "heart") and same.info.factors == tuple(cxr.FACTORS)
    batch = same.batches("train", 4, seed=0)[0]
    assert batch["mask"].shape == (4, 16, 16, 2) and batch["factors"].shape == (4, len(cxr.FACTORS))
    assert same.info.classes[-2:] == ("phantom_cxr_1", "phantom_cxr_2")
    plain = folder(tmp_path / "mine")
    other = mixed(tmp_path, "phantom_cxr[num_images=30]=1", f"folder@{plain}=1")
    assert not other.info.mask_channels and not other.info.factors
    assert set(other.batches("train", 4, seed=0)[0]) == {"image", "label", "id", "weight"}


def test_a_member_has_options_of_its_own(tmp_path, sources):
    both = mixed(tmp_path, f"nih[view=PA,classes=Pneumonia|Effusion]@{sources[0]}=1", f"nih[view=AP]@{sources[0]}=1")
    alone = opened(tmp_path, "nih", sources[0], view="PA", classes=("Pneumonia", "Effusion"))
    n = alone.info.sizes["train"]
    np.testing.assert_array_equal(both.arrays("train")["image"][:n], alone.arrays("train")["image"])
    assert both.info.classes[:2] == ("Pneumonia", "Effusion")


def test_a_finding_is_one_class_however_sources_write_it(tmp_path, sources):
    both = mixed(tmp_path, f"nih@{sources[0]}=0.5", "phantom_cxr[num_images=40]=0.5")
    assert both.info.classes == (*opened(tmp_path, "nih", sources[0]).info.classes, "nih", "phantom_cxr")
    drawn = opened(tmp_path, "phantom_cxr", num_images=40)
    rows, column = both.arrays("train"), both.info.classes.index("Pneumonia")
    mine = drawn.arrays("train")["label"][:, drawn.info.classes.index("pneumonia")]
    np.testing.assert_array_equal(rows["label"][-len(mine) :, column], mine)


def test_what_a_member_is_given_has_the_kind_that_the_option_takes():
    options = DataOptions(name="mix", mix=("medmnist[classes=0|1]@s.npz=1", "nih[official_split=true,split=1|0|0]@x=3"))
    (one, other), shares = mix.members(options)
    assert one.classes == ("0", "1") and shares == [0.25, 0.75]
    assert other.official_split is True and other.split == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("key", ["split=0.8|0.1|0.1", "official_split=False", "near_duplicates=0"])
def test_one_dataset_is_not_split_in_two_ways(tmp_path, key):
    name = key.partition("=")[0]
    (tmp_path / "link").symlink_to(tmp_path)
    for other in (tmp_path, f"{tmp_path}/", tmp_path / "link"):
        options = DataOptions(name="mix", mix=(f"nih[view=PA,{key}]@{tmp_path}=1", f"nih[view=AP]@{other}=1"))
        with pytest.raises(UserError, match=rf"data\.mix splits nih@.* in two ways, data\.{name}=.*same {name}\.$"):
            mix.members(dataclasses.replace(options, split=(0.6, 0.2, 0.2)))
    alike = (f"nih[view=PA,{key}]@{tmp_path}=1", f"nih[view=AP,{key}]@{tmp_path}=1", f"chexpert@{tmp_path}=1")
    drawn = (f"phantom_cxr[seed=1,{key}]=1", "phantom_cxr=1", f"phantom_us[{key}]=1")
    assert len(mix.members(DataOptions(name="mix", mix=(*alike, *drawn), split=(0.6, 0.2, 0.2)))[0]) == 6


@pytest.mark.parametrize(
    ("members", "options", "says"),
    [
        ((), {}, "data.name=mix needs data.mix"),
        (("nih",), {}, "data.mix has the entry 'nih'"),
        (("nih@x=0",), {}, "with a share above 0"),
        (("mix=1",), {}, "data.mix has the entry 'mix=1'"),
        (("phantom_cxr[colour=red]=1",), {}, "is given 'colour', which is no option of a member"),
        (("phantom_cxr[seed=red]=1",), {}, "seed='red' is not understood; seed is a whole number"),
        (("phantom_cxr[split=a|b]=1",), {}, "split='a|b' is not understood; split is a row, with | between"),
        (("nih[official_split=yes]@x=1",), {}, "official_split='yes' is not understood; official_split is True"),
        (("phantom_cxr[image_size=32]=1", "phantom_cxr=1"), {}, "is given 'image_size', which is one for all: set"),
        (("phantom_cxr[stain=0.1]=1",), {}, "is given 'stain', which is one for all: set data.stain"),
        (("phantom_cxr[seed=-1]=1",), {}, "data.seed=-1 must be at least 0"),
        (("phantom_cxr=1.2.3",), {}, "data.mix has the entry 'phantom_cxr=1.2.3'"),
        (("phantom_cxr=0.0005", "phantom_us=1"), {}, "gives 'phantom_cxr=0.0005' a share of 0.0005 of training"),
        (("phantom_cxr=1",), {"view": "PA"}, "data.view belongs to the members"),
        (("phantom_cxr=1",), {"balance": True}, "data.balance and data.mix"),
        (("nhi=1",), {}, "data.name='nhi' is not known"),
    ],
)
def test_a_mix_that_cannot_be(tmp_path, members, options, says):
    with pytest.raises(UserError) as raised:
        mixed(tmp_path, *members, **options)
    assert says in str(raised.value) and "\n" not in str(raised.value)
