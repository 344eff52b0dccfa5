import os
from dataclasses import dataclass, field

import pytest

from eagrctl.data.workers import Workers


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
