from collections.abc import Callable

import pytest
import torch

from eagrctl.benchmark.scaling import Speed
from eagrctl.data.index import ShardIndex
from eagrctl.events import Notice, Progress
from eagrctl.recipe import Recipe
from eagrctl.training.timing import WARM_UP, Timing, time_steps
from eagrctl.training.world import World


def test_only_steps_after_the_warm_up_are_counted(tiny_data: ShardIndex, tiny_recipe: Callable[..., Recipe]) -> None:
    events: list[Progress | Notice] = []
    met: list[int] = []
    timing = time_steps(
        tiny_recipe(),
        tiny_data,
        World(torch.device("cpu")),
        steps=3,
        meet=lambda: met.append(len(events)),
        listener=events.append,
    )
    assert timing.images == 3 * 4
    assert 0 <= timing.waited < timing.seconds
    assert timing.memory > 1e7
    assert [event.done for event in events if isinstance(event, Progress)] == list(range(WARM_UP + 4))
    assert met == [WARM_UP + 1]


def test_processes_add_up_each_with_its_own_rate() -> None:
    timings = [Timing(20, 2.0, 0.1, 5, 1), Timing(30, 2.5, 0.35, 7, 1)]
    speed = Speed.of("two", 10, timings)
    assert (speed.processes, speed.memory, speed.threads) == (2, 7, 1)
    assert speed.images_per_second == pytest.approx(10 + 12)
    assert speed.waiting == pytest.approx(0.45 / 4.5)
