import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from eagrctl.workers import Workers


@dataclass
class Counting:
    """A function that remembers how often this copy of it was called."""

    calls: list[int] = field(default_factory=list)

    def __call__(self, task: int) -> tuple[int, int, int]:
        self.calls.append(task)
        return task * task, os.getpid(), len(self.calls)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_results_come_in_the_order_of_their_tasks(count: int) -> None:
    with Workers(count, Counting()) as workers:
        found = list(workers.map(range(40)))
    assert [task for task, _ in found] == list(range(40))
    assert [result[0] for _, result in found] == [task * task for task in range(40)]


def test_the_function_goes_to_each_process_once() -> None:
    with Workers(2, Counting()) as workers:
        results = [result for _, result in workers.map(range(40))]
    by_process: dict[int, list[int]] = {}
    for _, process, calls in results:
        by_process.setdefault(process, []).append(calls)
    assert os.getpid() not in by_process
    assert all(max(calls) == len(calls) for calls in by_process.values())


def test_only_a_few_tasks_are_taken_ahead() -> None:
    taken: list[int] = []

    def tasks() -> object:
        for number in range(100):
            taken.append(number)
            yield number

    with Workers(2, Counting()) as workers:
        results = workers.map(tasks())  # type: ignore[arg-type]
        next(results)
        assert len(taken) <= 9
        results.close()


def test_workers_do_not_outlive_a_parent_that_was_killed() -> None:
    code = (
        "import os, sys, time\n"
        "from eagrctl.workers import Workers\n"
        "from eagrctl_tests.test_workers import Counting\n"
        "if __name__ == '__main__':\n"
        "    workers = Workers(2, Counting())\n"
        "    print(*{result[1] for _, result in workers.map(range(200))}, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
    )
    processes = [int(word) for word in result.stdout.split()]
    assert processes, result.stderr
    deadline = time.monotonic() + 30
    while any(alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(process) for process in processes)


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
