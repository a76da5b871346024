"""Where metrics go: a JSON line a step, and TensorBoard event files. Method names are clu's."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from train.plain_json import finite


class JsonlWriter:
    """Appends {"step": n, name: value, ...} to a file; what is not finite is null, since JSON has no NaN."""

    def __init__(self, path: Path, rows: int = 0):
        """Opens `path` and keeps its first `rows` rows: those that the checkpoint that goes on had seen written."""
        rows = read_jsonl(path)[:rows]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(map(_line, rows)))
        os.replace(temporary, path)
        self._file = path.open("a")

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._file.write(_line({"step": step, **{k: float(v) for k, v in scalars.items()}}))

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Images lie in `samples/` already."""

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorBoardWriter:
    """Event files without TensorFlow, where the extra `tensorboard` is installed."""

    def __init__(self, folder: Path):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder))

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        from tensorboard.compat.proto import summary_pb2

        values = [summary_pb2.Summary.Value(tag=k, simple_value=float(v)) for k, v in scalars.items()]
        self._add(step, summary_pb2.Summary(value=values))

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """uint8 [h, w] or [h, w, 3] each."""
        import io

        from PIL import Image
        from tensorboard.compat.proto import summary_pb2

        for name, image in images.items():
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "PNG")
            proto = summary_pb2.Summary.Image(
                height=image.shape[0], width=image.shape[1], colorspace=1 if image.ndim == 2 else 3,
                encoded_image_string=stream.getvalue(),
            )  # fmt: skip
            self._add(step, summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=name, image=proto)]))

    def _add(self, step: int, summary) -> None:
        import time

        from tensorboard.compat.proto import event_pb2

        self._writer.add_event(event_pb2.Event(step=step, wall_time=time.time(), summary=summary))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class MultiWriter:
    """Writes to each of several writers."""

    def __init__(self, *writers):
        self._writers = writers

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        for writer in self._writers:
            writer.write_scalars(step, scalars)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        for writer in self._writers:
            writer.write_images(step, images)

    def flush(self) -> None:
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def _line(row: dict) -> str:
    return json.dumps(finite(row)) + "\n"


def read_jsonl(path: Path) -> list[dict]:
    """The rows of a metrics file, None for what was not finite; a last line that a crash cut short is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def tensorboard_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("tensorboard") is not None
