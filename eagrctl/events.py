"""What the library tells while it works. It never prints: it hands events to a callback, which the CLI draws."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """A task has come this far.

    Attributes:
        task: its name, the same from its first event to its last.
        done, total: samples, steps or whatever the task counts.
        note: the latest figures, in words.
    """

    task: str
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class Notice:
    """Something the user should read; `warning` where it may need their hand."""

    text: str
    warning: bool = False


Listener = Callable[[Progress | Notice], None]


def ignore(event: Progress | Notice) -> None:
    """The listener of a caller who wants to hear nothing."""


def tracked(items: Sequence[Item], task: str, listener: Listener) -> Iterator[Item]:
    """The items one by one, while a listener hears how many are done."""
    for done, item in enumerate(items):
        listener(Progress(task, done, len(items)))
        yield item
    listener(Progress(task, len(items), len(items)))


# Gives a listener for as long as a block runs. It is pickled where another process is to draw what happens there.
Drawing = Callable[[], AbstractContextManager[Listener]]


def undrawn() -> AbstractContextManager[Listener]:
    """The drawing of a caller who wants to see nothing."""
    return nullcontext(ignore)
