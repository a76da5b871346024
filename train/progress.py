"""What a person sees while a run goes on: a bar with images/s and time left, or lines where there is no terminal."""

import sys
import time
from collections import deque


class Progress:
    """`update` is called once a step; the rate is that of the last few seconds."""

    def __init__(self, total: int, batch_size: int, start: int = 0):
        self._total, self._batch, self._step = total, batch_size, start
        self._times: deque[tuple[float, int]] = deque([(time.monotonic(), start)], maxlen=50)
        self._bar = self._task = None
        self._next_line = 0.0

    def __enter__(self):
        if sys.stderr.isatty():
            self._bar = _make_bar()
            self._task = self._bar.add_task("training", total=self._total, completed=self._step, rate="", note="")
            self._bar.start()
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.stop()

    def restart_clock(self) -> None:
        """Leaves what was not training (an evaluation) out of the rate."""
        self._times.clear()
        self._times.append((time.monotonic(), self._step))

    def update(self, step: int, note: str = "") -> None:
        """Step `step` is done; `note` stands beside the bar."""
        self._step, now = step, time.monotonic()
        self._times.append((now, step))
        rate = self.images_per_second()
        if self._bar is not None:
            self._bar.update(self._task, completed=step, rate=f"{rate:.0f} images/s", note=note)
        elif now >= self._next_line or step == self._total:
            left = (self._total - step) * self._batch / rate if rate else 0.0
            print(f"step {step}/{self._total}  {rate:.0f} images/s  {_clock(left)} left  {note}", file=sys.stderr)
            self._next_line = now + 10.0

    def images_per_second(self) -> float:
        (t0, s0), (t1, s1) = self._times[0], self._times[-1]
        return (s1 - s0) * self._batch / (t1 - t0) if t1 > t0 else 0.0


def say(text: str) -> None:
    """A line for the person at the terminal; stdout is left to results."""
    print(text, file=sys.stderr, flush=True)


def _make_bar():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
               TextColumn("{task.fields[note]}"))  # fmt: skip
    return Bar(*columns, console=Console(stderr=True))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
