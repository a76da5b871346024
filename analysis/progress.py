"""A progress bar on a terminal's stderr, silent elsewhere; and how fast images were done."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows `text` with a bar; gives the function to call with the number done so far."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done: bar.update(task, completed=done)


class Clock:
    """Images a second after the first batch, in which a program is compiled; None where there is no other batch.

    All batches are of one size: the last is filled up, and takes as long as the others.
    """

    def __init__(self):
        self._marks: list[tuple[int, float]] = []

    def __call__(self, done: int) -> None:
        """Notes that so many images are done."""
        self._marks.append((done, time.monotonic()))

    @property
    def speed(self) -> float | None:
        (size, begun), (_, ended) = self._marks[0], self._marks[-1]
        batches = len(self._marks) - 1
        return batches * size / (ended - begun) if batches else None
