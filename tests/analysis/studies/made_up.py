"""Made-up numbers in the shape that studies write, to draw figures and tables of without any run."""

WHAT = {
    "dataset": "phantom_cxr", "image_shape": [32, 32, 1], "data": "x", "features": {"pixels": {"name": "pixels"}},
    "real": {"split": "test", "n": 100, "floor_n": 100}, "n": 100, "device": "a processor",
    "floors": {"kid": {"value": 0.001, "low": -0.001, "high": 0.003},
               "precision": {"value": 0.8, "low": None, "high": None}},
    "ceilings": {"kid": {"value": 0.2, "low": 0.19, "high": 0.21}, "recall": {"value": 0.5, "low": None, "high": None}},
    "floor": {"value": 0.001, "low": -0.001, "high": 0.003}, "ceiling": {"value": 0.2, "low": 0.19, "high": 0.21},
}  # fmt: skip


def estimate(value, half=0.02):
    return {"value": value, "low": value - half, "high": value + half, "seeds": 3}
