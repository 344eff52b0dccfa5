"""One function over many names, in order, in processes of their own."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from types import TracebackType
from typing import Self, TypeVar

Result = TypeVar("Result")


class Workers:
    """A pool of processes, as a context manager; with fewer than two, everything happens in this process.

    Args:
        count: processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        # Spawned, not forked: the parent may run threads that draw its progress. Interrupts are the parent's to handle.
        self._pool = (
            ProcessPoolExecutor(count, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
            if count > 1
            else None
        )

    def map(self, function: Callable[[str], Result], names: Iterable[str]) -> Iterator[tuple[str, Result]]:
        """Each name with its result, in the order of the names.

        Only a few names are under way at a time, so that memory does not grow with their number.

        Raises:
            BrokenProcessPool: a process died.
        """
        if self._pool is None:
            yield from ((name, function(name)) for name in names)
            return
        waiting: deque[tuple[str, Future[Result]]] = deque()
        rest = iter(names)
        for name in islice(rest, 4 * self._count):
            waiting.append((name, self._pool.submit(function, name)))
        while waiting:
            name, future = waiting.popleft()
            yield name, future.result()
            for following in islice(rest, 1):
                waiting.append((following, self._pool.submit(function, following)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
