"""What the metric files hold."""

import json

import numpy as np
import pytest

from tests.train.helpers import ROOT
from train.rundir import read_json, write_json
from train.writers import JsonlWriter, MultiWriter, TensorBoardWriter, read_jsonl


def test_rows_that_the_checkpoint_had_not_seen_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path)
    for step in (5, 10, 15):
        writer.write_scalars(step, {"train_loss": np.float32(1 / step)})
    writer.close()
    with path.open("a") as file:
        file.write('{"step": 20, "train_l')  # a crash in the middle of a line
    JsonlWriter(path, rows=2).close()
    assert [row["step"] for row in read_jsonl(path)] == [5, 10]
    assert json.loads(path.read_text().splitlines()[1]) == {"step": 10, "train_loss": float(np.float32(0.1))}


def test_tensorboard_reads_what_was_written(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    writer = MultiWriter(TensorBoardWriter(tmp_path))
    writer.write_scalars(7, {"val_loss": 0.25})
    writer.write_images(7, {"preview": np.full((4, 6), 128, np.uint8)})
    writer.flush()
    writer.close()
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("val_loss")] == [(7, 0.25)]
    assert [(e.step, e.height, e.width) for e in events.Images("preview")] == [(7, 4, 6)]


def refuse(name):
    raise ValueError(name)


def test_json_files_hold_only_what_json_has_but_for_configs_that_are_read_back(tmp_path):
    value = {"kid": float("nan"), "rows": [{"limit": np.float64("inf")}, (1.5, float("-inf"))], "n": 3}
    write_json(tmp_path / "result.json", value)
    found = json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse)
    assert found == {"kid": None, "rows": [{"limit": None}, [1.5, None]], "n": 3}
    write_json(tmp_path / "config.json", {"truncation": float("inf")}, exact=True)
    assert read_json(tmp_path / "config.json") == {"truncation": float("inf")}


def test_a_metric_that_is_not_finite_is_null(tmp_path):
    """Also in rows that an older version of this code wrote."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 4, "val_loss": NaN}\n')
    writer = JsonlWriter(path, rows=1)
    writer.write_scalars(5, {"val_loss": np.float32("nan"), "val_dice": float("inf"), "val_mae": 0.5})
    writer.close()
    found = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    assert found == read_jsonl(path)
    assert found == [{"step": 4, "val_loss": None}, {"step": 5, "val_loss": None, "val_dice": None, "val_mae": 0.5}]


def test_committed_results_are_plain_json():
    paths = list((ROOT / "results").rglob("*.json"))
    assert paths
    for path in paths:
        json.loads(path.read_text(), parse_constant=refuse)
