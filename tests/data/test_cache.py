"""Prepared once, whole or not at all, and never taken for another source's."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from data import UserError, cache, load
from tests.data.layouts import chosen, everything, folder, medmnist, opened, picture, prepared, write

ROOT = Path(__file__).resolve().parents[2]


def script(body: str, *arguments) -> subprocess.Popen:
    """A Python process in the repository's root."""
    command = [sys.executable, "-c", body, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


LOAD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background passes on "ignore"
from data import DataOptions, load
mine, cache = sys.argv[1:3]
options = DataOptions(name="folder", dir=mine, cache=cache, image_size=16, split=(.6, .2, .2))
dataset = load(options, progress=False)
print(sum(dataset.info.sizes.values()))
"""
SLOW = """
import sys, time
import data.{module} as module
quick = module.{function}
def slow(*arguments):
    print("busy", file=sys.stderr, flush=True)
    time.sleep(0.5)
    return quick(*arguments)
module.{function} = slow
"""


def test_the_second_time_it_is_only_opened(tmp_path):
    source = folder(tmp_path / "mine")
    first = opened(tmp_path, "folder", source)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}
    start = time.perf_counter()
    again = opened(tmp_path, "folder", source)
    assert time.perf_counter() - start < 0.5
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == before
    assert again.info == first.info


def test_nothing_is_left_in_the_temporary_directory(tmp_path, monkeypatch):
    source, temporary = folder(tmp_path / "mine"), tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    opened(tmp_path, "folder", source)
    assert not list(temporary.iterdir())


def test_opening_imports_neither_tfds_nor_tensorflow_nor_jax(tmp_path):
    source = folder(tmp_path / "mine")
    opened(tmp_path, "folder", source)
    heavy = "print([m for m in ('tensorflow', 'tensorflow_datasets', 'jax', 'grain') if m in sys.modules])"
    out, _ = script(LOAD + heavy, source, tmp_path / "cache").communicate()
    assert out.splitlines() == ["30", "[]"]


def test_preparing_and_reading_need_no_tensorflow(tmp_path):
    heavy = "dataset.batches('train', 4, 0)[0]; print('tensorflow' in sys.modules)"
    out, err = script(LOAD + heavy, folder(tmp_path / "mine"), tmp_path / "cache").communicate()
    assert out.splitlines() == ["30", "False"], err


def test_the_records_are_a_tfds_dataset(tmp_path):
    import tensorflow_datasets as tfds

    source = folder(tmp_path / "mine")
    opened(tmp_path, "folder", source)
    (records,) = (tmp_path / "cache" / "records").iterdir()
    builder = tfds.builder_from_directory(records)
    assert builder.info.file_format.value == "array_record"
    read = builder.as_data_source("train")
    assert len(read) == builder.info.splits["train"].num_examples
    record = read[0]
    assert record["image"] == (source / record["key"].decode()).read_bytes()  # the file as it was


def test_shards_and_chunks_change_nothing(tmp_path, monkeypatch):
    from data import decode
    from data.builders import base
    from data.builders import medmnist as builder

    sources = {"folder": folder(tmp_path / "mine"), "medmnist": medmnist(tmp_path / "set.npz")}
    whole = {name: everything(opened(tmp_path, name, source)) for name, source in sources.items()}
    monkeypatch.setattr(base, "_SHARD_BYTES", 3000)
    monkeypatch.setattr(decode, "_CHUNK", 5)
    monkeypatch.setattr(builder, "_ROWS", 3)
    for name, source in sources.items():
        again = everything(opened(tmp_path / "again", name, source))
        assert len(list((tmp_path / "again").glob(f"cache/records/{name}-*/*train*"))) > 2
        assert list(again) == list(whole[name])
        for key, image in again.items():
            np.testing.assert_array_equal(image, whole[name][key])


def test_another_folder_is_another_dataset(tmp_path):
    """Same names, sizes and times: only the place and the pixels differ."""
    for name, offset in (("one", 0), ("two", 500)):
        for i in range(30):
            path = write(tmp_path / name / "c" / f"{i:02}.tif", picture(offset + i))
            os.utime(path, ns=(10**18, 10**18))
    sizes = [{p.name: p.stat().st_size for p in (tmp_path / n / "c").iterdir()} for n in ("one", "two")]
    assert sizes[0] == sizes[1]
    one, two = (everything(opened(tmp_path, "folder", tmp_path / name)) for name in ("one", "two"))
    assert one.keys() == two.keys() and all((one[key] != two[key]).any() for key in one)


def test_a_changed_source_is_prepared_anew(tmp_path):
    source = folder(tmp_path / "mine")
    prints = [opened(tmp_path, "folder", source).info.fingerprint]
    path = source / "cat" / "00.png"
    before = path.stat()
    write(path, picture(77))  # other pixels
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    changed = opened(tmp_path, "folder", source, image_size=20)
    np.testing.assert_array_equal(everything(changed)[b"cat/00.png"][..., 0], picture(77))
    prints.append(opened(tmp_path, "folder", source).info.fingerprint)
    write(source / "cat" / "new.png", picture(78))
    prints.append(opened(tmp_path, "folder", source).info.fingerprint)
    (source / "cat" / "new.png").rename(source / "dog" / "new.png")
    prints.append(opened(tmp_path, "folder", source).info.fingerprint)
    assert len(set(prints)) == 4
    npz = medmnist(tmp_path / "set.npz")
    first = opened(tmp_path, "medmnist", npz).info.fingerprint
    medmnist(npz, sizes=(21, 6, 8))
    assert opened(tmp_path, "medmnist", npz).info.fingerprint != first


def test_options_that_change_the_arrays_change_the_fingerprint(tmp_path):
    source = folder(tmp_path / "mine")
    changes = [
        {}, {"image_size": 20}, {"channels": 3}, {"bits": 16}, {"classes": ("cat",)},
        {"split": (0.8, 0.1, 0.1)}, {"window": (0, 200)},
    ]  # fmt: skip
    prints = [opened(tmp_path, "folder", source, **change).info.fingerprint for change in changes]
    assert len(set(prints)) == len(changes)
    idle = [{"flip": True}, {"uncertain": "ones"}, {"on_error": "skip"}, {"resize": "pad"}]
    for change in idle:  # of square images of 8 bits, whole and sure, they change none
        assert opened(tmp_path, "folder", source, **change).info.fingerprint == prints[0]
    assert len(list((tmp_path / "cache" / "records").iterdir())) == 3  # plain, split and on_error
    assert len(list((tmp_path / "cache" / "arrays").iterdir())) == len(changes) + len(idle) - 1  # flip prepares nothing


def test_a_copy_made_elsewhere_and_later_has_the_same_fingerprint(tmp_path):
    """So that results of two machines are known to be of one dataset; one pixel more or less is another dataset."""
    source, copy = folder(tmp_path / "mine"), tmp_path / "elsewhere" / "copy"
    shutil.copytree(source, copy)
    for path in copy.glob("*/*.png"):
        os.utime(path, ns=(10**18, 10**18))
    here = opened(tmp_path, "folder", source).info.fingerprint
    assert len(here) == 16 and opened(tmp_path / "there", "folder", copy).info.fingerprint == here
    image = np.array(PIL.Image.open(copy / "cat" / "00.png"))
    image[5, 5] ^= 1
    PIL.Image.fromarray(image).save(copy / "cat" / "00.png")
    assert opened(tmp_path / "there", "folder", copy).info.fingerprint != here


def test_another_size_copies_nothing_again(tmp_path):
    source = folder(tmp_path / "mine")
    opened(tmp_path, "folder", source)
    for path in source.glob("*/*.png"):
        content, status = path.read_bytes(), path.stat()
        path.write_bytes(bytes(len(content)))  # unreadable, and the same to look at from outside
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert opened(tmp_path, "folder", source, image_size=20).info.image_shape == (20, 20, 1)


def test_records_need_not_be_kept(tmp_path):
    source = folder(tmp_path / "mine")
    opened(tmp_path, "folder", source, keep_records=False)
    assert [name.split("/")[0] for name in prepared(tmp_path)] == ["arrays"]
    opened(tmp_path, "folder", source, keep_records=False)
    opened(tmp_path, "folder", source, image_size=20)


STAGES = [("builders.base", "read_bytes", "records"), ("images", "to_size", "arrays")]


@pytest.mark.parametrize(("module", "function", "stage"), STAGES)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_preparation_leaves_no_dataset(tmp_path, module, function, stage, how):
    source = folder(tmp_path / "mine")
    process = script(SLOW.format(module=module, function=function) + LOAD, source, tmp_path / "cache")
    assert process.stderr.readline().startswith("busy")
    process.send_signal(how)
    process.communicate()
    whole = [name for name in prepared(tmp_path) if not name.endswith((".tmp", ".lock"))]
    assert [name.split("/")[0] for name in whole] == ([] if stage == "records" else ["records"])
    if how == signal.SIGINT:
        assert prepared(tmp_path) == whole  # it had the time to clear up
    dataset = opened(tmp_path, "folder", source)
    assert sum(dataset.info.sizes.values()) == 30
    assert [name.split("/")[0] for name in prepared(tmp_path)] == ["arrays", "records"]
    np.testing.assert_array_equal(
        everything(dataset)[b"cat/00.png"],
        everything(opened(tmp_path / "b", "folder", source))[b"cat/00.png"],
    )


def test_what_a_killed_preparation_of_another_source_left_is_swept(tmp_path):
    source = folder(tmp_path / "mine")
    opened(tmp_path, "folder", source)
    before = prepared(tmp_path)
    for left in ("arrays/gone-64-00.tmp/train", "records/gone-00.tmp"):
        (tmp_path / "cache" / left).mkdir(parents=True)
    (tmp_path / "cache" / "records" / "gone-00.lock").write_text("")
    held = tmp_path / "cache" / "arrays" / "busy-64-00"
    with cache.locked(held), cache.building(held) as temporary:
        opened(tmp_path, "folder", source)
        assert temporary.is_dir()  # a living process holds this one
    assert prepared(tmp_path) == sorted([*before, "arrays/busy-64-00"])


def test_processes_that_start_together_prepare_once(tmp_path):
    source = folder(tmp_path / "mine")
    body = SLOW.format(module="decode", function="write_arrays") + LOAD
    processes = [script(body, source, tmp_path / "cache") for _ in range(3)]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert sorted(said) == [("30\n", ""), ("30\n", ""), ("30\n", "busy\n")]
    assert len(prepared(tmp_path)) == 2


def test_a_damaged_cache_is_recognised(tmp_path):
    options = chosen(tmp_path, "folder", folder(tmp_path / "mine"))
    load(options, progress=False)
    (path,) = (tmp_path / "cache" / "arrays").glob("*/train/image.npy")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"arrays/folder-16-.* is damaged .*: delete it"):
        load(options, progress=False).batches("train", 4, seed=0)
    other = load(chosen(tmp_path, "folder", tmp_path / "mine", image_size=20), progress=False)
    (path,) = (tmp_path / "cache" / "arrays").glob("folder-20-*/val/label.npy")
    np.save(path, np.load(path)[:-1])
    with pytest.raises(UserError, match=r"label.npy holds \d rows, not \d"):
        other.epoch("val", 4)


def test_progress_shows_the_rate(tmp_path):
    out, err = script(
        LOAD.replace("progress=False", "progress=True"), folder(tmp_path / "mine"), tmp_path / "cache"
    ).communicate()
    assert "folder: copying" in err and "folder: decoding at 16" in err and "30/30" in err
    assert out == "30\n"
