"""Ctrl-C: a run saves before it stops."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from eagrctl.events import Listener, Notice, Progress


class StoppedError(Exception):
    """Work was cut short by an interrupt."""


def until(interrupted: threading.Event, listener: Listener) -> Listener:
    """A listener that hands events on, and raises StoppedError at the first one after an interrupt."""

    def listen(event: Progress | Notice) -> None:
        if interrupted.is_set():
            raise StoppedError
        listener(event)

    return listen


def leave_signals_to_the_parent(worker: int) -> None:
    """For processes that read samples: what is sent to all processes is none of their business.

    Ctrl-C in a terminal reaches them, and so does the SIGTERM of `timeout`, Slurm or a container that is stopped. They
    end when their parent does.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def handlers_restored(*names: str) -> Iterator[Callable[[], None]]:
    """Put the handlers of these signals back when the block ends, or when it calls what it is given.

    Windows lacks some signals, and outside the main thread Python sets no handlers.
    """
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)}

    def restore() -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)

    try:
        yield restore
    finally:
        restore()


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
            restore()

    with handlers_restored("SIGINT", "SIGTERM") as restore:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handle)
        yield event
