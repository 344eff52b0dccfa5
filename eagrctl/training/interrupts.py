"""Ctrl-C: a run saves before it stops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from eagrctl.events import Notice, Report


def leave_interrupts_to_the_parent(worker: int) -> None:
    """For processes that read samples: Ctrl-C reaches them as well, and is none of their business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def interrupts(report: Report) -> Iterator[threading.Event]:
    """Set an event at the first SIGINT or SIGTERM; the second one acts as usual.

    Outside the main thread, where Python allows no handlers, the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: FrameType | None) -> None:
        event.set()
        report(Notice("Stopping after this step, to save a checkpoint; again to stop at once, without one."))
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
