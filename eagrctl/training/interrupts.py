"""Ctrl-C: a run saves before it stops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from eagrctl.events import Listener, Notice


def leave_signals_to_the_parent(worker: int) -> None:
    """For processes that read samples: what is sent to all processes is none of their business.

    Ctrl-C in a terminal reaches them, and so does the SIGTERM of `timeout`, Slurm or a container that is stopped. They
    end when their parent does.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interrupts(listener: Listener, again: bool = True) -> Iterator[threading.Event]:
    """Set an event at the first SIGINT or SIGTERM.

    Args:
        listener: hears of the first signal.
        again: whether a second one acts as usual. Among several processes it does not: Ctrl-C reaches them from the
            terminal and once more from the process that started them, which kills what does not stop in time.

    Outside the main thread, where Python allows no handlers, the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            return
        event.set()
        once_more = "; again to stop at once, without one" if again else ""
        listener(Notice(f"Stopping after this step, to save a checkpoint{once_more}."))
        if again:
            for each, handler in before.items():
                signal.signal(each, handler)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
