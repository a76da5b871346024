"""What studies take of a result file's metrics."""

from analysis.studies import readings
from configs.studies.families import get_config


def test_metrics_that_say_nothing_of_so_few_images_are_left_out():
    config = get_config("smoke")
    value = lambda number, **more: {"value": number, "low": None, "high": None, "n": [9, 4]} | more  # noqa: E731
    result = {"metrics": {"pixels": {
        "kid": {"generated": value(0.2), "floor": value(0.0)},
        "fd_infinity": {"generated": value(9.0, singular=True), "floor": value(3.0)},
        "precision": {"generated": value(0.03), "generated_at_floor_n": value(0.1), "floor": value(0.9)},
        "recall": {"generated": value(0.5)},
    }, "images": {"spectrum": {"generated": value(1.4), "floor": value(0.3), "ceiling": value(0.6)}}}}  # fmt: skip
    found = readings.metrics(config, result)
    # Precision of as many images as its floor's: of nine beside four it would be another number.
    assert {name: row["value"] for name, row in found.items()} == {
        "kid": 0.2, "precision": 0.1, "recall": 0.5, "spectrum": 1.4,
    }  # fmt: skip
    result["metrics"]["pixels"]["fd_infinity"]["generated"]["singular"] = False
    assert readings.metrics(config, result)["fd_infinity"]["value"] == 9.0
