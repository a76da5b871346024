"""Batches ahead of the loop, so that reading and transfer overlap with compute."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any


def prefetch(get: Callable[[int], Any], start: int, stop: int, depth: int = 2) -> Iterator[Any]:
    """get(start), ..., get(stop - 1), each computed in a thread up to `depth` ahead of its use.

    What `get` raises is raised here, in its place. Closing the iterator ends the thread.
    """
    items: queue.Queue = queue.Queue(maxsize=depth)
    closed = threading.Event()

    def offer(item) -> bool:
        while not closed.is_set():
            try:
                items.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        for index in range(start, stop):
            try:
                item = (get(index), None)
            except BaseException as error:  # noqa: BLE001 - handed to the consumer
                offer((None, error))
                return
            if not offer(item):
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item, error = items.get()
            if error is not None:
                raise error
            yield item
    finally:
        closed.set()
        thread.join()
