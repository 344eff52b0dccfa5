"""One function for many tasks, in order, in several processes; and how many cores there are for them."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Generic, Self, TypeVar

from eagrctl.errors import EagrctlError

Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(Generic[Task, Result]):
    """A pool of processes, as a context manager; with fewer than two, everything happens in this process.

    The function goes to each process once, not with each task: what it holds may be large (a list of every photo), or
    slow to make ready (a detector of faces).

    Args:
        count: processes.
        function: can be pickled, as can its tasks and results.
        remedy: what to do where a process died, which is an EagrctlError.
    """

    def __init__(
        self, count: int, function: Callable[[Task], Result], remedy: str = "try fewer with --workers"
    ) -> None:
        self._count, self._function, self._remedy = count, function, remedy
        # Spawned, not forked: the parent may run threads that draw its progress.
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (function,)) if count > 1 else None

    def map(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """Each task with its result, in the order of the tasks.

        Only a few tasks are under way at a time, so that memory does not grow with their number.
        """
        if self._pool is None:
            yield from ((task, self._function(task)) for task in tasks)
            return
        waiting: deque[tuple[Task, Future[Result]]] = deque()
        for task in tasks:
            waiting.append((task, self._pool.submit(_run, task)))
            if len(waiting) == 4 * self._count:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise EagrctlError(f"a worker process died, most likely out of memory: {self._remedy}") from None


_function: Callable[[Any], Any]  # of this process, if it is a worker


def _begin(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function
    # An interrupt is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when its parent is gone: one that was killed cannot tell its workers to stop."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(task: Any) -> Any:
    return _function(task)
