import _thread
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from eagrctl.errors import SourceError
from eagrctl.parsing import pipeline as module
from eagrctl.parsing.parsed import Failed
from eagrctl.parsing.pipeline import FACES_PER_CORE, Pipeline, PlacedPhoto

CPU, GPU = torch.device("cpu"), torch.device("cuda")  # no GPU is touched: only the number of threads depends on it
PHOTO = np.zeros((4, 4, 3), np.uint8)


class Recorder:
    """Finds n % 4 faces in a number n; labels faces by their names, and notes the batches."""

    def __init__(self, slow: float = 0.0) -> None:
        self.batches: list[list[Any]] = []
        self.slow = slow

    def place(self, number: int) -> PlacedPhoto | Failed:
        time.sleep(self.slow * (number % 3))
        if number % 7 == 6:
            return Failed(SourceError(f"{number} is bad"))
        return PlacedPhoto(PHOTO, [(number, place) for place in range(number % 4)])

    def label(self, faces: list[Any]) -> list[Any]:
        self.batches.append(list(faces))
        time.sleep(self.slow * (len(faces) % 2))
        return [f"{number}.{place}" for number, place in faces]


def outcome(placed: PlacedPhoto | Failed, faces: list[Any]) -> Any:
    return str(placed.error) if isinstance(placed, Failed) else faces


def expected(number: int) -> Any:
    return f"{number} is bad" if number % 7 == 6 else [f"{number}.{place}" for place in range(number % 4)]


@pytest.mark.parametrize("device", [CPU, GPU], ids=str)
@pytest.mark.parametrize(("count", "batch", "workers"), [(0, 4, 2), (1, 8, 1), (9, 1, 3), (60, 3, 2), (61, 50, 4)])
def test_every_photo_comes_back_once_in_order_with_its_own_faces(
    count: int, batch: int, workers: int, device: torch.device
) -> None:
    recorder = Recorder(slow=0.001)
    pipeline = Pipeline(recorder.place, recorder.label, batch, device, workers)
    found = [outcome(*each) for each in pipeline.run(iter(range(count)))]
    assert found == [expected(number) for number in range(count)]
    assert all(0 < len(faces) <= batch for faces in recorder.batches)


def test_faces_of_several_photos_go_through_the_network_together() -> None:
    recorder = Recorder()
    list(Pipeline(recorder.place, recorder.label, 10, GPU, 2).run(iter(range(100))))
    total = sum(number % 4 for number in range(100) if number % 7 != 6)
    sizes = [len(faces) for faces in recorder.batches]
    assert sizes == [10] * (total // 10) + ([total % 10] if total % 10 else [])


def test_a_core_gets_small_batches() -> None:
    recorder = Recorder()
    list(Pipeline(recorder.place, recorder.label, 100, CPU, 2).run(iter(range(100))))
    assert max(map(len, recorder.batches)) == FACES_PER_CORE


def test_only_some_photos_are_read_ahead() -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    recorder = Recorder()
    results = Pipeline(recorder.place, recorder.label, 4, CPU, 2).run(endless())
    for given in range(1, 200):
        next(results)
        assert read - given <= 2 * 4 * 2 + 2 * 2
    results.close()


def test_large_photos_are_few_at_a_time() -> None:
    # It takes no memory, but says that it does.
    large = np.broadcast_to(np.uint8(0), (10_000, 6_000, 3))
    assert large.nbytes == 180_000_000
    alive, most, lock = 0, 0, threading.Lock()

    def place(number: int) -> PlacedPhoto:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return PlacedPhoto(large, [number])  # type: ignore[list-item]

    seen = 0
    for _ in Pipeline(place, list, 8, CPU, 4).run(iter(range(40))):
        seen += 1
        with lock:
            alive -= 1
    assert seen == 40
    # The first are read before their size is known; so is one beyond the limit that is on its way.
    assert most <= 8
    assert module.MEMORY // large.nbytes == 2


def test_when_nobody_listens_any_more_the_work_ends() -> None:
    before = threading.active_count()
    recorder = Recorder(slow=0.001)
    results = Pipeline(recorder.place, recorder.label, 4, CPU, 3).run(itertools.count())
    next(results)
    assert threading.active_count() == before + 3
    results.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("where", ["place", "label", "images"])
def test_a_bug_is_raised_and_ends_the_work(where: str) -> None:
    recorder = Recorder()

    def bug(*_: Any) -> Any:
        raise ZeroDivisionError

    def images() -> Iterator[int]:
        yield from (3, 3, 3)
        if where == "images":
            bug()

    before = threading.active_count()
    pipeline = Pipeline(
        bug if where == "place" else recorder.place, bug if where == "label" else recorder.label, 2, CPU, 2
    )
    with pytest.raises(ZeroDivisionError):
        list(pipeline.run(images()))
    assert threading.active_count() == before


def test_each_thread_has_its_share_of_the_cores_and_nobody_else_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        inside = []
        recorder = Recorder()

        def label(faces: list[Any]) -> list[Any]:
            inside.append(torch.get_num_threads())
            return recorder.label(faces)

        list(Pipeline(recorder.place, label, 1, CPU, 3).run(iter(range(30))))
        assert set(inside) == {2}
        assert torch.get_num_threads() == 6
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [6]
    finally:
        torch.set_num_threads(elsewhere)


class Slow(nn.Module):
    """One of the modules of a network that takes long."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        time.sleep(0.02)
        return values + 1


def test_an_interrupt_stops_a_slow_network_between_its_modules() -> None:
    network = nn.Sequential(*(Slow() for _ in range(1000)))  # twenty seconds
    calls = itertools.count()

    def label(faces: list[Any]) -> list[Any]:
        if next(calls) == 0:
            _thread.interrupt_main()  # as Ctrl-C does
        network(torch.zeros(1))
        return faces

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(Pipeline(Recorder().place, label, 1, CPU, 2).run(iter((1, 1, 1))))
    assert sum(layer.runs for layer in network) < 1000
    assert threading.active_count() == before
