"""Which code, device and data made what a study holds."""

import json

from analysis.studies import origins
from analysis.studies.job import Job


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def made(git, device="a CPU", data="abc"):
    return {"git": git, "device": device, "data": data}


def start(git, device="a CPU", data="abc"):
    return made(git, device, {"fingerprint": data})


def training(folder, name, *starts):
    """A job whose run began as often as there are `starts`."""
    write(folder / name / "provenance.json", list(starts))
    return Job(name, ("train",), (write(folder / name / "summary.json", {"device": "not read"}),))


def test_what_was_made_alike_stands_together_and_a_resumed_run_under_each_of_its_starts(tmp_path):
    scores = tuple(write(tmp_path / f"at_{step}.json", made("one")) for step in (1, 2))
    jobs = [
        training(tmp_path, "a/train", start("one")),
        Job("a/evaluate", ("analysis.evaluate",), scores),
        training(tmp_path, "b/train", start("one"), start("two", "a GPU", "def")),
    ]
    found = origins.collect(jobs)
    assert found == [
        made("one") | {"jobs": ["a/train", "a/evaluate", "b/train"]},
        made("two", "a GPU", "def") | {"jobs": ["b/train"]},
    ]
    assert origins.devices(found) == "a CPU; a GPU"


def test_what_is_missing_or_says_nothing_is_left_out(tmp_path):
    said_nothing = write(tmp_path / "paired.json", {"difference": 0.1})
    picture = tmp_path / "grid.png"
    picture.write_bytes(b"no text")
    jobs = [
        Job("paired", ("analysis.downstream.paired",), (said_nothing, picture)),
        Job("failed", ("train",), (tmp_path / "nowhere" / "summary.json",)),
    ]
    assert origins.collect(jobs) == []
    assert origins.devices([]) == ""
