"""How fast images were done, told from when each batch ended."""

import time

from analysis.progress import Clock


def speed(monkeypatch, *marks):
    clock = Clock()
    for done, now in marks:
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        clock(done)
    return clock.speed


def test_the_first_batch_is_not_timed_and_the_last_was_filled_up(monkeypatch):
    """After 9 s of compiling, each batch of 64 takes 2 s, the last one too, of which 16 were asked for."""
    assert speed(monkeypatch, (64, 11.0), (128, 13.0), (144, 15.0)) == 32.0
    assert speed(monkeypatch, (64, 11.0)) is None
